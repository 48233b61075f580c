#pragma once

#include <Eigen/Core>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>

namespace helpers {

using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

inline Vector vector(std::initializer_list<double> values) {
  Vector result(static_cast<Eigen::Index>(values.size()));
  Eigen::Index k = 0;
  for (const double value : values) result[k++] = value;
  return result;
}

/// `count` points from `high` down to `low`, evenly in their logarithm.
inline Vector log_grid(double high, double low, int count) {
  Vector points(count);
  for (int k = 0; k < count; ++k) points[k] = high * std::pow(low / high, k / (count - 1.0));
  return points;
}

inline Matrix gaussian(Eigen::Index rows, Eigen::Index columns, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<double> normal;
  return Matrix::NullaryExpr(rows, columns, [&]() { return normal(engine); });
}

/// Largest difference relative to the largest entry of the reference.
inline double distance(const Matrix& value, const Matrix& reference) {
  return (value - reference).cwiseAbs().maxCoeff() / reference.cwiseAbs().maxCoeff();
}

/// Largest entry-wise relative difference; equal entries (both zero, say) count as 0.
inline double relative(const Matrix& value, const Matrix& reference) {
  double worst = 0;
  for (Eigen::Index k = 0; k < reference.size(); ++k) {
    const double a = value.data()[k], b = reference.data()[k];
    if (!(a == b)) worst = std::max(worst, std::isfinite(a) && b != 0 ? std::abs(a / b - 1) : kInfinity);
  }
  return worst;
}

/// The call throws std::invalid_argument whose message holds `fragment`.
template <class Function>
void check_rejects(Function&& function, const std::string& fragment) {
  BOOST_CHECK_EXCEPTION(function(), std::invalid_argument, [&](const std::invalid_argument& error) {
    BOOST_TEST_INFO("message: " << error.what() << ", wanted: " << fragment);
    const bool found = std::string(error.what()).find(fragment) != std::string::npos;
    BOOST_CHECK(found);
    return found;
  });
}

}  // namespace helpers
