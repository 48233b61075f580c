#include <functional>
#include <kappaflow/spectral_function.hpp>

#include "helpers.hpp"

using namespace helpers;
using kappaflow::Interval;
using kappaflow::SpectralFunction;

namespace {

/// The rounding errors in a bound: a unit for each node and 64 more; and those of the reference, a few units.
double rounding(const SpectralFunction& f) { return 1.2e-16 * (static_cast<double>(f.shifts().size()) + 64); }
constexpr double kReference = 5e-16;
/// The bound of a bare rule is without rounding.
constexpr double kRuleRounding = 1e-14;

double sup_error(const SpectralFunction& f, Interval support, const std::function<double(double)>& exact) {
  double worst = 0;
  for (const double x : log_grid(support.high, support.low, 2001))
    worst = std::max(worst, std::abs(f(x) / exact(x) - 1));
  return worst;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(spectral_function)

BOOST_AUTO_TEST_CASE(denoiser_is_exact) {
  const auto f = SpectralFunction::denoiser(0.5);
  BOOST_CHECK_EQUAL(f.shifts().size(), 1);
  BOOST_CHECK_EQUAL(f.error_bound(), 0);
  BOOST_CHECK_EQUAL(f(0), 0);
  for (const double x : {1e-9, 0.3, 1e7}) BOOST_CHECK_CLOSE_FRACTION(f(x), x / (x + 0.25), 1e-15);
  BOOST_CHECK_EQUAL(SpectralFunction::denoiser(0)(3), 1);
}

BOOST_AUTO_TEST_CASE(sampling_map_keeps_its_bound) {
  for (const double ratio : {1e1, 1e3, 1e6, 1e12, 1e18, 1e25}) {
    for (const double tolerance : {1e-4, 1e-8, 1e-12, 1e-14}) {
      for (const double sigma : {0.0, 0.002, 1.0, 79.0}) {
        const Interval support{1e2 / ratio, 1e2};
        const auto f = SpectralFunction::sampling_map(sigma, 80, support, tolerance);
        const double a = sigma * sigma, b = 6400;
        BOOST_TEST_INFO("ratio " << ratio << " tolerance " << tolerance << " sigma " << sigma);
        BOOST_CHECK_LE(f.error_bound(), tolerance + rounding(f));
        BOOST_TEST_INFO("ratio " << ratio << " tolerance " << tolerance << " sigma " << sigma);
        BOOST_CHECK_LE(sup_error(f, support, [&](double x) { return std::sqrt((x + a) / (x + b)); }),
                       f.error_bound() + kReference);
        BOOST_CHECK_EQUAL(f(0), sigma / 80);
        BOOST_CHECK_EQUAL(f.constant(), sigma / 80);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(powers_keep_their_bound) {
  for (const double alpha : {0.1, 0.5, 0.9}) {
    for (const double ratio : {1e1, 1e6, 1e25}) {
      for (const double tolerance : {1e-4, 1e-8, 1e-14}) {
        const Interval support{1e3 / ratio, 1e3};
        const auto f = SpectralFunction::matrix_power(alpha, support, tolerance);
        BOOST_TEST_INFO("alpha " << alpha << " ratio " << ratio << " tolerance " << tolerance);
        BOOST_CHECK_LE(sup_error(f, support, [&](double x) { return std::pow(x, alpha); }),
                       f.error_bound() + kReference);
        BOOST_CHECK_LE(f.error_bound(), tolerance + rounding(f) + 4e-14);  // exponents of 80 over 25 decades
        BOOST_CHECK_EQUAL(f(0), 0);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(square_root_rule_meets_its_tolerance_with_few_nodes) {
  const Interval interval{1e-6, 10};
  int before = 0;
  for (const double tolerance : {1e-2, 1e-6, 1e-10, 1e-14}) {
    const int nodes = kappaflow::square_root_nodes(interval, tolerance);
    BOOST_CHECK_GT(nodes, before);
    before = nodes;
    const auto rule = kappaflow::square_root_rule(interval, nodes);
    BOOST_CHECK_EQUAL(rule.shifts.size(), nodes);
    BOOST_CHECK_LE(rule.error_bound, tolerance * (1 + 1e-12));
    BOOST_CHECK_GT(rule.weights.minCoeff(), 0);
    for (const double y : log_grid(10, 1e-6, 501)) {
      const double value = (rule.weights.array() * y / (y + rule.shifts.array())).sum();
      BOOST_CHECK_LE(std::abs(value / std::sqrt(y) - 1), rule.error_bound + kRuleRounding);
    }
  }
  BOOST_CHECK_LE(before, 34);
}

BOOST_AUTO_TEST_CASE(square_root_rule_keeps_its_bound_for_any_number_of_nodes) {
  for (const double ratio : {1.0001, 2.0, 1e2, 1e6, 1e15, 1e25}) {
    for (const int nodes : {1, 2, 3, 5, 9, 17}) {
      const Interval interval{3 / ratio, 3};
      const auto rule = kappaflow::square_root_rule(interval, nodes);
      double worst = 0;
      for (const double y : log_grid(interval.high, interval.low, 2001)) {
        worst =
            std::max(worst, std::abs((rule.weights.array() * y / (y + rule.shifts.array())).sum() / std::sqrt(y) - 1));
      }
      BOOST_TEST_INFO("ratio " << ratio << " nodes " << nodes);
      BOOST_CHECK_LE(worst, rule.error_bound + kRuleRounding);
    }
  }
}

BOOST_AUTO_TEST_CASE(any_mixture) {
  const SpectralFunction f(0.25, vector({1, -2}), vector({0, 3}));
  BOOST_CHECK_CLOSE_FRACTION(f(1), 0.25 + 1 - 0.5, 1e-15);
  BOOST_CHECK_EQUAL(f(0), 0.25);
}

BOOST_AUTO_TEST_CASE(refuses_bad_input) {
  const Interval fine{0.1, 1};
  check_rejects([] { SpectralFunction(kNaN, vector({1}), vector({1})); }, "constant must be finite");
  check_rejects([] { SpectralFunction(0, vector({1, 2}), vector({1})); },
                "weights must have one entry for each shift, got 2");
  check_rejects([] { SpectralFunction(0, vector({kInfinity}), vector({1})); }, "weights must be finite, got inf");
  check_rejects([] { SpectralFunction(0, vector({1}), vector({-1})); },
                "shifts must be finite and not negative, got -1");
  check_rejects([] { SpectralFunction::denoiser(1)(-1); }, "x must not be negative, got -1");
  check_rejects([] { SpectralFunction::denoiser(-1); }, "denoiser: sigma must be finite and not negative, got -1");
  check_rejects([&] { SpectralFunction::sampling_map(1, 1, fine); }, "sigma_max must be finite and above sigma, got 1");
  check_rejects([&] { SpectralFunction::sampling_map(-1, 1, fine); }, "sigma must be finite and not negative, got -1");
  check_rejects([] { SpectralFunction::sampling_map(0, 1, {0, 1}); }, "support.low must be finite and positive, got 0");
  check_rejects([] { SpectralFunction::sampling_map(0, 1, {2, 1}); }, "support.high must be finite and at least");
  check_rejects([&] { SpectralFunction::sampling_map(0, 1, fine, 0); }, "tolerance must lie in [1e-15, 0.1], got 0");
  check_rejects([&] { SpectralFunction::matrix_power(1, fine); }, "alpha must lie strictly between 0 and 1, got 1");
  check_rejects([&] { SpectralFunction::matrix_power(0.5, fine, 0.5); }, "tolerance must lie in [1e-15, 0.1], got 0.5");
  check_rejects([&] { kappaflow::square_root_rule(fine, 0); }, "nodes must be at least 1, got 0");
}

BOOST_AUTO_TEST_SUITE_END()
