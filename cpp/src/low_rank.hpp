#pragma once

#include <Eigen/Core>

namespace kappaflow::detail {

/// left right of a matrix with few independent columns. Rows are multiplied by `importance` (no change where it is
/// empty) and columns then scaled to length 1 before singular values below the tolerance are dropped: errors are
/// relative to the columns so weighted.
struct LowRank {
  Eigen::MatrixXd left;   // (rows, p)
  Eigen::MatrixXd right;  // (p, columns)

  LowRank(const Eigen::MatrixXd& matrix, double tolerance, const Eigen::VectorXd& importance = {});
};

}  // namespace kappaflow::detail
