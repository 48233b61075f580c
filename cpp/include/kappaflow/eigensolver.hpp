#pragma once

#include <Eigen/Core>

namespace kappaflow {

/// LAPACK's dsyevd and BLAS's dsyrk and dgemm with 32-bit integers, provided by the caller (Python passes SciPy's).
/// Null pointers select Eigen's own routines, which are several times slower at large sizes.
using SyevdFunction = void (*)(char* job, char* triangle, int* n, double* a, int* lda, double* eigenvalues,
                               double* work, int* work_size, int* integer_work, int* integer_work_size, int* info);
using SyrkFunction = void (*)(char* triangle, char* transpose, int* n, int* k, double* alpha, double* a, int* lda,
                              double* beta, double* c, int* ldc);

using GemmFunction = void (*)(char* transpose_a, char* transpose_b, int* m, int* n, int* k, double* alpha, double* a,
                              int* lda, double* b, int* ldb, double* beta, double* c, int* ldc);

struct LinearAlgebra {
  SyevdFunction syevd = nullptr;
  SyrkFunction syrk = nullptr;
  GemmFunction gemm = nullptr;
};

/// Eigenvalues in descending order; eigenvectors are columns in the same order, no columns if they were not requested.
struct Eigensystem {
  Eigen::VectorXd values;
  Eigen::MatrixXd vectors;
};

/// Eigendecomposition of a symmetric matrix; only its lower triangle is read.
/// Throws std::invalid_argument unless the matrix is square and finite, ConvergenceError if the solver fails.
Eigensystem symmetric_eigensystem(Eigen::MatrixXd matrix, bool vectors = true, const LinearAlgebra& library = {});

/// Non-zero part of the eigendecomposition of X'X/divisor through the Gram matrix XX'/divisor of N < d centred samples
/// X (N, d). Eigenvalues below N eps times the largest are rounding errors and are left out, so vectors is (d, rank).
Eigensystem gram_eigensystem(const Eigen::Ref<const Eigen::MatrixXd>& samples, double divisor, bool vectors = true,
                             const LinearAlgebra& library = {});

}  // namespace kappaflow
