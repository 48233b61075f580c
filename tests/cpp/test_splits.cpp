#include <kappaflow/splits.hpp>

#include "helpers.hpp"

using namespace helpers;
using kappaflow::Mean;
using kappaflow::SpectralFunction;
using kappaflow::Spectrum;
using kappaflow::Splits;
using kappaflow::Terms;

namespace {

/// The law as it is written, one pair of nodes at a time: no interpolation, no shared products.
struct Brute {
  Matrix kernel;     // sum_ij w_i w_j K_ij a_k a_l, without exchange
  Vector mean_term;  // the node at infinity is a node with a huge shift
};

struct BruteNodes {
  Vector weights, kappa;
};

BruteNodes brute_nodes(const Splits& splits, const SpectralFunction& f, double far) {
  const auto count = f.shifts().size();
  BruteNodes nodes{Vector(count + 1), Vector(count + 1)};
  Vector shifts(count + 1);
  shifts << f.shifts(), far;
  nodes.weights << f.weights(), 1 - f.constant() - f.weights().sum();
  nodes.kappa =
      kappaflow::solve_kappa(shifts * (splits.n() / splits.degrees()), splits.spectrum(), splits.degrees()).kappa;
  return nodes;
}

Brute brute(const Splits& splits, const SpectralFunction& f, const SpectralFunction& g) {
  const auto& s = splits.spectrum().eigenvalues();
  const auto& mult = splits.spectrum().multiplicity();
  const double far = 1e13 * std::max({splits.spectrum().largest(), f.shifts().maxCoeff(), g.shifts().maxCoeff()});
  const BruteNodes nf = brute_nodes(splits, f, far), ng = brute_nodes(splits, g, far);
  Brute result{Matrix::Zero(s.size(), s.size()), Vector::Zero(s.size())};
  for (Eigen::Index i = 0; i < nf.kappa.size(); ++i) {
    for (Eigen::Index j = 0; j < ng.kappa.size(); ++j) {
      const double ki = nf.kappa[i], kj = ng.kappa[j], weight = nf.weights[i] * ng.weights[j];
      Vector a(s.size());
      for (Eigen::Index k = 0; k < s.size(); ++k) a[k] = s[k] > 0 ? s[k] / ((s[k] + ki) * (s[k] + kj)) : 0.0;
      const double remaining = splits.degrees() - (mult.array() * s.array() * a.array()).sum();
      result.mean_term += weight * ki * kj * splits.degrees() / remaining / splits.n() * a;
      const bool finite = i + 1 < nf.kappa.size() && j + 1 < ng.kappa.size();
      if (finite) result.kernel += weight * ki * kj / remaining * a * a.transpose();
    }
  }
  return result;
}

Matrix with_exchange(Matrix kernel) {
  kernel.diagonal() *= 2;
  return kernel;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(splits)

BOOST_AUTO_TEST_CASE(interpolated_kernel_equals_direct_sums) {
  for (const double n : {150.0, 399.0, 900.0}) {
    const Splits splits(Spectrum(log_grid(5, 5e-7, 400)), n);
    for (const double sigma : {0.0, 0.3}) {
      const auto f = splits.sampling_map(sigma, 80);
      const auto covariance = splits.covariance(f, f);
      BOOST_REQUIRE(covariance.interpolated());
      const Brute reference = brute(splits, f, f);
      BOOST_TEST_INFO("n " << n << " sigma " << sigma);
      BOOST_CHECK_LE(relative(covariance.matrix(), with_exchange(reference.kernel)), 1e-11);
      BOOST_CHECK_LE(relative(covariance.diagonal(), reference.kernel.diagonal()), 1e-11);
      BOOST_CHECK_LE(relative(splits.equal_mode_variance(f), 2 * reference.kernel.diagonal()), 1e-11);
      BOOST_CHECK_LE(relative(covariance.mean_term(), reference.mean_term), 1e-10);
      const Matrix x = gaussian(3, 400, 8), y = gaussian(3, 400, 9);
      const Matrix apply = x.cwiseAbs2() * reference.kernel;
      BOOST_CHECK_LE(relative(covariance.apply(x.cwiseAbs2()), apply), 1e-11);
      const Vector bilinear = ((x * reference.kernel).cwiseProduct(y)).rowwise().sum();
      BOOST_CHECK_LE(distance(covariance.bilinear(x, y), bilinear), 1e-10);
      const Matrix products = x.cwiseProduct(y);
      Matrix output = products * with_exchange(reference.kernel);
      output.rowwise() += reference.mean_term.transpose();
      BOOST_CHECK_LE(distance(covariance.output(x, y), output), 1e-10);
    }
  }
}

BOOST_AUTO_TEST_CASE(direct_kernel_with_two_maps) {
  const Splits splits(Spectrum(vector({3, 1, 0.2, 0.2, 0.01, 0})), 12);
  const auto f = splits.sampling_map(0, 80), g = splits.denoiser(0.4);
  const auto covariance = splits.covariance(f, g);
  BOOST_CHECK(!covariance.interpolated());
  const Brute reference = brute(splits, f, g);
  BOOST_CHECK_LE(relative(covariance.matrix(), with_exchange(reference.kernel)), 1e-12);
  BOOST_CHECK_LE(relative(covariance.mean_term(), reference.mean_term), 1e-10);
  const auto transposed = splits.covariance(g, f);
  BOOST_CHECK_LE(relative(transposed.matrix(), covariance.matrix()), 1e-13);
  BOOST_CHECK_LE(relative(transposed.mean_term(), covariance.mean_term()), 1e-13);
}

BOOST_AUTO_TEST_CASE(variance_matrix_is_symmetric) {
  for (const int modes : {30, 400}) {
    const Splits splits(Spectrum(log_grid(1, 1e-5, modes)), 100);
    const auto f = splits.sampling_map(0, 80), g = splits.sampling_map(1, 80);
    for (const auto& covariance : {splits.covariance(f, f), splits.covariance(f, g)}) {
      const Matrix matrix = covariance.matrix();
      BOOST_CHECK_LE(relative(matrix, matrix.transpose()), 1e-12);
    }
    const Matrix forward = splits.covariance(f, g).matrix(), backward = splits.covariance(g, f).matrix();
    BOOST_CHECK_LE(relative(forward, backward), 1e-12);
  }
}

BOOST_AUTO_TEST_CASE(chosen_modes_are_a_part_of_the_matrix) {
  for (const int modes : {30, 400}) {
    const Splits splits(Spectrum(log_grid(1, 1e-5, modes)), 100);
    const auto covariance = splits.covariance(splits.denoiser(0.1), splits.denoiser(0.2));
    const Matrix all = covariance.matrix();
    Eigen::VectorXi chosen(4);
    chosen << 29, 0, 3, 29;
    const Matrix part = covariance.matrix(chosen);
    for (int r = 0; r < 4; ++r) {
      for (int c = 0; c < 4; ++c) BOOST_CHECK_CLOSE_FRACTION(part(r, c), all(chosen[r], chosen[c]), 1e-13);
    }
    chosen[0] = modes;
    check_rejects([&] { covariance.matrix(chosen); }, "modes must lie between 0 and the number of modes - 1, got");
  }
}

BOOST_AUTO_TEST_CASE(published_law_lacks_exchange_and_mean) {
  const Spectrum spectrum(log_grid(1, 1e-3, 25));
  const Splits full(spectrum, 60, {Mean::estimated, Terms::full});
  const Splits published(spectrum, 60, {Mean::estimated, Terms::published});
  const auto f = full.sampling_map(0, 80);
  const auto a = full.covariance(f, f), b = published.covariance(f, f);
  BOOST_CHECK(a.has_exchange() && !b.has_exchange());
  BOOST_CHECK_EQUAL(b.mean_term().cwiseAbs().maxCoeff(), 0);
  BOOST_CHECK_GT(a.mean_term().minCoeff(), 0);
  BOOST_CHECK_LE(relative(a.matrix(), with_exchange(b.matrix())), 1e-14);
  BOOST_CHECK_LE(relative(full.equal_mode_variance(f), 2 * published.equal_mode_variance(f)), 1e-14);
  BOOST_CHECK_LE(relative(full.expectation(f), published.expectation(f)), 1e-14);
  const Splits known(spectrum, 60, {Mean::known, Terms::full});
  BOOST_CHECK_EQUAL(known.covariance(f, f).mean_term().cwiseAbs().maxCoeff(), 0);
  BOOST_CHECK_EQUAL(known.degrees(), 60);
  BOOST_CHECK_EQUAL(full.degrees(), 59);
}

BOOST_AUTO_TEST_CASE(zeros_in_the_spectrum_have_no_variance) {
  for (const int modes : {10, 300}) {
    const Vector positive = log_grid(2, 1e-2, modes);
    Vector padded(modes + 5);
    padded << Vector::Zero(2), positive, Vector::Zero(3);
    for (const double n : {7.0, 50.0, 1000.0}) {
      const Splits with(Spectrum{padded}, n), without(Spectrum{positive}, n);
      const auto f = without.sampling_map(0.5, 80);
      const auto a = with.covariance(f, f), b = without.covariance(f, f);
      BOOST_CHECK(a.matrix().allFinite());
      BOOST_CHECK_LE(relative(a.matrix().block(2, 2, modes, modes), b.matrix()), 1e-12);
      BOOST_CHECK_EQUAL(a.matrix().topRows(2).cwiseAbs().maxCoeff(), 0);
      BOOST_CHECK_EQUAL(a.matrix().rightCols(3).cwiseAbs().maxCoeff(), 0);
      BOOST_CHECK_LE(relative(a.mean_term().segment(2, modes), b.mean_term()), 1e-12);
      BOOST_CHECK_EQUAL(a.mean_term().tail(3).cwiseAbs().maxCoeff(), 0);
      BOOST_CHECK_EQUAL(with.expectation(f)[0], f.constant());
      BOOST_CHECK_EQUAL(with.equal_mode_variance(f)[modes + 4], 0);
    }
  }
}

BOOST_AUTO_TEST_CASE(rank_zero_gives_zeros) {
  const Splits splits(Spectrum(Vector::Zero(4)), 3);
  for (const auto& f : {splits.denoiser(0.0), splits.denoiser(1.0), splits.sampling_map(0, 80)}) {
    const auto covariance = splits.covariance(f, f);
    BOOST_CHECK_EQUAL(splits.expectation(f).cwiseAbs().maxCoeff(), 0);
    BOOST_CHECK(covariance.matrix() == Matrix::Zero(4, 4));
    BOOST_CHECK(covariance.mean_term() == Vector::Zero(4));
    BOOST_CHECK(splits.equal_mode_variance(f) == Vector::Zero(4));
    BOOST_CHECK(covariance.output(Matrix::Ones(2, 4), Matrix::Ones(2, 4)) == Matrix::Zero(2, 4));
  }
}

BOOST_AUTO_TEST_CASE(equal_eigenvalues_are_interpolated_too) {
  const Splits splits(Spectrum(Vector::Constant(50, 0.7)), 80);
  const auto f = splits.sampling_map(0, 80);
  const auto covariance = splits.covariance(f, f);
  BOOST_CHECK(covariance.interpolated());
  BOOST_CHECK_LE(relative(covariance.matrix(), with_exchange(brute(splits, f, f).kernel)), 1e-11);
}

BOOST_AUTO_TEST_CASE(expectation_and_kappa_of_the_sample_covariance) {
  const Splits splits(Spectrum(log_grid(1, 1e-4, 40)), 20);
  const auto f = splits.denoiser(0.3);
  const auto result = splits.kappa(f.shifts());
  const auto solved = kappaflow::solve_kappa(f.shifts() * (20.0 / 19.0), splits.spectrum(), 19);
  BOOST_CHECK_CLOSE_FRACTION(result.kappa[0], solved.kappa[0], 1e-15);
  BOOST_CHECK_CLOSE_FRACTION(result.derivative[0], solved.derivative[0] * 20 / 19, 1e-15);
  const auto s = splits.spectrum().eigenvalues().array();
  BOOST_CHECK_LE(relative(splits.expectation(f), (s / (s + result.kappa[0])).matrix()), 1e-15);
}

BOOST_AUTO_TEST_CASE(corrections_are_what_is_written) {
  const Vector s = vector({3, 1, 0.2, 0.01, 0}), mult = vector({2, 3, 1, 7, 4});
  for (const Mean mean : {Mean::known, Mean::estimated}) {
    for (const double n : {4.0, 13.0, 14.0, 90.0}) {  // below, at and above the rank 13
      const Splits splits(Spectrum(s, mult), n, {mean, Terms::full});
      const auto f = splits.sampling_map(0.3, 20);
      const Vector kappa = splits.kappa(f.shifts()).kappa, correction = splits.kappa_correction(f.shifts());
      Vector exact = Vector::Zero(s.size()), magnitude = Vector::Zero(s.size());
      for (Eigen::Index i = 0; i < kappa.size(); ++i) {
        const Eigen::ArrayXd r = s.array() / (s.array() + kappa[i]);
        const double remaining = splits.degrees() - (mult.array() * r.square()).sum();
        const double delta = (mult.array() * r.square() * (1 - r)).sum() / (remaining * remaining);
        BOOST_CHECK_CLOSE_FRACTION(correction[i], -kappa[i] * delta, 1e-9);
        const Vector part = f.weights()[i] * (1 - r) * r * (delta - r / remaining);
        exact += part;
        magnitude += part.cwiseAbs();
      }
      const Vector found = splits.expectation_correction(f);
      BOOST_TEST_INFO("n " << n);
      BOOST_CHECK_LE((found - exact).cwiseAbs().maxCoeff(), 1e-9 * magnitude.maxCoeff());
      BOOST_CHECK_EQUAL(found[4], 0);
    }
  }
}

/// The sum over eigenvalues of x/(x+t) is their number less t times the sum of 1/(x+t), for every draw.
BOOST_AUTO_TEST_CASE(corrections_of_gains_and_kappa_obey_their_sum_rule) {
  const Splits splits(Spectrum(log_grid(1, 1e-4, 60)), 41);
  for (const double sigma : {1e-3, 0.1, 10.0}) {
    const auto f = splits.denoiser(sigma);
    const double kappa = splits.kappa(f.shifts()).kappa[0], delta = -splits.kappa_correction(f.shifts())[0] / kappa;
    const Vector gains = splits.expectation_correction(f);
    BOOST_CHECK_SMALL(gains.sum() + sigma * sigma * 41 * delta / kappa, 1e-12 * gains.cwiseAbs().sum());
  }
}

BOOST_AUTO_TEST_CASE(correction_at_high_noise) {
  const Vector s = log_grid(1, 1e-2, 30);
  const Splits splits(Spectrum(s), 20, {Mean::known, Terms::full});
  const Vector scaled = splits.expectation_correction(splits.denoiser(1e4)) * 20 * 1e16;
  BOOST_CHECK_LE(relative(scaled, -s.cwiseAbs2()), 1e-6);
}

BOOST_AUTO_TEST_CASE(nothing_to_correct_without_noise) {
  const Vector s = vector({3, 2, 1, 0.5});
  for (const double n : {5.0, 6.0, 50.0}) {  // m - df2 is 0 at n = 5
    const Splits splits{Spectrum(s), n};
    BOOST_CHECK_EQUAL(splits.expectation_correction(splits.denoiser(0)).cwiseAbs().maxCoeff(), 0);
    BOOST_CHECK_EQUAL(splits.kappa_correction(vector({0}))[0], 0);
  }
  const Splits few{Spectrum(s), 3};
  BOOST_CHECK(few.expectation_correction(few.denoiser(0)).allFinite());
  const Splits nothing{Spectrum(Vector::Zero(3)), 5};
  BOOST_CHECK_EQUAL(nothing.expectation_correction(nothing.denoiser(1)).cwiseAbs().maxCoeff(), 0);
}

BOOST_AUTO_TEST_CASE(support_holds_the_limiting_spectrum) {
  for (const double n : {10.0, 100.0, 5000.0}) {
    const Splits splits(Spectrum(log_grid(1, 1e-2, 100)), n);
    const auto edges = kappaflow::support_edges(splits.spectrum(), splits.degrees());
    BOOST_CHECK_LT(splits.support().low, edges.lowest);
    BOOST_CHECK_GT(splits.support().low, 0);
    BOOST_CHECK_GT(splits.support().high, edges.highest);
  }
}

BOOST_AUTO_TEST_CASE(refuses_bad_input) {
  const Spectrum one(vector({1, 2}));
  check_rejects([&] { Splits(one, 0); }, "Splits: n must be finite and positive, got 0");
  check_rejects([&] { Splits(one, kNaN); }, "Splits: n must be finite and positive, got");
  check_rejects([&] { Splits(one, 1); }, "Splits: n must be above 1 where the mean is estimated, got 1");
  BOOST_CHECK_NO_THROW(Splits(one, 1, {Mean::known, Terms::full}));
  const Splits splits(one, 5);
  const auto covariance = splits.covariance(splits.denoiser(1), splits.denoiser(1));
  check_rejects([&] { covariance.apply(Matrix::Ones(1, 3)); },
                "weights must have one column for each mode, got shape (1, 3)");
  check_rejects([&] { covariance.bilinear(Matrix::Ones(1, 2), Matrix::Ones(2, 2)); },
                "c must have as many rows as a, got shape (2, 2)");
  check_rejects([&] { covariance.output(Matrix::Ones(1, 2), Matrix::Ones(3, 2)); },
                "y must have as many rows as x, got shape (3, 2)");
}

BOOST_AUTO_TEST_SUITE_END()
