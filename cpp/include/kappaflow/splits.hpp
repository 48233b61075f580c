#pragma once

#include <Eigen/Core>
#include <memory>

#include "kappaflow/mean.hpp"
#include "kappaflow/mode_covariance.hpp"
#include "kappaflow/radial.hpp"
#include "kappaflow/renormalization.hpp"
#include "kappaflow/silverstein.hpp"
#include "kappaflow/spectral_function.hpp"
#include "kappaflow/spectrum.hpp"

namespace kappaflow {

/// `full`: exchange and mean-fluctuation terms included. `published`: the law of arXiv 2602.02908 alone.
enum class Terms { full, published };

/// Settings of Splits.
struct SplitsOptions {
  Mean mean = Mean::estimated;
  Terms terms = Terms::full;
  /// N: the spectrum is that of the covariance (divisor N, mean estimated) of N samples, which must exceed its rank;
  /// infinity if the spectrum is exact.
  double sample_size = Renormalization::kExact;
  /// Sizes of the samples for the elliptical law; null for the Gaussian law.
  std::shared_ptr<const RadialScales> scales = nullptr;
};

/// The ensemble of training sets of n i.i.d. samples with a given population spectrum: Gaussian, or elliptical with the
/// sizes in the options. If the spectrum is that of N samples (options.sample_size), every answer is corrected for
/// this, and modes are those of the sample; UnidentifiedError is thrown if N samples do not determine the answer.
///
///     const kappaflow::Splits splits(kappaflow::Spectrum(eigenvalues), 1000);
///     const auto f = splits.sampling_map(0.0, 80.0);
///     const Eigen::VectorXd gain = splits.expectation(f);
///     const Eigen::VectorXd variance = splits.covariance(f, f).diagonal();
///
/// The sample covariance has divisor n. Throws std::invalid_argument unless n is positive (above 1 with estimated
/// mean).
class Splits {
 public:
  Splits(Spectrum spectrum, double n, SplitsOptions options = {});

  const Spectrum& spectrum() const { return spectrum_; }
  double n() const { return n_; }
  double degrees() const { return degrees_; }  ///< m: n, or n - 1 with estimated mean
  const SplitsOptions& options() const { return options_; }

  /// kappa(t) of the sample covariance with divisor n: solve_kappa at t n/m with m degrees of freedom for Gaussian data
  /// with an exactly known spectrum. The other laws certify each value by a change of sign, or throw ConvergenceError;
  /// their `iterations` are evaluations of the law, and they do not count `total_terms` (-1).
  KappaResult kappa(const Eigen::Ref<const Eigen::VectorXd>& noise_variance) const;

  /// The maps with the support chosen for this spectrum and n.
  SpectralFunction denoiser(double sigma) const { return SpectralFunction::denoiser(sigma); }
  SpectralFunction sampling_map(double sigma = 0, double sigma_max = 80, double tolerance = 1e-13) const;
  Interval support() const;  ///< outer edges of the limiting sample spectrum with a margin for fluctuations

  /// E f(S) in the population's eigenbasis, per mode, theory.md (10): c + sum_i w_i s_k/(s_k + kappa_i).
  Eigen::VectorXd expectation(const SpectralFunction& f) const;

  /// The next order of expectation() at finite n, of relative size 1/m, for real Gaussian data, theory.md (21): with r
  /// = s_k/(s_k+kappa) and delta = sum_l s_l^2 kappa/(s_l+kappa)^3 / (m - df2)^2, each node adds w (1-r) r (delta -
  /// r/(m
  /// - df2)). Throws std::invalid_argument for samples of unequal size.
  Eigen::VectorXd expectation_correction(const SpectralFunction& f) const;

  /// The correction of kappa at finite n as seen in resolvent traces, 1/E[mean of 1/(lambda+t) over the m degrees of
  /// freedom]: -kappa delta to the next order (the mean term of Bai and Silverstein 2004 for real data). Throws as
  /// above.
  Eigen::VectorXd kappa_correction(const Eigen::Ref<const Eigen::VectorXd>& noise_variance) const;

  /// Covariance of two maps; f = g for the variance of one. Throws ConvergenceError if a kappa is not certified.
  ModeCovariance covariance(const SpectralFunction& f, const SpectralFunction& g) const;

  /// Per-mode Var[u_k'f(S)u_k] alone, theory.md (18): O(modes nodes^2) work, no kernel.
  Eigen::VectorXd equal_mode_variance(const SpectralFunction& f) const;

  /// The contribution of the renormalisation 1/(1 - q df2) to the exchange and radial terms, per mode. A law that sums
  /// over pairs of modes omits it on equal modes.
  Eigen::VectorXd equal_mode_excess(const SpectralFunction& f, const SpectralFunction& g) const;

 private:
  struct Nodes;
  class Solved;
  struct FiniteSize;
  RenormalizedNodes solve(const Eigen::VectorXd& noise_variance) const;
  Nodes nodes(const SpectralFunction& f) const;
  FiniteSize finite_size(const Nodes& node) const;
  Eigen::MatrixXd noise_products(const Nodes& f, const Nodes& g) const;  // w_i w_j kappa_i kappa_j
  Eigen::MatrixXd kernel_weights(const Nodes& f, const Nodes& g, const RenormalizedPairs& pairs) const;
  Eigen::MatrixXd radial_weights(const Nodes& f, const Nodes& g, const RenormalizedPairs& pairs) const;
  Eigen::MatrixXd responses(const Nodes& nodes, bool dressed) const;
  Eigen::VectorXd mean_term(const Nodes& f, const Nodes& g, const RenormalizedPairs& pairs) const;

  Spectrum spectrum_;
  double n_, degrees_;
  SplitsOptions options_;
  Renormalization law_;
  std::shared_ptr<Solved> solved_;
};

}  // namespace kappaflow
