#pragma once

#include <Eigen/Core>

#include "kappaflow/eigensolver.hpp"

namespace kappaflow::detail {

/// Number of profiles to process at once: their squares at d = 768 take 6 MiB, and a product with them runs at full
/// speed. Sums over profiles are computed block by block, so another value changes their last digits.
inline constexpr Eigen::Index kBlockRows = 1024;

/// c = alpha op(a) op(b) + beta c, column-major, by the caller's dgemm if there is one.
void multiply(const LinearAlgebra& library, bool transpose_a, bool transpose_b, double alpha,
              const Eigen::Ref<const Eigen::MatrixXd>& a, const Eigen::Ref<const Eigen::MatrixXd>& b, double beta,
              Eigen::Ref<Eigen::MatrixXd> c);

}  // namespace kappaflow::detail
