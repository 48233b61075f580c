#include <Eigen/LU>
#include <kappaflow/empirical.hpp>
#include <kappaflow/errors.hpp>
#include <kappaflow/splits.hpp>

#include "helpers.hpp"

using namespace helpers;
using kappaflow::EmpiricalLaw;
using kappaflow::EmpiricalNodes;
using kappaflow::EmpiricalOptions;
using kappaflow::Mean;
using kappaflow::Spectrum;
using kappaflow::Splits;

namespace {

/// Profiles of equal leverage: every sample has squares equal to the eigenvalues.
EmpiricalLaw::Profiles signs(const Vector& s, Eigen::Index count, unsigned seed) {
  std::mt19937 engine(seed);
  EmpiricalLaw::Profiles profiles(count, s.size());
  for (Eigen::Index a = 0; a < count; ++a) {
    for (Eigen::Index k = 0; k < s.size(); ++k) {
      profiles(a, k) = static_cast<float>((engine() & 1U) != 0 ? std::sqrt(s[k]) : -std::sqrt(s[k]));
    }
  }
  return profiles;
}

/// Heavy tails: Gaussian samples times a random size.
EmpiricalLaw::Profiles heavy(const Vector& s, Eigen::Index count, unsigned seed) {
  const Matrix z = gaussian(count, s.size(), seed), size = gaussian(count, 1, seed + 1).cwiseAbs();
  return (size.asDiagonal() * z * s.cwiseSqrt().asDiagonal()).cast<float>();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(empirical)

BOOST_AUTO_TEST_CASE(equal_leverage_is_the_gaussian_law) {
  Vector s(6);
  s << 4, 2.25, 1, 0.25, 0.0625, 0.25;  // squares of floats: profiles carry them exactly
  EmpiricalOptions options;
  options.tolerance = 1e-13;
  for (const double n : {3.0, 9.0, 40.0}) {
    const EmpiricalLaw law(signs(s, 64, 7), s, n, Mean::known, {}, options);
    const Splits splits(Spectrum(s), n, {Mean::known, kappaflow::Terms::full});
    const auto f = splits.sampling_map(0, 20, 1e-6);
    const EmpiricalNodes nodes = law.solve(f.shifts());
    BOOST_CHECK_LE(relative(law.expectation(nodes, f.weights(), f.constant()), splits.expectation(f)), 1e-10);
    Matrix variance = law.mode_covariance(nodes, f.weights(), f.weights()), gauss = splits.covariance(f, f).matrix();
    variance.diagonal().setZero();  // equal modes depend on the fourth moment, which is not the Gaussian one here
    gauss.diagonal().setZero();
    BOOST_CHECK_LE(distance(variance, gauss), 1e-10);
  }
}

BOOST_AUTO_TEST_CASE(sums_of_output_modes_agree_with_each_mode) {
  const Vector s = log_grid(2, 1e-3, 9);
  const EmpiricalLaw law(heavy(s, 500, 3), s, 12, Mean::estimated);
  Vector shifts(3), weights(3);
  shifts << 0.01, 0.3, kInfinity;
  weights << 0.4, -0.2, 0.8;
  const EmpiricalNodes nodes = law.solve(shifts);
  const Matrix x = 80 * gaussian(2, 9, 11), y = gaussian(2, 9, 12);  // large inputs: modes do not hide in the mean
  const Vector other = vector({0.1, 0.7, 0.2});
  const Matrix each = law.output_covariance(nodes, weights, other, x, y, Matrix::Identity(9, 9));
  const Matrix total = law.output_covariance(nodes, weights, other, x, y, Matrix::Ones(9, 1));
  BOOST_CHECK_LE(distance(each.rowwise().sum(), total), 1e-9);
  for (Eigen::Index b = 0; b < 2; ++b) {
    const Matrix first = law.influence(nodes, weights, x.row(b).transpose());
    const Matrix second = law.influence(nodes, other, y.row(b).transpose());
    const Vector direct =
        (first.cwiseProduct(second).colwise().mean() - first.colwise().mean().cwiseProduct(second.colwise().mean()))
            .transpose() /
        12;
    const Vector ladder = law.ladder_covariance(nodes, weights, other, x.row(b).transpose(), y.row(b).transpose());
    BOOST_CHECK_LE(distance(direct + ladder, each.row(b).transpose()), 1e-9);
  }
}

/// (t_i t_j [(1 - diag(gamma) Q)^-1 diag(gamma) Q diag(gamma)])_kl summed over pairs of nodes with weights, by full
/// matrices, for coordinates z (M, D) of which those after the first `modes` have shift 0.
Matrix dense_ladder(const Matrix& z, Eigen::Index modes, const EmpiricalNodes& nodes, const Vector& f, const Vector& g,
                    double n) {
  const Matrix squares = z.cwiseAbs2();
  Matrix sum = Matrix::Zero(modes, z.cols());
  for (Eigen::Index i = 0; i < f.size(); ++i) {
    for (Eigen::Index j = 0; j < g.size(); ++j) {
      const Vector product = nodes.leverage.row(i).cwiseProduct(nodes.leverage.row(j)).transpose();
      const Matrix q = squares.transpose() * product.asDiagonal() * squares / (n * static_cast<double>(z.rows()));
      const Vector gamma = nodes.resolvent.col(i).cwiseProduct(nodes.resolvent.col(j));
      const Matrix system = Matrix::Identity(z.cols(), z.cols()) - q * gamma.asDiagonal();
      // t_i t_j gamma through `remaining`, which is finite where t is not: (1 - gamma Q)^-1 gamma = gamma (1 - Q
      // gamma)^-1
      const Vector outer = nodes.remaining.col(i).cwiseProduct(nodes.remaining.col(j)).head(modes);
      const Matrix inner = system.partialPivLu().solve(q * gamma.asDiagonal());
      sum += f[i] * g[j] * outer.asDiagonal() * inner.topRows(modes);
    }
  }
  return sum;
}

BOOST_AUTO_TEST_CASE(spread_is_the_ladder_summed_over_inputs) {
  const Vector s = log_grid(2, 1e-3, 9), f = vector({0.4, -0.2, 0.8}), g = vector({0.1, 0.7, 0.2});
  const EmpiricalLaw::Profiles profiles = heavy(s, 400, 13);
  const double n = 12;
  for (const Mean mean : {Mean::known, Mean::estimated}) {
    const EmpiricalLaw law(profiles, s, n, mean);
    const EmpiricalNodes nodes = law.solve(vector({0.01, 0.3, kInfinity}));
    const Vector variance = gaussian(9, 1, 14).cwiseAbs2();
    Matrix z = profiles.cast<double>();
    if (mean == Mean::estimated) {
      z.conservativeResize(Eigen::NoChange, 10);
      z.col(9).setOnes();
    }
    const Matrix h = nodes.remaining.topRows(9), shrink = h.array() * (1 - h.array());
    Vector expected = dense_ladder(z, 9, nodes, f, g, n).leftCols(9) * variance;
    expected -= (shrink * f).cwiseProduct(shrink * g).cwiseProduct(variance) / n;
    if (mean == Mean::estimated) {
      const Vector centre = Vector::Zero(9);
      const Matrix first = law.influence(nodes, f, centre), second = law.influence(nodes, g, centre);
      expected +=
          (first.cwiseProduct(second).colwise().mean() - first.colwise().mean().cwiseProduct(second.colwise().mean()))
              .transpose() /
          n;
      expected += law.ladder_covariance(nodes, f, g, centre, centre);
    }
    BOOST_CHECK_LE(relative(law.spread(nodes, f, g, variance), expected), 1e-7);
  }
}

/// One node: what dressing adds to f_kk with g_kk, by full matrices.
BOOST_AUTO_TEST_CASE(equal_modes_hold_the_dressed_third_pairing) {
  const Vector s = log_grid(2, 1e-2, 7), one = vector({1});
  const EmpiricalLaw::Profiles profiles = heavy(s, 300, 21);
  const double n = 9;
  const EmpiricalLaw law(profiles, s, n, Mean::known);
  const EmpiricalNodes nodes = law.solve(vector({0.2}));
  const Matrix squares = profiles.cast<double>().cwiseAbs2();
  const Vector r = nodes.leverage.row(0).transpose(), gamma = nodes.resolvent.col(0).cwiseAbs2();
  const Matrix q = squares.transpose() * r.cwiseAbs2().asDiagonal() * squares / (n * 300);
  const Matrix identity = Matrix::Identity(7, 7), undressed = gamma.asDiagonal() * q * gamma.asDiagonal();
  const Matrix ladder = (identity - gamma.asDiagonal() * q).inverse() * undressed;
  const Matrix moved = (r.asDiagonal() * squares).rowwise() - (r.transpose() * squares / 300);
  const Matrix dressed = (identity - q * gamma.asDiagonal()).inverse() * moved.transpose();
  const Vector third = gamma.cwiseAbs2().cwiseProduct(dressed.cwiseAbs2().rowwise().mean() -
                                                      moved.cwiseAbs2().colwise().mean().transpose()) /
                       n;
  Matrix expected = ladder;
  expected.diagonal() += (ladder - undressed).diagonal() + third;
  expected.diagonal() -= gamma.cwiseProduct(squares.transpose() * r / 300).cwiseAbs2() / n;
  expected *= 0.2 * 0.2;
  BOOST_CHECK_GT(third.sum(), 0.05 * (ladder.diagonal().sum()));  // not a term that could be left out unseen
  BOOST_CHECK_LE(relative(law.mode_covariance(nodes, one, one), expected), 1e-9);
}

BOOST_AUTO_TEST_CASE(residuals_are_those_of_the_equation) {
  const Vector s = log_grid(1, 1e-6, 20);
  const EmpiricalLaw::Profiles profiles = heavy(s, 300, 5);
  const EmpiricalLaw law(profiles, s, 15, Mean::known);
  const Vector shifts = log_grid(1e2, 1e-8, 11);
  const EmpiricalNodes nodes = law.solve(shifts);
  const Matrix squares = profiles.cast<double>().cwiseAbs2();
  for (Eigen::Index i = 0; i < shifts.size(); ++i) {
    const Vector r = (1 + (squares * nodes.resolvent.col(i) / 15).array()).inverse();
    const Vector g = (shifts[i] + (squares.transpose() * r / 300).array()).inverse();
    BOOST_CHECK_LE(relative(nodes.resolvent.col(i), g), 1e-9);
    BOOST_CHECK_LE(relative(nodes.leverage.row(i).transpose(), r), 1e-9);
    BOOST_CHECK_LE(nodes.residual[i], 1e-11);
  }
}

BOOST_AUTO_TEST_CASE(a_shift_at_infinity_has_no_residual) {
  const Vector s = log_grid(1, 0.1, 5);
  const EmpiricalNodes nodes = EmpiricalLaw(heavy(s, 50, 5), s, 15, Mean::estimated).solve(vector({0.1, kInfinity}));
  BOOST_CHECK_LE(nodes.residual[0], 1e-11);
  BOOST_CHECK(std::isnan(nodes.residual[1]));
  BOOST_CHECK_EQUAL(nodes.iterations[1], 0);
}

BOOST_AUTO_TEST_CASE(no_convergence_is_said_with_shift_and_residual) {
  const Vector s = log_grid(1, 1e-6, 20);
  EmpiricalOptions options;
  options.max_iterations = 2;
  const EmpiricalLaw law(heavy(s, 300, 5), s, 15, Mean::known, {}, options);
  BOOST_CHECK_EXCEPTION(law.solve(vector({1e-8})), kappaflow::ConvergenceError, [](const std::exception& error) {
    const std::string text = error.what();
    return text.find("shift 1e-08 (node 0)") != std::string::npos &&
           text.find("after 2 iterations, residual") != std::string::npos;
  });
}

BOOST_AUTO_TEST_CASE(no_convergence_of_the_ladder_is_said_with_shifts_and_residual) {
  const Vector s = log_grid(1, 1e-6, 20), weights = vector({1, 1});
  EmpiricalOptions options;
  options.ladder_iterations = 1;
  const EmpiricalLaw law(heavy(s, 300, 5), s, 15, Mean::known, {}, options);
  const EmpiricalNodes nodes = law.solve(vector({1e-4, 1e-2}));
  BOOST_CHECK_EXCEPTION(law.spread(nodes, weights, weights, s), kappaflow::ConvergenceError,
                        [](const std::exception& error) {
                          const std::string text = error.what();
                          return text.find(
                                     "ladder at shifts 0.0001 and 0.0001 (nodes 0 and 0) has not converged "
                                     "after 1 iterations, residual ") != std::string::npos;
                        });
}

BOOST_AUTO_TEST_CASE(copies_in_groups_are_fewer_samples) {
  const Vector s = log_grid(2, 1e-2, 6), one = vector({1, 0.5});
  const EmpiricalLaw::Profiles distinct = heavy(s, 100, 4);
  EmpiricalLaw::Profiles copied(300, 6);
  std::vector<Eigen::Index> starts;
  for (Eigen::Index a = 0; a < 300; ++a) {
    copied.row(a) = distinct.row(a / 3);
    if (a % 3 == 0) starts.push_back(a);
  }
  starts.push_back(300);
  for (const Mean mean : {Mean::known, Mean::estimated}) {
    const EmpiricalLaw few(distinct, s, 20, mean), many(copied, s, 60, mean, {}, {}, starts);
    BOOST_CHECK_EQUAL(many.groups(), 100);
    BOOST_CHECK_EQUAL(many.group_size(), 3);
    const Vector shifts = mean == Mean::known ? vector({0.1, 2}) : vector({0.1, kInfinity});
    const EmpiricalNodes a = few.solve(shifts), b = many.solve(shifts);
    BOOST_CHECK_LE(relative(a.resolvent.row(0), b.resolvent.row(0)), 1e-6);
    BOOST_CHECK_LE(distance(few.mode_covariance(a, one, one), many.mode_covariance(b, one, one)), 1e-6);
    BOOST_CHECK_LE(relative(few.spread(a, one, one, s), many.spread(b, one, one, s)), 1e-5);
  }
}

BOOST_AUTO_TEST_CASE(wrong_input) {
  const Vector s = log_grid(1, 0.1, 3);
  const EmpiricalLaw::Profiles good = heavy(s, 10, 1);
  check_rejects([&] { EmpiricalLaw(good.leftCols(2), s, 5, Mean::known); }, "profiles must have one column for each");
  check_rejects([&] { EmpiricalLaw(good.topRows(1), s, 5, Mean::known); },
                "profiles must have at least two rows, got shape (1, 3)");
  check_rejects([&] { EmpiricalLaw(good, s, 1, Mean::estimated); }, "n must be finite and positive, above 1");
  EmpiricalLaw::Profiles bad = good;
  bad(4, 1) = std::numeric_limits<float>::quiet_NaN();
  check_rejects([&] { EmpiricalLaw(bad, s, 5, Mean::known); }, "profiles must be finite, got nan at (4, 1)");
  EmpiricalOptions options;
  options.ladder_iterations = 0;
  check_rejects([&] { EmpiricalLaw(good, s, 5, Mean::known, {}, options); }, "ladder_iterations must be positive");
  check_rejects([&] { EmpiricalLaw(good, s, 5, Mean::known, {}, {}, {0, 10}); },
                "groups must hold at least two groups");
  check_rejects([&] { EmpiricalLaw(good, s, 5, Mean::known, {}, {}, {1, 4, 10}); }, "groups must begin with 0, got 1");
  check_rejects([&] { EmpiricalLaw(good, s, 5, Mean::known, {}, {}, {0, 4, 9}); },
                "groups must end with the number of profiles, got 9");
  check_rejects([&] { EmpiricalLaw(good, s, 5, Mean::known, {}, {}, {0, 4, 4, 10}); },
                "groups must be ascending, got 4");
  check_rejects([&] { EmpiricalLaw(good, s, 5, Mean::estimated, {}, {}, {0, 4, 10}); },
                "n must exceed the mean size of a group with estimated mean, got 5");
  options = {};
  options.compression = 0.5;
  check_rejects([&] { EmpiricalLaw(good, s, 5, Mean::known, {}, options); }, "compression must be in (0, 0.1)");
  const EmpiricalLaw law(good, s, 5, Mean::known);
  check_rejects([&] { law.solve(vector({0.0})); }, "shifts must be positive");
  const EmpiricalNodes nodes = law.solve(vector({0.5}));
  check_rejects([&] { law.expectation(nodes, vector({1, 2}), 0); }, "one entry for each node");
  const Vector one = vector({1}), two = vector({1, 2}), mode = vector({1, 2, 3});
  check_rejects([&] { law.influence(nodes, two, mode); }, "influence: f must have one entry for each node, got 2");
  check_rejects([&] { law.influence(nodes, one, two); }, "influence: x must have one entry for each mode, got 2");
  check_rejects([&] { law.ladder_covariance(nodes, one, one, two, mode); }, "x must have one entry for each mode");
  check_rejects([&] { law.ladder_covariance(nodes, one, one, mode, two); }, "y must have one entry for each mode");
  check_rejects([&] { law.mode_covariance(nodes, two, one); }, "f must have one entry for each node, got 2");
  check_rejects([&] { law.mode_covariance(nodes, one, two); }, "g must have one entry for each node, got 2");
  check_rejects([&] { law.spread(nodes, one, one, two); }, "variance must have one entry for each mode, got 2");
  check_rejects([&] { law.spread(nodes, one, one, vector({1, 2, -1})); },
                "EmpiricalLaw::spread: variance must be finite and not negative, got -1");
  const Matrix x = mode.transpose(), wide = Matrix::Ones(1, 4), rows = Matrix::Ones(2, 3), groups = Matrix::Ones(3, 1);
  check_rejects([&] { law.output_covariance(nodes, one, one, wide, x, groups); },
                "output_covariance: x must have one column for each mode, got shape (1, 4)");
  check_rejects([&] { law.output_covariance(nodes, one, one, x, wide, groups); },
                "output_covariance: y must have one column for each mode, got shape (1, 4)");
  check_rejects([&] { law.output_covariance(nodes, one, one, x, rows, groups); },
                "output_covariance: y must have as many rows as x, got shape (2, 3)");
}

BOOST_AUTO_TEST_SUITE_END()
