#pragma once

#include <Eigen/Core>

#include "kappaflow/eigensolver.hpp"

namespace kappaflow::detail {

/// c = alpha op(a) op(b) + beta c, column-major, by the caller's dgemm where there is one.
void multiply(const LinearAlgebra& library, bool transpose_a, bool transpose_b, double alpha,
              const Eigen::Ref<const Eigen::MatrixXd>& a, const Eigen::Ref<const Eigen::MatrixXd>& b, double beta,
              Eigen::Ref<Eigen::MatrixXd> c);

}  // namespace kappaflow::detail
