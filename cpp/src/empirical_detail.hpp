#pragma once

// Shared by the translation units of EmpiricalLaw: empirical.cpp (the fixed point), empirical_ladder.cpp (pairs of
// nodes and their linear systems), empirical_covariance.cpp (mode pairs), empirical_outputs.cpp (given inputs).

#include <Eigen/Core>
#include <vector>

#include "kappaflow/empirical.hpp"
#include "low_rank.hpp"
#include "products.hpp"

namespace kappaflow {
/// Pairs i <= j of nodes with the quantities that the law needs.
struct EmpiricalLaw::Pairs {
  std::vector<Eigen::Index> first, second;
  Vector weight;      // f_i g_j + f_j g_i off the diagonal, f_i g_i on it
  Matrix root_gamma;  // (D, P) square root of g_i g_j
  Matrix eta;         // (D, P) t_i t_j g_i g_j

  Eigen::Index size() const { return weight.size(); }
  Eigen::Index i(Eigen::Index p) const { return first[static_cast<std::size_t>(p)]; }
  Eigen::Index j(Eigen::Index p) const { return second[static_cast<std::size_t>(p)]; }
};

/// A symmetric matrix from its pairs a <= b, at b (b+1)/2 + a, that lie `stride` numbers apart.
inline Eigen::MatrixXd unpacked(const double* pairs, Eigen::Index stride, Eigen::Index size) {
  Eigen::MatrixXd result(size, size);
  for (Eigen::Index b = 0; b < size; ++b) {
    for (Eigen::Index a = 0; a <= b; ++a, pairs += stride) result(a, b) = result(b, a) = *pairs;
  }
  return result;
}

}  // namespace kappaflow
