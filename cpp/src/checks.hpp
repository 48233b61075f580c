#pragma once

// Checks of arguments. Every message reads "function: argument must ..., got value".

#include <Eigen/Core>
#include <cmath>
#include <ostream>
#include <sstream>
#include <stdexcept>
#include <string>

namespace kappaflow::detail {

/// A number for a message: six significant digits at any magnitude (std::to_string shows 1e-8 as 0.000000).
inline std::string text(double value) {
  std::ostringstream stream;
  stream << value;
  return stream.str();
}

/// Rows and columns of a matrix, "shape (3, 4)" in a message.
struct Shape {
  Eigen::Index rows, columns;
};
inline std::ostream& operator<<(std::ostream& stream, const Shape& shape) {
  return stream << "shape (" << shape.rows << ", " << shape.columns << ")";
}
template <class Derived>
Shape shape(const Eigen::EigenBase<Derived>& matrix) {
  return {matrix.rows(), matrix.cols()};
}

/// Throws std::invalid_argument "function: condition, got value".
template <class Value>
[[noreturn]] void throw_argument(const char* function, const std::string& condition, const Value& value) {
  constexpr int kRoundTrip = 17;  // decimal digits that show every double exactly
  std::ostringstream message;
  message.precision(kRoundTrip);
  message << function << ": " << condition << ", got " << value;
  throw std::invalid_argument(message.str());
}

/// Requires that the condition, "argument must ...", holds.
template <class Value>
void require(bool holds, const char* function, const char* condition, const Value& value) {
  if (!holds) throw_argument(function, condition, value);
}

inline void require_positive(const char* function, const char* argument, double value) {
  if (!(std::isfinite(value) && value > 0))
    throw_argument(function, std::string(argument) + " must be finite and positive", value);
}

inline void require_not_negative(const char* function, const char* argument, double value) {
  if (!(std::isfinite(value) && value >= 0))
    throw_argument(function, std::string(argument) + " must be finite and not negative", value);
}

/// The same for every entry of a vector.
template <class Derived>
void require_all_not_negative(const char* function, const char* argument, const Eigen::DenseBase<Derived>& values) {
  for (Eigen::Index i = 0; i < values.size(); ++i) require_not_negative(function, argument, values.derived()[i]);
}

/// Requires that every entry is finite. The message shows the first entry that is not, column by column, and its
/// position.
template <class Derived>
void require_finite(const char* function, const std::string& argument, const Eigen::DenseBase<Derived>& values) {
  if (values.allFinite()) return;
  for (Eigen::Index column = 0; column < values.cols(); ++column) {
    for (Eigen::Index row = 0; row < values.rows(); ++row) {
      const double value = static_cast<double>(values.derived()(row, column));
      if (!std::isfinite(value)) {
        throw_argument(function, argument + " must be finite",
                       text(value) + " at (" + std::to_string(row) + ", " + std::to_string(column) + ")");
      }
    }
  }
}

}  // namespace kappaflow::detail
