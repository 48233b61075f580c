#pragma once

#include <Eigen/Core>
#include <cmath>

namespace kappaflow::detail {

/// Columns sqrt(s)/(s+u_i): s/((s+u_i)(s+u_j)) is summed over modes or pairs of nodes as products of these. Zeros where
/// s = 0.
inline Eigen::MatrixXd half_products(const Eigen::Ref<const Eigen::VectorXd>& s,
                                     const Eigen::Ref<const Eigen::VectorXd>& shifts) {
  Eigen::MatrixXd h(s.size(), shifts.size());
  for (Eigen::Index i = 0; i < shifts.size(); ++i) {
    for (Eigen::Index k = 0; k < s.size(); ++k) h(k, i) = s[k] > 0 ? std::sqrt(s[k]) / (s[k] + shifts[i]) : 0.0;
  }
  return h;
}

}  // namespace kappaflow::detail
