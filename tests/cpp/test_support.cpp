#include <kappaflow/silverstein.hpp>

#include "helpers.hpp"

using namespace helpers;
using kappaflow::spectral_density;
using kappaflow::spectral_support;
using kappaflow::Spectrum;

namespace {

constexpr double kPi = 3.14159265358979323846;

/// Integral of the density over [low, high]: the substitution x = centre + half cos(a) removes the roots at the edges.
double mass(const Spectrum& spectrum, double m, double low, double high, int points = 400) {
  Vector x(points), weight(points);
  for (int i = 0; i < points; ++i) {
    const double angle = kPi * (i + 0.5) / points;
    x[i] = 0.5 * (low + high) + 0.5 * (high - low) * std::cos(angle);
    weight[i] = 0.5 * (high - low) * std::sin(angle) * kPi / points;
  }
  return weight.dot(spectral_density(x, spectrum, m).density);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(support)

BOOST_AUTO_TEST_CASE(marchenko_pastur) {
  for (const double s : {1.0, 3e-4}) {
    for (const double m : {25.0, 50.0, 99.0, 101.0, 400.0, 10000.0}) {
      const double d = 100, ratio = d / m;
      const Spectrum spectrum(vector({s}), vector({d}));
      const auto found = spectral_support(spectrum, m);
      const double low = s * std::pow(1 - std::sqrt(ratio), 2), high = s * std::pow(1 + std::sqrt(ratio), 2);
      BOOST_TEST_INFO("m " << m);
      BOOST_REQUIRE_EQUAL(found.intervals.rows(), 1);
      BOOST_CHECK_CLOSE_FRACTION(found.intervals(0, 0), low, 1e-10);
      BOOST_CHECK_CLOSE_FRACTION(found.intervals(0, 1), high, 1e-12);
      BOOST_CHECK_CLOSE_FRACTION(1 + found.zero_atom, 1 + std::max(0.0, 1 - m / d), 1e-14);
      const auto edges = kappaflow::support_edges(spectrum, m);
      BOOST_CHECK_CLOSE_FRACTION(edges.lowest, low, 1e-10);
      BOOST_CHECK_CLOSE_FRACTION(edges.highest, high, 1e-12);
      const Vector x = Vector::LinSpaced(51, low, high).segment(1, 49);
      const auto result = spectral_density(x, spectrum, m);
      for (Eigen::Index i = 0; i < x.size(); ++i) {
        const double exact = std::sqrt((high - x[i]) * (x[i] - low)) / (2 * kPi * ratio * s * x[i]);
        BOOST_CHECK_CLOSE_FRACTION(result.density[i], exact, 1e-9);
        BOOST_CHECK_LE(result.residual[i], 1e-10);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(no_density_outside_the_support) {
  const Spectrum spectrum(vector({1}), vector({100}));
  const auto result = spectral_density(vector({1e-3, 0.2, 2.3, 100}), spectrum, 400);
  BOOST_CHECK_LE(result.density.cwiseAbs().maxCoeff(), 1e-7);
  BOOST_CHECK(result.residual.array().isNaN().all());  // no equation was solved
}

BOOST_AUTO_TEST_CASE(reaches_zero_where_samples_equal_modes) {
  const Spectrum spectrum(vector({1}), vector({100}));
  const auto edges = kappaflow::support_edges(spectrum, 100);
  BOOST_CHECK_EQUAL(edges.lowest, 0);
  BOOST_CHECK_CLOSE_FRACTION(edges.highest, 4, 1e-12);
}

BOOST_AUTO_TEST_CASE(separate_intervals_hold_their_share) {
  const Spectrum spectrum(vector({1, 10, 100, 0}), vector({20, 30, 50, 25}));
  const double m = 3000;
  const auto found = spectral_support(spectrum, m);
  BOOST_REQUIRE_EQUAL(found.intervals.rows(), 3);
  BOOST_CHECK_CLOSE_FRACTION(found.zero_atom, 0.2, 1e-14);
  const Vector shares = vector({20, 30, 50}) / 125, atoms = vector({1, 10, 100});
  for (int i = 0; i < 3; ++i) {
    BOOST_CHECK_LT(found.intervals(i, 0), atoms[i]);
    BOOST_CHECK_GT(found.intervals(i, 1), atoms[i]);
    if (i > 0) BOOST_CHECK_GT(found.intervals(i, 0), found.intervals(i - 1, 1));
    BOOST_CHECK_CLOSE_FRACTION(mass(spectrum, m, found.intervals(i, 0), found.intervals(i, 1)), shares[i], 1e-6);
  }
  const auto edges = kappaflow::support_edges(spectrum, m);
  BOOST_CHECK_CLOSE_FRACTION(edges.lowest, found.intervals(0, 0), 1e-12);
  BOOST_CHECK_CLOSE_FRACTION(edges.highest, found.intervals(2, 1), 1e-12);
}

BOOST_AUTO_TEST_CASE(mass_where_samples_are_fewer_than_modes) {
  const Spectrum spectrum(vector({1, 2, 3}), vector({100, 100, 100}));
  const auto found = spectral_support(spectrum, 60);
  double total = 0;
  for (Eigen::Index i = 0; i < found.intervals.rows(); ++i) {
    total += mass(spectrum, 60, found.intervals(i, 0), found.intervals(i, 1));
  }
  BOOST_CHECK_CLOSE_FRACTION(total, 0.2, 1e-6);
  BOOST_CHECK_CLOSE_FRACTION(found.zero_atom, 0.8, 1e-14);
}

BOOST_AUTO_TEST_CASE(merges_intervals_with_few_samples) {
  const Spectrum spectrum(vector({1, 2}), vector({50, 50}));
  BOOST_CHECK_EQUAL(spectral_support(spectrum, 200).intervals.rows(), 1);
  BOOST_CHECK_EQUAL(spectral_support(spectrum, 20000).intervals.rows(), 2);
}

BOOST_AUTO_TEST_CASE(refuses_bad_input) {
  const Spectrum one(vector({1}));
  check_rejects([&] { spectral_support(one, 0); }, "m (degrees of freedom) must be finite and positive, got 0");
  check_rejects([&] { spectral_support(Spectrum(Vector::Zero(2)), 5); },
                "spectral_support: spectrum must have a positive eigenvalue, got none");
  check_rejects([&] { kappaflow::support_edges(one, kNaN); }, "m (degrees of freedom) must be finite and positive");
  check_rejects([&] { spectral_density(vector({1}), one, 0); },
                "spectral_density: m (degrees of freedom) must be finite and positive, got 0");
  check_rejects([&] { spectral_density(vector({1, 0}), one, 5); },
                "spectral_density: x must be finite and positive, got 0");
}

BOOST_AUTO_TEST_SUITE_END()
