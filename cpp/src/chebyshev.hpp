#pragma once

#include <Eigen/Core>
#include <cmath>

namespace kappaflow::detail {

inline constexpr double kPi = 3.14159265358979323846;

/// Chebyshev point j of `count` of the first kind, in (-1, 1), descending.
inline double chebyshev_point(int j, int count) { return std::cos(kPi * (j + 0.5) / count); }

/// Weights at x of the polynomial through values at the Chebyshev points (barycentric form).
inline void chebyshev_weights(double x, Eigen::Ref<Eigen::VectorXd> weights) {
  const int count = static_cast<int>(weights.size());
  double total = 0;
  for (int j = 0; j < count; ++j) {
    const double difference = x - chebyshev_point(j, count);
    if (difference == 0) {
      weights.setZero();
      weights[j] = 1;
      return;
    }
    weights[j] = (j % 2 == 0 ? 1 : -1) * std::sin(kPi * (j + 0.5) / count) / difference;
    total += weights[j];
  }
  weights /= total;
}

}  // namespace kappaflow::detail
