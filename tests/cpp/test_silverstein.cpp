#include <algorithm>
#include <kappaflow/silverstein.hpp>

#include "helpers.hpp"

using namespace helpers;
using kappaflow::KappaResult;
using kappaflow::solve_kappa;
using kappaflow::Spectrum;

namespace {

/// kappa^2 + kappa (s (1 - d/m) - t) - t s = 0 for d equal eigenvalues s: the larger root, without cancellation.
double isotropic(double t, double s, double d, double m) {
  const long double half = 0.5L * (s * ((long double)m - d) / m - t), product = (long double)t * s;
  const long double root = std::sqrt(half * half + product);
  return static_cast<double>(half > 0 ? product / (half + root) : root - half);
}

/// Largest root by bisection in long double: slow, needs no derivative and no split of the sum.
double by_bisection(double t, const Spectrum& spectrum, double m) {
  using Real = long double;
  const auto excess = [&](Real kappa) {
    Real high = 0, low = 0, count = 0;
    for (Eigen::Index k = 0; k < spectrum.size(); ++k) {
      const Real s = spectrum.eigenvalues()[k], mult = spectrum.multiplicity()[k];
      if (s > kappa) {
        count += mult;
        high += mult * kappa / (s + kappa);
      } else if (s > 0) {
        low += mult * s / (s + kappa);
      }
    }
    return kappa * (((Real)m - count + high - low) / m) - t;
  };
  // The equation is convex with at most one root to the right of its minimum: come down from the right by bisection.
  Real right = (Real)t + (Real)spectrum.trace() / m, left = right;
  while (excess(left) >= 0) left /= 2;
  for (int i = 0; i < 200; ++i) {
    const Real middle = 0.5L * (left + right);
    (excess(middle) >= 0 ? right : left) = middle;
  }
  return static_cast<double>(right);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(silverstein)

BOOST_AUTO_TEST_CASE(isotropic_closed_form) {
  const Vector t = vector({0, 1e-30, 1e-12, 1e-6, 0.01, 1, 3, 1e4, 1e12, 1e30});
  for (const double s : {1e-3, 1.0, 50.0}) {
    for (const double d : {1.0, 16.0, 64.0, 1000.0}) {
      for (const double m : {1.0, 16.0, 17.0, 64.0, 1000.5}) {
        const KappaResult result = solve_kappa(t, Spectrum(vector({s}), vector({d})), m);
        BOOST_CHECK(result.good());
        for (Eigen::Index i = 0; i < t.size(); ++i) {
          BOOST_TEST_INFO("s " << s << " d " << d << " m " << m << " t " << t[i]);
          const double exact = isotropic(t[i], s, d, m);
          if (exact == 0) {
            BOOST_CHECK_EQUAL(result.kappa[i], 0);
          } else {
            BOOST_CHECK_CLOSE_FRACTION(result.kappa[i], exact, 4e-15);
          }
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(more_modes_than_samples_without_noise) {
  const Spectrum spectrum(vector({1}), vector({64}));
  BOOST_CHECK_CLOSE_FRACTION(solve_kappa(vector({0}), spectrum, 16).kappa[0], 3, 1e-15);
  const Spectrum power(log_grid(1, 1e-4, 300));
  const KappaResult result = solve_kappa(vector({0}), power, 40);
  BOOST_CHECK(result.good());
  BOOST_CHECK_CLOSE_FRACTION(result.df1[0], 40, 1e-13);
  BOOST_CHECK_CLOSE_FRACTION(result.kappa[0], by_bisection(0, power, 40), 1e-14);
}

BOOST_AUTO_TEST_CASE(no_noise_and_enough_samples_give_zero) {
  const KappaResult result = solve_kappa(vector({0}), Spectrum(vector({1, 2, 0})), 4);
  BOOST_CHECK(result.good());
  BOOST_CHECK_EQUAL(result.kappa[0], 0);
  BOOST_CHECK_EQUAL(result.df1[0], 2);
  BOOST_CHECK_EQUAL(result.derivative[0], 2);
  const KappaResult edge = solve_kappa(vector({0}), Spectrum(vector({1, 2})), 2);
  BOOST_CHECK(edge.good());
  BOOST_CHECK_EQUAL(edge.kappa[0], 0);
  BOOST_CHECK_EQUAL(edge.derivative[0], kInfinity);
}

BOOST_AUTO_TEST_CASE(as_many_samples_as_modes) {
  const Spectrum spectrum(log_grid(1, 1e-3, 50));
  const Vector t = log_grid(1, 1e-20, 21);
  const KappaResult result = solve_kappa(t, spectrum, 50);
  BOOST_CHECK(result.good());
  for (Eigen::Index i = 0; i < t.size(); ++i) {
    BOOST_CHECK_CLOSE_FRACTION(result.kappa[i], by_bisection(t[i], spectrum, 50), 2e-14);
  }
  // near zero, t = kappa^2 tr(1/Sigma)/m
  BOOST_CHECK_CLOSE_FRACTION(result.kappa[20], std::sqrt(1e-20 * 50 / spectrum.positive().cwiseInverse().sum()), 1e-6);
}

BOOST_AUTO_TEST_CASE(twenty_five_decades) {
  const Spectrum spectrum(log_grid(1e5, 1e-20, 2000));
  const Vector t = vector({0, 1e-22, 1e-15, 1e-8, 1, 1e4, 1e8});
  for (const double m : {10.0, 700.0, 1999.0, 2000.0, 2001.0, 1e5}) {
    const KappaResult result = solve_kappa(t, spectrum, m);
    BOOST_CHECK(result.good());
    for (Eigen::Index i = m >= 2000 ? 1 : 0; i < t.size(); ++i) {
      BOOST_TEST_INFO("m " << m << " t " << t[i]);
      BOOST_CHECK_CLOSE_FRACTION(result.kappa[i], by_bisection(t[i], spectrum, m), 2e-14);
      BOOST_CHECK_LT(result.iterations[i], 200);
    }
  }
}

BOOST_AUTO_TEST_CASE(huge_multiplicity) {
  const Spectrum spectrum(vector({1e-6, 1}), vector({1e9, 10}));
  const Vector t = vector({0, 1e-6, 0.1});
  const KappaResult result = solve_kappa(t, spectrum, 1e6);
  BOOST_CHECK(result.good());
  for (Eigen::Index i = 0; i < 3; ++i) {
    BOOST_CHECK_CLOSE_FRACTION(result.kappa[i], by_bisection(t[i], spectrum, 1e6), 1e-14);
  }
  BOOST_CHECK_CLOSE_FRACTION(solve_kappa(vector({0}), Spectrum(vector({1}), vector({1e9})), 1e6).kappa[0], 999, 1e-15);
}

BOOST_AUTO_TEST_CASE(extreme_scales) {
  const Vector s = log_grid(1, 1e-5, 30), t = vector({0, 1e-7, 0.3});
  for (const double m : {7.0, 30.0, 90.0}) {
    const Vector kappa = solve_kappa(t, Spectrum(s), m).kappa;
    for (const double scale : {1e-100, 1e100}) {
      const KappaResult result = solve_kappa(t * scale, Spectrum(s * scale), m);
      BOOST_CHECK(result.good());
      BOOST_CHECK_LE(relative(result.kappa / scale, kappa), 1e-14);
    }
  }
}

BOOST_AUTO_TEST_CASE(multiplicity_is_repetition) {
  const Vector t = log_grid(10, 1e-6, 9);
  const Vector repeated = vector({2, 2, 2, 0.1, 0.1, 0, 0});
  const KappaResult one = solve_kappa(t, Spectrum(repeated), 3);
  const KappaResult two = solve_kappa(t, Spectrum(vector({2, 0.1, 0}), vector({3, 2, 2})), 3);
  BOOST_CHECK_LE(relative(one.kappa, two.kappa), 4e-15);
}

BOOST_AUTO_TEST_CASE(result_is_consistent_and_in_the_callers_order) {
  const Spectrum spectrum(log_grid(3, 1e-7, 120));
  const Vector t = vector({0.1, 0, 10, 1e-9, 0.1});
  const double m = 60;
  const KappaResult result = solve_kappa(t, spectrum, m);
  BOOST_CHECK(result.good());
  BOOST_CHECK_CLOSE_FRACTION(result.kappa[0], result.kappa[4], 1e-15);
  long work = 0;
  for (Eigen::Index i = 0; i < t.size(); ++i) {
    const double kappa = result.kappa[i];
    BOOST_CHECK_GE(kappa, t[i]);
    BOOST_CHECK_CLOSE_FRACTION(result.df1[i], kappaflow::df1(kappa, spectrum), 1e-14);
    BOOST_CHECK_CLOSE_FRACTION(result.derivative[i], m / (m - kappaflow::df2(kappa, kappa, spectrum)), 1e-11);
    BOOST_CHECK_LE(result.residual[i], 1e-14);
    BOOST_CHECK(result.certified[i]);
    work += 120L * result.iterations[i];
  }
  BOOST_CHECK_EQUAL(result.total_terms, work);
}

BOOST_AUTO_TEST_CASE(increases_and_is_concave_in_the_noise) {
  const Spectrum spectrum(log_grid(1, 1e-6, 80));
  for (const double m : {20.0, 80.0, 300.0}) {
    const Vector t = Vector::LinSpaced(200, 0, 2);
    const Vector kappa = solve_kappa(t, spectrum, m).kappa;
    for (Eigen::Index i = 1; i < t.size(); ++i) BOOST_CHECK_GT(kappa[i], kappa[i - 1]);
    for (Eigen::Index i = 2; i < t.size(); ++i) {
      BOOST_CHECK_LE(kappa[i] - kappa[i - 1], (kappa[i - 1] - kappa[i - 2]) * (1 + 1e-10));
    }
  }
}

BOOST_AUTO_TEST_CASE(warm_starts_across_three_hundred_decades) {
  const Spectrum spectrum(vector({1.98e-106, 1.2e-109, 1.2e-109}));
  const KappaResult both = solve_kappa(vector({1.98e-106, 4e227}), spectrum, 4);
  BOOST_CHECK(both.good());
  BOOST_CHECK_EQUAL(both.kappa[1], 4e227);
  BOOST_CHECK_CLOSE_FRACTION(both.kappa[0], solve_kappa(vector({1.98e-106}), spectrum, 4).kappa[0], 1e-15);
}

BOOST_AUTO_TEST_CASE(all_of_the_range_of_double) {
  // m = rank: kappa^2 sum 1/s = m t next to zero
  const KappaResult wide = solve_kappa(vector({5e-324, 1e-300, 0, 1.7e308}), Spectrum(vector({1e299, 1, 1e-300})), 3);
  BOOST_CHECK(wide.good());
  BOOST_CHECK_CLOSE_FRACTION(wide.kappa[0], std::sqrt(3 * 4.94065645841246544e-24) * 1e-300, 1e-10);
  BOOST_CHECK_EQUAL(wide.kappa[2], 0);
  BOOST_CHECK_CLOSE_FRACTION(wide.kappa[3], 1.7e308 + 1e299 / 3, 1e-15);
  // no noise and one sample less than modes: the harmonic mean of two eigenvalues over the number of samples
  const KappaResult below = solve_kappa(vector({0}), Spectrum(vector({2e-310, 2e-310})), 1);
  BOOST_CHECK(below.good());
  BOOST_CHECK_CLOSE_FRACTION(below.kappa[0], 2e-310, 1e-12);
  const KappaResult above = solve_kappa(vector({1.7e308}), Spectrum(vector({1e299})), 1e-10);
  BOOST_CHECK(!above.good());
  BOOST_CHECK_EQUAL(above.kappa[0], kInfinity);
}

BOOST_AUTO_TEST_CASE(counts_that_are_not_whole_are_exact) {
  // 0.1 + 0.2 + 0.3 exceeds 0.6 by 1.4 units of rounding, so that kappa(0) is positive
  const Vector s = vector({1, 2, 4}), multiplicity = vector({0.1, 0.2, 0.3});
  const Spectrum spectrum(s, multiplicity);
  const long double surplus = (long double)0.1 + (long double)0.2 + (long double)0.3 - (long double)0.6;
  BOOST_REQUIRE_GT(surplus, 0);
  const KappaResult result = solve_kappa(vector({0}), spectrum, 0.6);
  BOOST_CHECK(result.good());
  const double inverse = (multiplicity.array() / s.array()).sum();
  BOOST_CHECK_CLOSE_FRACTION(result.kappa[0], static_cast<double>(surplus) / inverse, 1e-12);
  BOOST_CHECK_EQUAL(spectrum.count_error(), 0);
}

BOOST_AUTO_TEST_CASE(a_factor_of_the_noise_is_exact) {
  const Spectrum spectrum(vector({1, 0.5}));
  const KappaResult result = solve_kappa(vector({5e-324}), spectrum, 2, {.noise_factor = 1.4});
  BOOST_CHECK(result.good());
  BOOST_CHECK_CLOSE_FRACTION(result.kappa[0], std::sqrt(1.4 * 4.94065645841246544e-24 * 2 / 3) * 1e-150, 1e-12);
}

BOOST_AUTO_TEST_CASE(unfinished_iterations_are_not_certified) {
  const KappaResult result = solve_kappa(vector({0.1}), Spectrum(log_grid(1, 1e-9, 200)), 50, {.max_iterations = 1});
  BOOST_CHECK(!result.certified[0]);
  BOOST_CHECK(!result.good());
}

BOOST_AUTO_TEST_CASE(zero_spectrum_leaves_the_noise_alone) {
  const Vector t = vector({0, 0.5, 4});
  const KappaResult result = solve_kappa(t, Spectrum(Vector::Zero(3)), 2);
  BOOST_CHECK(result.good());
  BOOST_CHECK_LE((result.kappa - t).cwiseAbs().maxCoeff(), 1e-15);
  BOOST_CHECK_EQUAL(solve_kappa(Vector(0), Spectrum(vector({1})), 2).kappa.size(), 0);
}

BOOST_AUTO_TEST_CASE(refuses_bad_input) {
  const Spectrum one(vector({1}));
  const Vector t = vector({1});
  check_rejects([&] { solve_kappa(t, one, 0); },
                "solve_kappa: m (degrees of freedom) must be finite and positive, got 0");
  check_rejects([&] { solve_kappa(t, one, -3); }, "m (degrees of freedom) must be finite and positive, got -3");
  check_rejects([&] { solve_kappa(t, one, kInfinity); }, "m (degrees of freedom) must be finite and positive, got inf");
  check_rejects([&] { solve_kappa(vector({1, -0.5}), one, 2); },
                "solve_kappa: noise_variance must be finite and not negative, got -0.5");
  check_rejects([&] { solve_kappa(vector({kNaN}), one, 2); }, "noise_variance must be finite and not negative, got");
  check_rejects([&] { solve_kappa(vector({kInfinity}), one, 2); }, "noise_variance must be finite and not negative");
  check_rejects([&] { solve_kappa(t, one, 2, {.max_iterations = 0}); }, "max_iterations must be at least 1, got 0");
  check_rejects([&] { solve_kappa(t, one, 2, {.certificate_width = 0.5}); },
                "certificate_width must lie in (0, 0.1), got 0.5");
  check_rejects([&] { solve_kappa(t, one, 2, {.certificate_width = 0}); }, "certificate_width must lie in (0, 0.1)");
  check_rejects([&] { kappaflow::df1(-1, one); }, "df1: kappa must be finite and not negative, got -1");
  check_rejects([&] { kappaflow::df2(-1, 1, one); }, "df2: kappa must be finite and not negative, got -1");
  check_rejects([&] { kappaflow::df2(1, kNaN, one); }, "df2: kappa2 must be finite and not negative, got nan");
}

BOOST_AUTO_TEST_CASE(degrees_of_freedom) {
  const Spectrum spectrum(vector({4, 1, 0}), vector({2, 3, 5}));
  BOOST_CHECK_CLOSE_FRACTION(kappaflow::df1(1, spectrum), 2 * 0.8 + 3 * 0.5, 1e-15);
  BOOST_CHECK_CLOSE_FRACTION(kappaflow::df2(1, 4, spectrum), 2 * 0.8 * 0.5 + 3 * 0.5 * 0.2, 1e-15);
  BOOST_CHECK_EQUAL(kappaflow::df1(0, spectrum), 5);
  BOOST_CHECK_EQUAL(kappaflow::df2(0, 0, spectrum), 5);
}

BOOST_AUTO_TEST_SUITE_END()
