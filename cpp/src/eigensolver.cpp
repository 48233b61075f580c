#include "kappaflow/eigensolver.hpp"

#include <Eigen/Eigenvalues>
#include <limits>
#include <string>
#include <vector>

#include "checks.hpp"
#include "kappaflow/errors.hpp"
#include "products.hpp"

namespace kappaflow {
namespace {

using Index = Eigen::Index;

/// dsyevd's workspace of 1 + 6n + 2n^2 doubles must be counted by a 32-bit integer.
constexpr Index kLargestLapack = 32766;

Eigensystem by_lapack(Eigen::MatrixXd matrix, bool vectors, SyevdFunction syevd) {
  int n = static_cast<int>(matrix.rows()), info = 0;
  char job = vectors ? 'V' : 'N', triangle = 'L';
  Eigensystem system;
  system.values.resize(n);
  double work_size = 0;
  int integer_size = 0, query = -1;
  syevd(&job, &triangle, &n, matrix.data(), &n, system.values.data(), &work_size, &query, &integer_size, &query, &info);
  std::vector<double> work(static_cast<std::size_t>(work_size));
  std::vector<int> integer_work(static_cast<std::size_t>(integer_size));
  int size = static_cast<int>(work.size());
  syevd(&job, &triangle, &n, matrix.data(), &n, system.values.data(), work.data(), &size, integer_work.data(),
        &integer_size, &info);
  if (info != 0) {
    throw ConvergenceError("symmetric_eigensystem: dsyevd did not converge, info " + std::to_string(info));
  }
  system.values.reverseInPlace();
  if (vectors) {
    matrix.rowwise().reverseInPlace();
    system.vectors = std::move(matrix);
  }
  return system;
}

}  // namespace

Eigensystem symmetric_eigensystem(Eigen::MatrixXd matrix, bool vectors, const LinearAlgebra& library) {
  constexpr const char* here = "symmetric_eigensystem";
  detail::require(matrix.rows() == matrix.cols() && matrix.rows() > 0, here, "matrix must be square and not empty",
                  detail::shape(matrix));
  detail::require_finite(here, "matrix", matrix);
  if (library.syevd != nullptr && matrix.rows() <= kLargestLapack) {
    return by_lapack(std::move(matrix), vectors, library.syevd);
  }
  Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(matrix,
                                                        vectors ? Eigen::ComputeEigenvectors : Eigen::EigenvaluesOnly);
  if (solver.info() != Eigen::Success) throw ConvergenceError("symmetric_eigensystem: Eigen's solver did not converge");
  Eigensystem system;
  system.values = solver.eigenvalues().reverse();
  if (vectors) system.vectors = solver.eigenvectors().rowwise().reverse();
  return system;
}

Eigensystem gram_eigensystem(const Eigen::Ref<const Eigen::MatrixXd>& samples, double divisor, bool vectors,
                             const LinearAlgebra& library) {
  constexpr const char* here = "gram_eigensystem";
  detail::require(divisor > 0, here, "divisor must be positive", divisor);
  detail::require(samples.rows() > 0, here, "samples must have at least one row", detail::shape(samples));
  const Index count = samples.rows();
  Eigen::MatrixXd gram(count, count);
  detail::multiply(library, false, true, 1 / divisor, samples, samples, 0, gram);
  Eigensystem small = symmetric_eigensystem(std::move(gram), vectors, library);
  const double floor = static_cast<double>(count) * std::numeric_limits<double>::epsilon() * small.values[0];
  Index rank = 0;
  while (rank < std::min(count, samples.cols()) && small.values[rank] > floor) ++rank;
  Eigensystem system;
  system.values = small.values.head(rank);
  if (vectors) {
    system.vectors.resize(samples.cols(), rank);
    detail::multiply(library, true, false, 1, samples, small.vectors.leftCols(rank), 0, system.vectors);
    system.vectors.colwise().normalize();
  }
  return system;
}

}  // namespace kappaflow
