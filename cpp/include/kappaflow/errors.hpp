#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace kappaflow {

/// An iterative routine did not reach its tolerance; thrown rather than handing out a number that is not certified.
class ConvergenceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What is asked lies below the noise level that a population known through N samples identifies.
class UnidentifiedError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

namespace detail {

/// A number for a message: six significant digits at any magnitude (std::to_string shows 1e-8 as 0.000000).
inline std::string text(double value) {
  std::ostringstream stream;
  stream << value;
  return stream.str();
}

/// Throws std::invalid_argument "function: condition must hold, got value".
template <class Value>
[[noreturn]] void throw_argument(const char* function, const std::string& condition, const Value& value) {
  std::ostringstream message;
  message.precision(17);
  message << function << ": " << condition << ", got " << value;
  throw std::invalid_argument(message.str());
}

template <class Value>
void require(bool condition, const char* function, const char* text, const Value& value) {
  if (!condition) throw_argument(function, text, value);
}

}  // namespace detail
}  // namespace kappaflow
