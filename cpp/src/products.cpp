#include "products.hpp"

#include <algorithm>

namespace kappaflow::detail {

void multiply(const LinearAlgebra& library, bool transpose_a, bool transpose_b, double alpha,
              const Eigen::Ref<const Eigen::MatrixXd>& a, const Eigen::Ref<const Eigen::MatrixXd>& b, double beta,
              Eigen::Ref<Eigen::MatrixXd> c) {
  if (library.gemm != nullptr) {
    char ta = transpose_a ? 'T' : 'N', tb = transpose_b ? 'T' : 'N';
    int m = static_cast<int>(c.rows()), n = static_cast<int>(c.cols());
    int k = static_cast<int>(transpose_a ? a.rows() : a.cols());
    int lda = std::max(1, static_cast<int>(a.outerStride())), ldb = std::max(1, static_cast<int>(b.outerStride()));
    int ldc = std::max(1, static_cast<int>(c.outerStride()));
    library.gemm(&ta, &tb, &m, &n, &k, &alpha, const_cast<double*>(a.data()), &lda, const_cast<double*>(b.data()), &ldb,
                 &beta, c.data(), &ldc);
    return;
  }
  if (beta == 0) c.setZero();
  if (beta != 0 && beta != 1) c *= beta;
  if (transpose_a && transpose_b) c.noalias() += alpha * a.transpose() * b.transpose();
  if (transpose_a && !transpose_b) c.noalias() += alpha * a.transpose() * b;
  if (!transpose_a && transpose_b) c.noalias() += alpha * a * b.transpose();
  if (!transpose_a && !transpose_b) c.noalias() += alpha * a * b;
}

}  // namespace kappaflow::detail
