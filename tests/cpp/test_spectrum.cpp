#include <kappaflow/silverstein.hpp>
#include <kappaflow/spectrum.hpp>

#include "helpers.hpp"

using namespace helpers;
using kappaflow::Spectrum;

BOOST_AUTO_TEST_SUITE(spectrum)

BOOST_AUTO_TEST_CASE(keeps_the_callers_order_and_counts_zeros) {
  const Spectrum spectrum(vector({0.5, 0, 4, 1}), vector({2, 3, 1, 5}));
  BOOST_CHECK(spectrum.eigenvalues() == vector({0.5, 0, 4, 1}));
  BOOST_CHECK(spectrum.multiplicity() == vector({2, 3, 1, 5}));
  BOOST_CHECK(spectrum.positive() == vector({4, 1, 0.5}));
  BOOST_CHECK(spectrum.positive_multiplicity() == vector({1, 5, 2}));
  BOOST_CHECK(spectrum.count_above() == vector({0, 1, 6, 8}));
  BOOST_CHECK_EQUAL(spectrum.dimension(), 11);
  BOOST_CHECK_EQUAL(spectrum.rank(), 8);
  BOOST_CHECK_EQUAL(spectrum.trace(), 10);
  BOOST_CHECK_EQUAL(spectrum.largest(), 4);
  BOOST_CHECK_EQUAL(spectrum.smallest_positive(), 0.5);
}

BOOST_AUTO_TEST_CASE(all_zero_spectrum_has_rank_zero) {
  const Spectrum spectrum(Vector::Zero(3));
  BOOST_CHECK_EQUAL(spectrum.rank(), 0);
  BOOST_CHECK_EQUAL(spectrum.dimension(), 3);
  BOOST_CHECK_EQUAL(spectrum.largest(), 0);
  BOOST_CHECK_EQUAL(spectrum.compressed().dimension(), 3);
}

BOOST_AUTO_TEST_CASE(refuses_bad_input) {
  check_rejects([] { Spectrum(Vector(0)); }, "Spectrum: eigenvalues must hold at least one value, got 0");
  check_rejects([] { Spectrum(vector({1, -2})); }, "Spectrum: eigenvalues must be finite and not negative, got -2");
  check_rejects([] { Spectrum(vector({1, kNaN})); }, "Spectrum: eigenvalues must be finite and not negative, got");
  check_rejects([] { Spectrum(vector({kInfinity})); }, "eigenvalues must be finite and not negative, got inf");
  check_rejects([] { Spectrum(vector({1, 2}), vector({1})); }, "multiplicity must have one entry for each eigenvalue");
  check_rejects([] { Spectrum(vector({1}), vector({0})); }, "multiplicity must be finite and positive, got 0");
  check_rejects([] { Spectrum(vector({1}), vector({kNaN})); }, "multiplicity must be finite and positive");
  check_rejects([] { Spectrum(vector({1e300}), vector({10})); }, "eigenvalues must have a sum below 1e300, got");
  check_rejects([] { Spectrum(vector({1})).compressed(1); }, "nodes_per_decade must be at least 2, got 1");
}

BOOST_AUTO_TEST_CASE(compression_keeps_every_sum) {
  for (const double decades : {0.5, 3.0, 12.0}) {
    Vector s(5001);
    s.head(5000) = log_grid(7.0, 7.0 * std::pow(10, -decades), 5000);
    s[5000] = 0;
    Vector mult = Vector::Ones(5001);
    mult[17] = 40;
    mult[5000] = 12;
    const Spectrum full(s, mult), small = full.compressed();
    BOOST_TEST_INFO("decades " << decades);
    BOOST_CHECK_LE(small.size(), 12 * (static_cast<int>(decades) + 1) + 1);
    BOOST_CHECK_CLOSE_FRACTION(small.dimension(), full.dimension(), 1e-13);
    BOOST_CHECK_CLOSE_FRACTION(small.rank(), full.rank(), 1e-13);
    BOOST_CHECK_CLOSE_FRACTION(small.trace(), full.trace(), 1e-12);
    for (const double kappa : log_grid(1e6, 1e-16, 89)) {
      const auto positive = full.positive().array(), counts = full.positive_multiplicity().array();
      const double first = (counts * positive / (positive + kappa)).sum();
      const double second = (counts * (positive / (positive + kappa)).square()).sum();
      BOOST_TEST_INFO("kappa " << kappa);
      BOOST_CHECK_CLOSE_FRACTION(kappaflow::df1(kappa, small), first, 1e-12);
      BOOST_CHECK_CLOSE_FRACTION(kappaflow::df2(kappa, kappa, small), second, 1e-11);
    }
  }
}

BOOST_AUTO_TEST_CASE(compression_of_few_atoms_is_the_identity) {
  const Spectrum spectrum(vector({1e-20, 3, 0, 1e5}), vector({2, 1, 4, 9}));
  const Spectrum small = spectrum.compressed();
  BOOST_CHECK(small.eigenvalues() == vector({1e5, 3, 1e-20, 0}));
  BOOST_CHECK(small.multiplicity() == vector({9, 1, 2, 4}));
}

BOOST_AUTO_TEST_SUITE_END()
