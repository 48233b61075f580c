#pragma once

#include <Eigen/Core>

#include "kappaflow/eigensolver.hpp"

namespace kappaflow::detail {

/// Profiles that are worked on at once: their squares at d = 768 take 6 MiB, and a product with them runs at full
/// speed. Sums over profiles are taken block by block, so that another value changes their last digits.
inline constexpr Eigen::Index kBlockRows = 1024;

/// c = alpha op(a) op(b) + beta c, column-major, by the caller's dgemm where there is one.
void multiply(const LinearAlgebra& library, bool transpose_a, bool transpose_b, double alpha,
              const Eigen::Ref<const Eigen::MatrixXd>& a, const Eigen::Ref<const Eigen::MatrixXd>& b, double beta,
              Eigen::Ref<Eigen::MatrixXd> c);

}  // namespace kappaflow::detail
