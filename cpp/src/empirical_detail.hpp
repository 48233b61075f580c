#pragma once

// Shared by the translation units of EmpiricalLaw: empirical.cpp (the fixed point), empirical_ladder.cpp (pairs of
// nodes and their linear systems), empirical_covariance.cpp (mode pairs), empirical_outputs.cpp (given inputs).

#include <Eigen/Core>
#include <mutex>
#include <vector>

#include "kappaflow/empirical.hpp"
#include "low_rank.hpp"
#include "products.hpp"

namespace kappaflow {

/// R_i = sum_q left_q right_qi of all groups in the span of a few, so that with B_q = Z' left_q Z
///   Q_ij = sum_{q >= r} coefficient_qr form_qr,   form_qr = (1/(n images)) sum_groups B_q o B_r.
struct detail::GroupForms {
  std::once_flag once;
  Eigen::MatrixXd left, right;  // (pairs, rank), (rank, N)
  Eigen::MatrixXd forms;        // (D D, rank (rank + 1)/2), q >= r at q (q+1)/2 + r

  Eigen::VectorXd coefficients(Eigen::Index i, Eigen::Index j) const {
    Eigen::VectorXd result(forms.cols());
    for (Eigen::Index q = 0, form = 0; q < right.rows(); ++q) {
      for (Eigen::Index r = 0; r <= q; ++r)
        result[form++] = right(q, i) * right(r, j) + (r == q ? 0 : right(r, i) * right(q, j));
    }
    return result;
  }
};

/// Pairs i <= j of nodes with the quantities that the law needs.
struct EmpiricalLaw::Pairs {
  std::vector<Eigen::Index> first, second;
  Vector weight;      // f_i g_j + f_j g_i off the diagonal, f_i g_i on it
  Matrix root_gamma;  // (D, P) square root of g_i g_j
  Matrix eta;         // (D, P) t_i t_j g_i g_j

  Eigen::Index size() const { return weight.size(); }
  Pairs some(Eigen::Index start, Eigen::Index count) const {
    return {{first.begin() + start, first.begin() + start + count},
            {second.begin() + start, second.begin() + start + count},
            weight.segment(start, count),
            root_gamma.middleCols(start, count),
            eta.middleCols(start, count)};
  }
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
