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
    const auto nodes = law.solve(log_grid(10, 1e-4, 9));
    const auto pairs = law.pairs(nodes, nodes);
    for (Eigen::Index i = 0; i < 9; ++i) {
      for (Eigen::Index j = 0; j < 9; ++j) {
        if (i == j) continue;
        const double quotient = (nodes.shift[i] - nodes.shift[j]) / (nodes.kappa[i] - nodes.kappa[j]);
        BOOST_CHECK_LE(std::abs(pairs.stretch(i, j) / quotient - 1), 1e-9);
      }
      const double close = law.stretch(nodes.shift[i], nodes.shift[i] * (1 + 1e-2));
      BOOST_CHECK_LE(std::abs(pairs.stretch(i, i) / close - 1), 2e-2);
    }
  }
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
                "the sample size must exceed the number of non-zero eigenvalues, 3, got 3");
  check_rejects([&] { Splits(Spectrum(s), 5, {Mean::known, kappaflow::Terms::full, 1, nullptr}); },
                "sample_size must be above 1");
  const Splits few(Spectrum(s), 50, {Mean::known, kappaflow::Terms::full, 4, nullptr});
  BOOST_CHECK_THROW(few.kappa(vector({1e-6})), kappaflow::UnidentifiedError);
  BOOST_CHECK_THROW(few.kappa(vector({0})), kappaflow::UnidentifiedError);
  BOOST_CHECK_GT(few.kappa(vector({10})).kappa[0], 10);
  check_rejects([&] { few.kappa(vector({-1})); }, "noise_variance must be finite and not negative");
  const Splits elliptical(Spectrum(s), 50, {Mean::known, kappaflow::Terms::full, kInfinity, scales(vector({1, 2}))});
  check_rejects([&] { elliptical.expectation_correction(elliptical.denoiser(1)); }, "needs samples of equal size");
}

BOOST_AUTO_TEST_SUITE_END()
