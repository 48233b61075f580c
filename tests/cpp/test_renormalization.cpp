#include <kappaflow/errors.hpp>
#include <kappaflow/splits.hpp>

#include "helpers.hpp"

using namespace helpers;
using kappaflow::Mean;
using kappaflow::RadialScales;
using kappaflow::Renormalization;
using kappaflow::Spectrum;
using kappaflow::Splits;
using kappaflow::SplitsOptions;

namespace {

std::shared_ptr<const RadialScales> scales(const Vector& sizes) { return std::make_shared<RadialScales>(sizes); }

Vector unequal(Eigen::Index count, unsigned seed) { return gaussian(count, 1, seed).cwiseAbs2().col(0); }

}  // namespace

BOOST_AUTO_TEST_SUITE(renormalization)

BOOST_AUTO_TEST_CASE(kappa_of_unequal_sizes_solves_its_equation) {
  const Vector s = log_grid(2, 1e-5, 50), sizes = unequal(300, 3) / unequal(300, 3).mean();
  const Vector t = log_grid(1e3, 1e-8, 12);
  for (const double m : {20.0, 50.0, 400.0}) {
    const Renormalization law(Spectrum(s), m, Renormalization::kExact, scales(sizes));
    const auto nodes = law.solve(t);
    for (Eigen::Index i = 0; i < t.size(); ++i) {
      const double h = t[i] / nodes.kappa[i], df1 = kappaflow::df1(nodes.kappa[i], Spectrum(s));
      const Eigen::ArrayXd kept = (1 + sizes.array() * (df1 / (m * h))).inverse();
      BOOST_CHECK_LE(std::abs((sizes.array() * kept).mean() / h - 1), 1e-10);
      BOOST_CHECK_EQUAL(nodes.shift[i], nodes.kappa[i]);
      const double step = 1e-4 * t[i];
      const double difference = law.solve(vector({t[i] + step})).kappa[0] - law.solve(vector({t[i] - step})).kappa[0];
      BOOST_CHECK_LE(std::abs(law.derivative(nodes)[i] * 2 * step / difference - 1), 1e-4);
    }
  }
}

BOOST_AUTO_TEST_CASE(capacity_is_one_minus_q_df2) {
  const Vector s = log_grid(1, 1e-3, 30), sizes = unequal(200, 5) / unequal(200, 5).mean();
  const Vector t = vector({1e-3, 0.02, 0.5, 10});
  const Renormalization law(Spectrum(s), 25, Renormalization::kExact, scales(sizes));
  const auto nodes = law.solve(t);
  const auto pairs = law.pairs(nodes, nodes);
  for (Eigen::Index i = 0; i < t.size(); ++i) {
    for (Eigen::Index j = 0; j < t.size(); ++j) {
      const double df2 = kappaflow::df2(nodes.kappa[i], nodes.kappa[j], Spectrum(s));
      BOOST_CHECK_LE(std::abs(pairs.capacity(i, j) - (1 - pairs.coupling(i, j) * df2)), 1e-9);
      BOOST_CHECK_GT(pairs.capacity(i, j), 0);
      BOOST_CHECK_GE(pairs.coupling(i, j), 1 / 25.0 - 1e-12);  // E[ab] E[1] >= E[a] E[b] for a, b increasing in tau
    }
  }
}

BOOST_AUTO_TEST_CASE(a_sample_at_its_own_size_is_itself) {
  const Vector s = log_grid(3, 1e-4, 40), sizes = unequal(500, 7);
  const double total = 90;
  for (const auto& chosen : {std::shared_ptr<const RadialScales>(), scales(sizes)}) {
    const Splits splits(Spectrum(s), total, {Mean::estimated, kappaflow::Terms::full, total, chosen});
    const auto f = splits.sampling_map(0.1, 20, 1e-8);
    const Vector expected = s.unaryExpr([&](double x) { return f(x); });
    BOOST_CHECK_LE(relative(splits.expectation(f), expected), 1e-9);
  }
}

BOOST_AUTO_TEST_CASE(quotients_of_differences) {
  const Vector s = log_grid(3, 1e-4, 40);
  for (const auto& chosen : {std::shared_ptr<const RadialScales>(), scales(unequal(500, 7))}) {
    const Renormalization law(Spectrum(s), 30, 70, chosen);
    const Vector noise = log_grid(10, 1e-4, 9);
    const auto nodes = law.solve(noise);
    const auto pairs = law.pairs(nodes, nodes);
    for (Eigen::Index i = 0; i < 9; ++i) {
      for (Eigen::Index j = 0; j < 9; ++j) {
        if (i == j) continue;
        const double quotient = (nodes.shift[i] - nodes.shift[j]) / (nodes.kappa[i] - nodes.kappa[j]);
        BOOST_CHECK_LE(std::abs(pairs.stretch(i, j) / quotient - 1), 1e-9);
      }
      // the derivative: between noises that are close
      const auto close = law.solve(vector({noise[i] * (1 + 5e-3), noise[i] * (1 - 5e-3)}));
      const double quotient = (close.shift[0] - close.shift[1]) / (close.kappa[0] - close.kappa[1]);
      BOOST_CHECK_LE(std::abs(pairs.stretch(i, i) / quotient - 1), 1e-4);
      BOOST_CHECK_LE(std::abs(pairs.capacity(i, i) / nodes.capacity[i] - 1), 1e-9);
    }
  }
}

BOOST_AUTO_TEST_CASE(every_law_measures_its_residual) {
  const Vector s = log_grid(2, 1e-5, 50), t = vector({1e3, 0.1, 1e-6});
  const Vector given = unequal(300, 3) / unequal(300, 3).mean();
  for (const double total : {kInfinity, 80.0}) {
    for (const auto& chosen : {std::shared_ptr<const RadialScales>(), scales(given)}) {
      if (std::isinf(total) && chosen == nullptr) continue;  // solve_kappa itself
      const Splits splits(Spectrum(s), 40, {Mean::known, kappaflow::Terms::full, total, chosen});
      const auto result = splits.kappa(t);
      BOOST_CHECK(result.good());
      for (Eigen::Index i = 0; i < t.size(); ++i) {
        BOOST_CHECK_LE(result.residual[i], 1e-12);
        BOOST_CHECK_GT(result.iterations[i], 2);
        BOOST_CHECK_LT(result.iterations[i], 80);
      }
      BOOST_CHECK_EQUAL(result.total_terms, -1);
    }
  }
  // the residual is that of the equation: kappa h = t at the shift found
  const Renormalization law(Spectrum(s), 40, Renormalization::kExact, scales(given));
  const auto nodes = law.solve(t);
  const Eigen::ArrayXd h = (scales(given)->weights().transpose() * nodes.sizes.cwiseProduct(nodes.kept)).array();
  for (Eigen::Index i = 0; i < t.size(); ++i) BOOST_CHECK_SMALL(h[i] - t[i] / nodes.kappa[i], 1e-11);
}

BOOST_AUTO_TEST_CASE(without_noise) {
  const Vector s = log_grid(2, 1e-2, 10);
  const auto nodes = Renormalization(Spectrum(s), 6, 30).solve(vector({0}));  // rank above m: df1 = m
  BOOST_CHECK_CLOSE_FRACTION(kappaflow::df1(nodes.shift[0], Spectrum(s)), 6, 1e-13);
  BOOST_CHECK_LE(nodes.residual[0], 1e-14);
  BOOST_CHECK_GT(nodes.evaluations[0], 2);
  const auto zero = Renormalization(Spectrum(s), 20, 30).solve(vector({0}));
  BOOST_CHECK_EQUAL(zero.kappa[0], 0);
  BOOST_CHECK_EQUAL(zero.residual[0], 0);
}

BOOST_AUTO_TEST_CASE(tables_of_sizes_are_the_sums) {
  const Vector s = log_grid(1, 1e-6, 30);
  const RadialScales::Profiles profiles = (gaussian(50, 30, 1) * s.cwiseSqrt().asDiagonal()).cast<float>();
  const RadialScales table(Eigen::Map<const RadialScales::Profiles>(profiles.data(), 50, 30), s);
  for (const double u : {3e-9, 1e-4, 0.1, 0.73, 250.0}) {
    Vector norms = profiles.cast<double>().cwiseAbs2() * (s.array() + u).inverse().matrix();
    norms /= norms.mean();
    BOOST_CHECK_LE(relative(table.at(u), norms), 1e-8);
  }
}

BOOST_AUTO_TEST_CASE(wrong_input) {
  const Vector s = log_grid(1, 0.1, 3);
  check_rejects([&] { RadialScales(Vector(0)); }, "sizes must hold at least one entry");
  check_rejects([&] { RadialScales(vector({1, -1})); }, "sizes must be finite and not negative");
  check_rejects([&] { RadialScales(vector({0, 0})); }, "sizes must have a positive mean");
  check_rejects([&] { RadialScales(vector({1})).at(0); }, "shift must be finite and positive");
  check_rejects([&] { Splits(Spectrum(s), 5, {Mean::known, kappaflow::Terms::full, 3, nullptr}); },
                "Splits: sample_size must exceed the number of non-zero eigenvalues, 3, got 3");
  check_rejects([&] { Splits(Spectrum(s), 5, {Mean::known, kappaflow::Terms::full, 1, nullptr}); },
                "sample_size must be above 1");
  const Splits few(Spectrum(s), 50, {Mean::known, kappaflow::Terms::full, 4, nullptr});
  BOOST_CHECK_EXCEPTION(few.kappa(vector({1e-6})), kappaflow::UnidentifiedError, [](const std::exception& error) {
    return std::string(error.what())
               .find(
                   "n must be at most 4 at a noise variance this small, got noise_variance "
                   "1e-06") != std::string::npos;
  });
  BOOST_CHECK_THROW(few.kappa(vector({0})), kappaflow::UnidentifiedError);
  BOOST_CHECK_GT(few.kappa(vector({10})).kappa[0], 10);
  for (const Mean mean : {Mean::known, Mean::estimated}) {  // the value is the caller's, whatever the law makes of it
    const Splits gaussian(Spectrum(s), 2, {mean, kappaflow::Terms::full, kInfinity, nullptr});
    check_rejects([&] { gaussian.kappa(vector({1, -1})); },
                  "Splits::kappa: noise_variance must be finite and not negative, got -1");
    check_rejects([&] { gaussian.kappa_correction(vector({kNaN})); },
                  "Splits::kappa_correction: noise_variance must be finite and not negative, got nan");
  }
  check_rejects([&] { few.kappa(vector({-1})); }, "noise_variance must be finite and not negative, got -1");
  check_rejects([&] { Renormalization(Spectrum(s), 5).solve(vector({-1})); },
                "Renormalization::solve: noise must be finite and not negative, got -1");
  check_rejects([&] { Renormalization(Spectrum(s), 0); },
                "Renormalization: degrees must be finite and positive, got 0");
  const Splits elliptical(Spectrum(s), 50, {Mean::known, kappaflow::Terms::full, kInfinity, scales(vector({1, 2}))});
  check_rejects([&] { elliptical.expectation_correction(elliptical.denoiser(1)); }, "needs samples of equal size");
}

BOOST_AUTO_TEST_SUITE_END()
