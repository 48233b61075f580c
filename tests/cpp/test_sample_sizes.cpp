#include <kappaflow/sample_sizes.hpp>
#include <kappaflow/silverstein.hpp>

#include "helpers.hpp"

using namespace helpers;
using kappaflow::KnownSpectrum;
using kappaflow::RadialScales;
using kappaflow::SampleSizes;
using kappaflow::Spectrum;

namespace {

std::shared_ptr<const RadialScales> scales_of(const RadialScales::Profiles& profiles, const Vector& s) {
  return std::make_shared<RadialScales>(
      Eigen::Map<const RadialScales::Profiles>(profiles.data(), profiles.rows(), profiles.cols()), s);
}

RadialScales::Profiles samples(const Vector& s, const Vector& sizes) {
  return (sizes.cwiseSqrt().asDiagonal() * gaussian(sizes.size(), s.size(), 3) * s.cwiseSqrt().asDiagonal())
      .cast<float>();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sample_sizes)

BOOST_AUTO_TEST_CASE(sums_over_a_known_spectrum) {
  const Vector s = log_grid(2, 1e-6, 30);
  const KnownSpectrum known(Spectrum(s), 40), exact{Spectrum(s)};
  BOOST_CHECK(!known.exact() && exact.exact() && !known.saturated() && !exact.saturated());
  BOOST_CHECK(KnownSpectrum(Spectrum(s), 30).saturated());
  for (const double u : {1e-9, 1e-3, 1.0}) {
    const double df1 = (s.array() / (s.array() + u)).sum();
    BOOST_CHECK_CLOSE_FRACTION(known.retained(40, u), 1 - df1 / 40, 1e-13);
    BOOST_CHECK_CLOSE_FRACTION(known.spread(u, 2 * u), (s.array() / ((s.array() + u) * (s.array() + 2 * u))).sum(),
                               1e-14);
  }
  // where all degrees of freedom are used up, the difference 1 - df1/m would be rounding
  BOOST_CHECK_CLOSE_FRACTION(known.retained(30, 1e-18), 1e-18 * s.cwiseInverse().sum() / 30, 1e-12);
  check_rejects([&] { KnownSpectrum(Spectrum(s), 29); },
                "KnownSpectrum: degrees must be at least the number of non-zero eigenvalues, 30, got 29");
}

BOOST_AUTO_TEST_CASE(equal_and_given_sizes) {
  const KnownSpectrum known{Spectrum(log_grid(2, 1e-2, 10))};
  BOOST_CHECK(SampleSizes().equal());
  const SampleSizes given(std::make_shared<RadialScales>(vector({1, 3})), known, 1);
  BOOST_CHECK(given.given() && !given.equal());
  BOOST_CHECK_LE(distance(given.at(known, 0.1), vector({1.5, 0.5})), 1e-15);
  BOOST_CHECK_CLOSE_FRACTION(given.weights().sum(), 1, 1e-15);
}

BOOST_AUTO_TEST_CASE(gaussian_profiles_have_nearly_equal_sizes) {
  const Vector s = log_grid(1, 1e-1, 100), ones = Vector::Ones(4000);
  const auto profiles = samples(s, ones);
  const KnownSpectrum known{Spectrum(s)};
  const Vector norms = scales_of(profiles, s)->at(0.3);
  const SampleSizes sizes(scales_of(profiles, s), known, 1);
  const Vector drawn = sizes.at(known, 0.3);
  BOOST_CHECK_GT((norms.array() - 1).square().mean(), 0.015);
  BOOST_CHECK_LT((drawn.array() - 1).square().mean(), 0.2 * (norms.array() - 1).square().mean());
}

BOOST_AUTO_TEST_CASE(the_variance_of_sizes_is_found_behind_that_of_norms) {
  const Vector s = log_grid(1, 1e-1, 100);
  const Vector tau = 0.5 + gaussian(4000, 1, 9).cwiseAbs2().array() / 2;  // variance 1/2
  const auto profiles = samples(s, tau / tau.mean());
  const KnownSpectrum known{Spectrum(s)};
  const Vector drawn = SampleSizes(scales_of(profiles, s), known, 1).at(known, 0.1);
  const double truth = (tau.array() / tau.mean() - 1).square().mean();
  BOOST_CHECK_CLOSE_FRACTION((drawn.array() - 1).square().mean(), truth, 0.1);
  BOOST_CHECK_EQUAL(SampleSizes(scales_of(profiles, s), known, 1).at(known, 0.1, 10).size(), 400);
}

BOOST_AUTO_TEST_SUITE_END()
