#pragma once

#include <Eigen/Core>
#include <cmath>
#include <numbers>

namespace kappaflow::detail {

/// Chebyshev point j of `count` of the first kind, in (-1, 1), descending.
inline double chebyshev_point(int j, int count) { return std::cos(std::numbers::pi * (j + 0.5) / count); }

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
    weights[j] = (j % 2 == 0 ? 1 : -1) * std::sin(std::numbers::pi * (j + 0.5) / count) / difference;
    total += weights[j];
  }
  weights /= total;
}

}  // namespace kappaflow::detail
