#include <kappaflow/eigensolver.hpp>

#include "helpers.hpp"

using namespace helpers;

BOOST_AUTO_TEST_SUITE(eigensolver)

BOOST_AUTO_TEST_CASE(reconstructs_the_matrix) {
  const Matrix root = gaussian(40, 40, 1);
  const Matrix matrix = root + root.transpose();
  const auto system = kappaflow::symmetric_eigensystem(matrix);
  for (Eigen::Index k = 1; k < 40; ++k) BOOST_CHECK_LE(system.values[k], system.values[k - 1]);
  BOOST_CHECK_LE(distance(system.vectors * system.values.asDiagonal() * system.vectors.transpose(), matrix), 1e-13);
  BOOST_CHECK_LE(distance(system.vectors.transpose() * system.vectors, Matrix::Identity(40, 40)), 1e-13);
  const auto values = kappaflow::symmetric_eigensystem(matrix, false);
  BOOST_CHECK_EQUAL(values.vectors.cols(), 0);
  BOOST_CHECK_LE(distance(values.values, system.values), 1e-13);
}

BOOST_AUTO_TEST_CASE(reads_the_lower_triangle_only) {
  Matrix matrix(2, 2);
  matrix << 2, 77, 1, 2;
  BOOST_CHECK_LE(distance(kappaflow::symmetric_eigensystem(matrix).values, vector({3, 1})), 1e-15);
}

BOOST_AUTO_TEST_CASE(gram_route_equals_the_covariance) {
  Matrix samples = gaussian(12, 50, 2);
  samples.rowwise() -= samples.colwise().mean().eval();
  const auto gram = kappaflow::gram_eigensystem(samples, 12);
  BOOST_REQUIRE_EQUAL(gram.values.size(), 11);  // the mean takes one
  BOOST_REQUIRE_EQUAL(gram.vectors.rows(), 50);
  const Matrix covariance = samples.transpose() * samples / 12;
  const auto direct = kappaflow::symmetric_eigensystem(covariance);
  BOOST_CHECK_LE(distance(gram.values, direct.values.head(11)), 1e-13);
  BOOST_CHECK_LE(distance(gram.vectors * gram.values.asDiagonal() * gram.vectors.transpose(), covariance), 1e-13);
  BOOST_CHECK_LE(distance(gram.vectors.transpose() * gram.vectors, Matrix::Identity(11, 11)), 1e-12);
  BOOST_CHECK_EQUAL(kappaflow::gram_eigensystem(samples, 12, false).vectors.size(), 0);
}

BOOST_AUTO_TEST_CASE(refuses_bad_input) {
  check_rejects([] { kappaflow::symmetric_eigensystem(Matrix::Zero(2, 3)); },
                "matrix must be square and not empty, got shape (2, 3)");
  check_rejects([] { kappaflow::symmetric_eigensystem(Matrix(0, 0)); }, "matrix must be square");
  check_rejects([] { kappaflow::symmetric_eigensystem(Matrix::Constant(2, 2, kNaN)); }, "matrix must be finite");
  check_rejects([] { kappaflow::gram_eigensystem(Matrix::Ones(2, 3), 0); }, "divisor must be positive, got 0");
  check_rejects([] { kappaflow::gram_eigensystem(Matrix(0, 3), 1); },
                "samples must have at least one row, got shape (0, 3)");
}

BOOST_AUTO_TEST_SUITE_END()
