// The examples in the headers, as they stand there: tests/python/theory/test_cpp_sources.py compares the lines.
#include <kappaflow/empirical.hpp>
#include <kappaflow/moments.hpp>
#include <kappaflow/splits.hpp>
#include <stdexcept>

#include "helpers.hpp"

using namespace helpers;

BOOST_AUTO_TEST_SUITE(examples)

BOOST_AUTO_TEST_CASE(spectra_and_functions) {
  const Vector eigenvalues = log_grid(1, 1e-3, 20), values = vector({1, 0.1}), multiplicity = vector({5, 1e9});
  const kappaflow::Spectrum spectrum(eigenvalues);        // all multiplicities 1
  const kappaflow::Spectrum atoms(values, multiplicity);  // for instance 1e9 equal eigenvalues as one atom
  BOOST_CHECK_EQUAL(spectrum.dimension(), 20);
  BOOST_CHECK_EQUAL(atoms.dimension(), 1e9 + 5);
  const auto f = kappaflow::SpectralFunction::denoiser(0.5);                          // x/(x + 0.25), exact
  const auto g = kappaflow::SpectralFunction::sampling_map(0.0, 80.0, {1e-6, 40.0});  // sqrt(x/(x + 6400))
  const double gain = g(1.0);
  BOOST_CHECK_CLOSE_FRACTION(f(1.0), 0.8, 1e-15);
  BOOST_CHECK_CLOSE_FRACTION(gain, std::sqrt(1 / 6401.0), 1e-12);
}

BOOST_AUTO_TEST_CASE(moments_of_samples) {
  const Matrix samples = gaussian(200, 4, 1);
  kappaflow::Moments moments(samples.cols());
  moments.add(samples);
  const Eigen::MatrixXd covariance = moments.covariance();
  BOOST_CHECK_EQUAL(covariance.rows(), 4);
}

BOOST_AUTO_TEST_CASE(renormalised_noise) {
  const Vector eigenvalues = log_grid(1, 1e-3, 20), noise_variance = vector({0.25});
  const auto result = kappaflow::solve_kappa(noise_variance, kappaflow::Spectrum(eigenvalues), 1000);
  if (!result.good()) throw std::runtime_error("not converged");
  const kappaflow::Renormalization law(kappaflow::Spectrum(eigenvalues), 1000);
  const double kappa = law.solve(noise_variance).kappa[0];
  BOOST_CHECK_EQUAL(kappa, result.kappa[0]);
}

BOOST_AUTO_TEST_CASE(training_sets) {
  const Vector eigenvalues = log_grid(1, 1e-3, 20), sizes = vector({0.5, 1, 1.5});
  const kappaflow::Spectrum spectrum(eigenvalues);
  {
    const auto scales = std::make_shared<const kappaflow::RadialScales>(sizes);
    const kappaflow::Splits splits(spectrum, 1000, {.scales = scales});
    BOOST_CHECK(splits.kappa(vector({0.1})).good());
  }
  const kappaflow::Splits splits(kappaflow::Spectrum(eigenvalues), 1000);
  const auto f = splits.sampling_map(0.0, 80.0);
  const Eigen::VectorXd gain = splits.expectation(f);
  const Eigen::VectorXd variance = splits.covariance(f, f).diagonal();
  BOOST_CHECK_GT(gain.minCoeff(), 0);
  BOOST_CHECK_GT(variance.minCoeff(), 0);
  const Matrix x = gaussian(3, 20, 1);
  const kappaflow::ModeCovariance covariance = splits.covariance(f, f);
  const Eigen::MatrixXd variances = covariance.matrix();    // Var[u_k'f(S)u_l], exchange included
  const Eigen::MatrixXd outputs = covariance.output(x, x);  // of the output modes for rows x of inputs
  BOOST_CHECK_EQUAL(variances(3, 3), 2 * variance[3]);
  BOOST_CHECK_EQUAL(outputs.rows(), 3);
}

BOOST_AUTO_TEST_CASE(any_data) {
  const Vector eigenvalues = log_grid(1, 1e-1, 4);
  const kappaflow::EmpiricalLaw::Profiles profiles =
      (gaussian(100, 4, 2) * eigenvalues.cwiseSqrt().asDiagonal()).cast<float>();
  const auto f = kappaflow::SpectralFunction::denoiser(0.5);
  const kappaflow::EmpiricalLaw law(profiles, eigenvalues, 200, kappaflow::Mean::known);
  const kappaflow::EmpiricalNodes nodes = law.solve(f.shifts());
  const Eigen::VectorXd gain = law.expectation(nodes, f.weights(), f.constant());
  const Eigen::MatrixXd variance = law.mode_covariance(nodes, f.weights(), f.weights());
  BOOST_CHECK_GT(gain.minCoeff(), 0);
  BOOST_CHECK_GT(variance.diagonal().minCoeff(), 0);
}

BOOST_AUTO_TEST_SUITE_END()
