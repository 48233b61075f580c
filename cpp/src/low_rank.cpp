#include "low_rank.hpp"

#include <Eigen/SVD>
#include <algorithm>

namespace kappaflow::detail {

using Index = Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

LowRank::LowRank(const Matrix& matrix, double tolerance, const Vector& importance) {
  const Vector rows = importance.size() == 0 ? Vector::Ones(matrix.rows()) : importance;
  const Matrix weighted = rows.asDiagonal() * matrix;
  Vector scale = weighted.colwise().norm().transpose();
  for (Index j = 0; j < scale.size(); ++j) scale[j] = scale[j] > 0 ? scale[j] : 1.0;
  const Eigen::BDCSVD<Matrix> svd(weighted * scale.cwiseInverse().asDiagonal(),
                                  Eigen::ComputeThinU | Eigen::ComputeThinV);
  Index rank = 0;
  while (rank < svd.singularValues().size() && svd.singularValues()[rank] > tolerance * svd.singularValues()[0]) ++rank;
  rank = std::max<Index>(rank, 1);
  left = rows.cwiseInverse().asDiagonal() * svd.matrixU().leftCols(rank) * svd.singularValues().head(rank).asDiagonal();
  right = svd.matrixV().leftCols(rank).transpose() * scale.asDiagonal();
}

}  // namespace kappaflow::detail
