#pragma once

#include <Eigen/Core>

namespace kappaflow::detail {

/// left right of a matrix with few independent columns. Rows are multiplied by `importance` (unless it is empty),
/// columns are then scaled to length 1, and singular values below the tolerance are dropped: errors are relative to the
/// columns weighted in this way.
struct LowRank {
  Eigen::MatrixXd left;   // (rows, p)
  Eigen::MatrixXd right;  // (p, columns)

  LowRank(const Eigen::MatrixXd& matrix, double tolerance, const Eigen::VectorXd& importance = {});
};

}  // namespace kappaflow::detail
