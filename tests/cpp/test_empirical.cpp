#include <kappaflow/empirical.hpp>
#include <kappaflow/errors.hpp>

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
  for (const double n : {3.0, 9.0, 40.0}) {
    const EmpiricalLaw law(signs(s, 64, 7), s, n, Mean::known);
    const Splits splits(Spectrum(s), n, {Mean::known, kappaflow::Terms::full});
    const auto f = splits.sampling_map(0, 20, 1e-6);
    const EmpiricalNodes nodes = law.solve(f.shifts());
    BOOST_CHECK_LE(relative(law.expectation(nodes, f.weights(), f.constant()), splits.expectation(f)), 1e-9);
    Matrix variance = law.mode_covariance(nodes, f.weights(), f.weights()), gauss = splits.covariance(f, f).matrix();
    variance.diagonal().setZero();  // equal modes depend on the fourth moment, which is not the Gaussian one here
    gauss.diagonal().setZero();
    BOOST_CHECK_LE(distance(variance, gauss), 1e-7);
  }
}

BOOST_AUTO_TEST_CASE(sums_of_output_modes_agree_with_each_mode) {
  const Vector s = log_grid(2, 1e-3, 9);
  const EmpiricalLaw law(heavy(s, 500, 3), s, 12, Mean::estimated);
  Vector shifts(3), weights(3);
  shifts << 0.01, 0.3, kInfinity;
  weights << 0.4, -0.2, 0.8;
  const EmpiricalNodes nodes = law.solve(shifts);
  const Matrix x = gaussian(2, 9, 11), y = gaussian(2, 9, 12);
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

BOOST_AUTO_TEST_CASE(no_convergence_is_said_with_shift_and_residual) {
  const Vector s = log_grid(1, 1e-6, 20);
  EmpiricalOptions options;
  options.max_iterations = 2;
  const EmpiricalLaw law(heavy(s, 300, 5), s, 15, Mean::known, {}, options);
  BOOST_CHECK_EXCEPTION(law.solve(vector({1e-8})), kappaflow::ConvergenceError, [](const std::exception& error) {
    const std::string text = error.what();
    return text.find("shift 1e-08") != std::string::npos &&
           text.find("after 2 iterations, residual") != std::string::npos;
  });
}

BOOST_AUTO_TEST_CASE(wrong_input) {
  const Vector s = log_grid(1, 0.1, 3);
  const EmpiricalLaw::Profiles good = heavy(s, 10, 1);
  check_rejects([&] { EmpiricalLaw(good.leftCols(2), s, 5, Mean::known); }, "profiles must have one column for each");
  check_rejects([&] { EmpiricalLaw(good.topRows(1), s, 5, Mean::known); }, "at least two profiles");
  check_rejects([&] { EmpiricalLaw(good, s, 1, Mean::estimated); }, "n must be finite and positive, above 1");
  EmpiricalLaw::Profiles bad = good;
  bad(4, 1) = std::numeric_limits<float>::quiet_NaN();
  check_rejects([&] { EmpiricalLaw(bad, s, 5, Mean::known); }, "profiles must be finite");
  const EmpiricalLaw law(good, s, 5, Mean::known);
  check_rejects([&] { law.solve(vector({0.0})); }, "shifts must be positive");
  const EmpiricalNodes nodes = law.solve(vector({0.5}));
  check_rejects([&] { law.expectation(nodes, vector({1, 2}), 0); }, "one entry for each node");
  check_rejects([&] { law.influence(nodes, vector({1}), vector({1, 2})); }, "one entry for each mode");
}

BOOST_AUTO_TEST_SUITE_END()
