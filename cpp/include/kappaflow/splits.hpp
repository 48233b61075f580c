#pragma once

#include <Eigen/Core>
#include <memory>

#include "kappaflow/radial.hpp"
#include "kappaflow/renormalization.hpp"
#include "kappaflow/silverstein.hpp"
#include "kappaflow/spectral_function.hpp"
#include "kappaflow/spectrum.hpp"

namespace kappaflow {

/// Is the mean of the data known, or estimated from the same n samples?
enum class Mean { known, estimated };

/// `full`: exchange and mean-fluctuation terms included. `published`: the law of arXiv 2602.02908 alone.
enum class Terms { full, published };

struct SplitsOptions {
  Mean mean = Mean::estimated;
  Terms terms = Terms::full;
  /// N: the spectrum is that of the covariance (divisor N, mean estimated) of N samples, above its rank; infinity if
  /// exact.
  double sample_size = Renormalization::kExact;
  /// Sizes of the samples for the elliptical law; null for the Gaussian law.
  std::shared_ptr<const RadialScales> scales = nullptr;
};

/// Covariance over training sets of two maps f(S), g(S) of the sample covariance S, in the eigenbasis of the
/// population:
///
///   Cov[v'f(S)x, w'g(S)y] = sum_kl V_kl (v_k w_k x_l y_l + v_k y_k w_l x_l),   V_kl = sum_ij w_i w_j K_ij a_k,ij
///   a_l,ij
///
/// with a_k,ij = s_k/((s_k+kappa_i)(s_k+kappa_j)) and K_ij = kappa_i kappa_j q_ij/(1 - q_ij df2_ij), q = 1/m for
/// samples of equal size. The second product, the exchange term of real symmetric matrices, is absent from the
/// published law. Samples of unequal size add sum_kl R_kl v_k x_k w_l y_l, R_kl = sum_ij w_i w_j kappa_i kappa_j (q_ij
/// - 1/m) a_k,ii a_l,jj /
/// ((1 - q_ii df2_ii)(1 - q_jj df2_jj)): how many large samples there are moves every mode's gain together. V is a
/// smooth function of (log s_k, log s_l): where there are many modes it is computed on Chebyshev points, 20 a decade,
/// and interpolated (error below 1e-12, relative).
class ModeCovariance {
 public:
  using Matrix = Eigen::MatrixXd;
  using Vector = Eigen::VectorXd;

  Eigen::Index modes() const { return modes_; }
  bool has_exchange() const { return exchange_; }
  bool interpolated() const { return interpolated_; }

  /// Covariance of the two output modes k that the estimated mean adds; zeros with a known mean.
  const Vector& mean_term() const { return mean_term_; }

  /// V (rows of `weights`)': each row of modes is multiplied by V. (B, modes) -> (B, modes).
  Matrix apply(const Eigen::Ref<const Matrix>& weights) const;

  /// a_b' V c_b for each pair of rows: (B, modes), (B, modes) -> (B).
  Vector bilinear(const Eigen::Ref<const Matrix>& a, const Eigen::Ref<const Matrix>& c) const;

  /// V_kk without the exchange term.
  Vector diagonal() const;

  /// What samples of unequal size add: R_kk (modes), and a_b' R c_b for each pair of rows. Zeros for equal sizes.
  Vector radial_diagonal() const;
  Vector radial_bilinear(const Eigen::Ref<const Matrix>& a, const Eigen::Ref<const Matrix>& c) const;

  /// Cov[u_k'f(S)u_l, u_k'g(S)u_l] for the chosen modes, (rows, rows); exchange doubles equal modes.
  Matrix matrix(const Eigen::Ref<const Eigen::VectorXi>& modes) const;
  Matrix matrix() const;

  /// Covariance of output mode k for inputs x and y in mode coordinates (mean removed): (B, modes).
  Matrix output(const Eigen::Ref<const Matrix>& x, const Eigen::Ref<const Matrix>& y) const;

 private:
  friend class Splits;
  Matrix gather(const Eigen::Ref<const Matrix>& weights) const;  // (B, modes) -> (B, nodes)
  Matrix scatter(const Eigen::Ref<const Matrix>& values) const;  // (B, nodes) -> (B, modes)

  Eigen::Index modes_ = 0;
  bool exchange_ = true, interpolated_ = false;
  Matrix kernel_;          // V on the nodes
  Eigen::VectorXi first_;  // first node of each mode's panel, -1 where s = 0
  Matrix interpolation_;   // (kPanelNodes, modes)
  Vector mean_term_;
  Matrix radial_left_, radial_right_;  // R = left right', (modes, nodes) each; without columns for equal sizes
};

/// The ensemble of training sets of n i.i.d. samples with a given population spectrum: Gaussian, or elliptical with the
/// sizes in the options. Where the spectrum is that of N samples (options.sample_size), every answer is corrected for
/// it, and modes are those of the sample; UnidentifiedError is thrown where N samples do not tell.
///
///     kappaflow::Splits splits(kappaflow::Spectrum(eigenvalues), 1000);
///     auto f = splits.sampling_map(0.0, 80.0);
///     Eigen::VectorXd gain = splits.expectation(f);
///     Eigen::VectorXd variance = splits.covariance(f, f).diagonal();
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
  /// of exactly known spectrum. Residuals are left at zero by the other laws, whose certificate is a change of sign.
  KappaResult kappa(const Eigen::Ref<const Eigen::VectorXd>& noise_variance) const;

  /// The maps with the support chosen for this spectrum and n.
  SpectralFunction denoiser(double sigma) const { return SpectralFunction::denoiser(sigma); }
  SpectralFunction sampling_map(double sigma = 0, double sigma_max = 80, double tolerance = 1e-13) const;
  Interval support() const;  ///< outer edges of the limiting sample spectrum with a margin for fluctuations

  /// E f(S) in the population's eigenbasis, per mode: c + sum_i w_i s_k/(s_k + kappa_i).
  Eigen::VectorXd expectation(const SpectralFunction& f) const;

  /// The next order of expectation() at finite n, of relative size 1/m, for real Gaussian data: with r =
  /// s_k/(s_k+kappa) and delta = sum_l s_l^2 kappa/(s_l+kappa)^3 / (m - df2)^2, each node adds w (1-r) r (delta - r/(m
  /// - df2)).
  Eigen::VectorXd expectation_correction(const SpectralFunction& f) const;

  /// What finite n adds to kappa as resolvent traces show it, 1/E[mean of 1/(lambda+t) over the m degrees of freedom]:
  /// -kappa delta to the next order (the mean term of Bai and Silverstein 2004 for real data).
  Eigen::VectorXd kappa_correction(const Eigen::Ref<const Eigen::VectorXd>& noise_variance) const;

  /// Covariance of two maps; f = g for the variance of one. Throws ConvergenceError if a kappa is not certified.
  ModeCovariance covariance(const SpectralFunction& f, const SpectralFunction& g) const;

  /// Per-mode Var[u_k'f(S)u_k] alone: O(modes nodes^2) work, no kernel.
  Eigen::VectorXd equal_mode_variance(const SpectralFunction& f) const;

  /// What the renormalisation 1/(1 - q df2) adds to the exchange term and to that of unequal sizes, per mode: what a
  /// law that sums over modes pairwise leaves out on equal modes.
  Eigen::VectorXd equal_mode_excess(const SpectralFunction& f, const SpectralFunction& g) const;

 private:
  struct Nodes;
  struct FiniteSize;
  Nodes nodes(const SpectralFunction& f) const;
  FiniteSize finite_size(const Nodes& node) const;
  Eigen::MatrixXd noise_products(const Nodes& f, const Nodes& g) const;  // w_i w_j kappa_i kappa_j
  Eigen::MatrixXd kernel_weights(const Nodes& f, const Nodes& g, const RenormalizedPairs& pairs) const;
  Eigen::MatrixXd radial_weights(const Nodes& f, const Nodes& g, const RenormalizedPairs& pairs) const;
  double capacity(Eigen::Index i, const Nodes& nodes) const;
  Eigen::MatrixXd responses(const Nodes& nodes, bool dressed) const;
  Eigen::VectorXd mean_term(const Nodes& f, const Nodes& g, const RenormalizedPairs& pairs) const;

  Spectrum spectrum_;
  double n_, degrees_;
  SplitsOptions options_;
  Renormalization law_;
};

}  // namespace kappaflow
