#include <kappaflow/mode_covariance.hpp>

#include "helpers.hpp"

using namespace helpers;
using kappaflow::ModeCovariance;
using kappaflow::ModeCovarianceTerms;
using kappaflow::Spectrum;

namespace {

ModeCovarianceTerms terms_of(Eigen::Index modes) {
  ModeCovarianceTerms terms;
  terms.shift_f = vector({0.01, 0.3});
  terms.shift_g = vector({0.2, 1.0, 5.0});
  terms.weights = gaussian(2, 3, 4);
  terms.mean_term = Vector::Constant(modes, 0.5);
  return terms;
}

/// sum_ij W_ij b_k,ij b_l,ij, one pair of nodes at a time.
Matrix written_out(const Vector& s, const ModeCovarianceTerms& terms) {
  Matrix kernel = Matrix::Zero(s.size(), s.size());
  for (Eigen::Index i = 0; i < terms.shift_f.size(); ++i) {
    for (Eigen::Index j = 0; j < terms.shift_g.size(); ++j) {
      const Vector b = s.array() / ((s.array() + terms.shift_f[i]) * (s.array() + terms.shift_g[j]));
      kernel += terms.weights(i, j) * b * b.transpose();
    }
  }
  return kernel;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(mode_covariance)

BOOST_AUTO_TEST_CASE(made_of_its_terms) {
  for (const int modes : {10, 300}) {
    const Vector s = log_grid(3, 1e-3, modes);
    ModeCovarianceTerms terms = terms_of(modes);
    const ModeCovariance covariance(Spectrum(s), terms);
    Matrix expected = written_out(s, terms);
    BOOST_CHECK_EQUAL(covariance.interpolated(), modes == 300);
    BOOST_CHECK_LE(distance(covariance.diagonal(), expected.diagonal()), 1e-11);
    expected.diagonal() *= 2;
    BOOST_CHECK_LE(distance(covariance.matrix(), expected), 1e-11);
    BOOST_CHECK(covariance.mean_term() == terms.mean_term);
    BOOST_CHECK_EQUAL(covariance.radial_diagonal().cwiseAbs().maxCoeff(), 0);
    terms.exchange = false;
    expected.diagonal() /= 2;
    BOOST_CHECK_LE(distance(ModeCovariance(Spectrum(s), terms).matrix(), expected), 1e-11);
  }
}

BOOST_AUTO_TEST_CASE(the_same_map_takes_half_of_the_pairs) {
  const Vector s = log_grid(3, 1e-3, 10);
  ModeCovarianceTerms terms = terms_of(10);
  terms.shift_g = terms.shift_f;
  terms.weights = terms.shift_f * terms.shift_f.transpose();
  const Matrix all = ModeCovariance(Spectrum(s), terms).matrix();
  terms.same_map = true;
  BOOST_CHECK_LE(relative(ModeCovariance(Spectrum(s), terms).matrix(), all), 1e-14);
}

BOOST_AUTO_TEST_CASE(radial_terms_add_to_equal_modes) {
  const Vector s = log_grid(3, 1e-3, 10);
  ModeCovarianceTerms terms = terms_of(10);
  const Matrix without = ModeCovariance(Spectrum(s), terms).matrix();
  terms.radial_left = gaussian(10, 3, 1);
  terms.radial_right = gaussian(10, 3, 2);
  const ModeCovariance covariance(Spectrum(s), terms);
  const Matrix radial = terms.radial_left * terms.radial_right.transpose(), a = gaussian(4, 10, 3);
  BOOST_CHECK_LE(distance(covariance.radial_diagonal(), radial.diagonal()), 1e-14);
  BOOST_CHECK_LE(distance(covariance.radial_bilinear(a, a), (a * radial * a.transpose()).diagonal()), 1e-13);
  BOOST_CHECK_LE(distance((covariance.matrix() - without).diagonal(), radial.diagonal()), 1e-12);
}

BOOST_AUTO_TEST_CASE(refuses_terms_that_do_not_fit) {
  const Spectrum spectrum(log_grid(3, 1e-3, 10));
  const auto rejects = [&](auto&& change, const std::string& message) {
    ModeCovarianceTerms terms = terms_of(10);
    change(terms);
    check_rejects([&] { ModeCovariance(spectrum, terms); }, message);
  };
  rejects([](auto& terms) { terms.weights = Matrix::Ones(2, 2); },
          "ModeCovariance: terms.weights must have one row and column for each node, got shape (2, 2)");
  rejects([](auto& terms) { terms.same_map = true; }, "terms.shift_g must be terms.shift_f for the same map, got 0.2");
  rejects([](auto& terms) { terms.mean_term = Vector::Ones(9); },
          "terms.mean_term must have one entry for each mode, got 9");
  rejects([](auto& terms) { terms.radial_left = Matrix::Ones(9, 3); },
          "terms.radial_left must have one row for each mode, got shape (9, 3)");
  rejects([](auto& terms) { terms.radial_left = Matrix::Ones(10, 3); },
          "terms.radial_right must have the shape of terms.radial_left, got shape (0, 0)");
}

BOOST_AUTO_TEST_CASE(refuses_arguments_by_name) {
  const ModeCovariance covariance(Spectrum(log_grid(3, 1e-3, 10)), terms_of(10));
  const Matrix one = Matrix::Ones(1, 10), two = Matrix::Ones(2, 10), narrow = Matrix::Ones(1, 3);
  check_rejects([&] { covariance.apply(narrow); },
                "ModeCovariance::apply: weights must have one column for each mode, got shape (1, 3)");
  check_rejects([&] { covariance.bilinear(narrow, one); },
                "ModeCovariance::bilinear: a must have one column for each mode, got shape (1, 3)");
  check_rejects([&] { covariance.bilinear(one, narrow); },
                "ModeCovariance::bilinear: c must have one column for each mode, got shape (1, 3)");
  check_rejects([&] { covariance.bilinear(one, two); },
                "ModeCovariance::bilinear: c must have as many rows as a, got shape (2, 10)");
  check_rejects([&] { covariance.radial_bilinear(one, two); },
                "ModeCovariance::radial_bilinear: c must have as many rows as a, got shape (2, 10)");
  check_rejects([&] { covariance.output(one, two); },
                "ModeCovariance::output: y must have as many rows as x, got shape (2, 10)");
}

BOOST_AUTO_TEST_SUITE_END()
