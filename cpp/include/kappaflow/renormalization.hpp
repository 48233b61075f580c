#pragma once

#include <Eigen/Core>
#include <memory>

#include "kappaflow/radial.hpp"
#include "kappaflow/sample_sizes.hpp"
#include "kappaflow/silverstein.hpp"
#include "kappaflow/spectrum.hpp"

namespace kappaflow {

/// Nodes t of a spectral function under a closed-form law, one entry each.
struct RenormalizedNodes {
  Eigen::VectorXd kappa;
  Eigen::VectorXd shift;     ///< u: Sigma (Sigma+kappa)^-1 is read off the spectrum as s/(s+u); kappa itself if exact
  Eigen::VectorXd retained;  ///< h = t/kappa: 1 - df1/m for samples of equal size
  Eigen::VectorXd stretch;   ///< du/dkappa: (Sigma G)' is read off as stretch times that of s/(s+u); 1 if exact
  Eigen::VectorXd capacity;  ///< 1 - q df2(kappa, kappa)
  Eigen::MatrixXd sizes;     ///< (M, N) tau; no rows if all samples have equal size
  Eigen::MatrixXd kept;      ///< (M, N) r = 1/(1 + tau delta)
  Eigen::VectorXd residual;  ///< |kappa h - t|/kappa of the law at the solution; 0 if kappa(0) = 0
  Eigen::VectorXi evaluations;  ///< number of evaluations of the law to find the shift
};

/// Quantities of each pair of nodes that the covariance of two maps needs, (N_f, N_g).
struct RenormalizedPairs {
  Eigen::MatrixXd stretch;   ///< c: G_i Sigma G_j is read off the spectrum as c s/((s+u_i)(s+u_j)); 1 if exact
  Eigen::MatrixXd coupling;  ///< q: 1/m for samples of equal size
  Eigen::MatrixXd capacity;  ///< 1 - q df2_ij > 0
  Eigen::MatrixXd mean;      ///< E[tau r_i r_j]/(E r_i E r_j)
};

/// Renormalised noise of samples of unequal size, from an exact spectrum or that of N samples.
///
/// For sizes tau of mean 1 and m degrees of freedom, theory.md (22): kappa h = t, h = E[tau r], r = 1/(1 + tau delta),
/// where delta solves m delta h = df1(kappa). Equal sizes give the Silverstein equation, theory.md (9). A spectrum of N
/// samples (M degrees of freedom) obeys the same law at N: its resolvent at the shift u gives kappa = u/h_N, theory.md
/// (33) and (38), so no estimate of the population is needed.
///
///     const kappaflow::Renormalization law(kappaflow::Spectrum(eigenvalues), 1000);
///     const double kappa = law.solve(noise_variance).kappa[0];
class Renormalization {
 public:
  using Vector = Eigen::VectorXd;
  using Matrix = Eigen::MatrixXd;
  static constexpr double kExact = KnownSpectrum::kExact;

  /// Spectrum: exact, or of the unbiased sample covariance with `sample_degrees` degrees of freedom. Scales: null for
  /// samples of equal size. `scale`: the ratio of the spectrum's eigenvalues to those used to build the scales.
  /// Throws std::invalid_argument unless degrees is positive and sample_degrees at least the rank.
  Renormalization(Spectrum spectrum, double degrees, double sample_degrees = kExact,
                  std::shared_ptr<const RadialScales> scales = nullptr, double scale = 1);

  const Spectrum& spectrum() const { return known_.spectrum(); }
  bool exact() const { return known_.exact(); }
  bool equal_sizes() const { return sizes_.equal(); }

  /// Solves for t = factor noise, noise variances >= 0 of a sample covariance with divisor m. Throws ConvergenceError
  /// naming a noise variance that is not solved, UnidentifiedError if N samples do not determine the answer.
  RenormalizedNodes solve(const Eigen::Ref<const Vector>& noise, double factor = 1) const;

  RenormalizedPairs pairs(const RenormalizedNodes& f, const RenormalizedNodes& g) const;

  /// d kappa/d t at each node of positive shift.
  Vector derivative(const RenormalizedNodes& nodes) const;

  /// (df2(kappa, kappa), d df2/d kappa) at each node, read off the spectrum if it is that of N samples.
  Matrix df2(const RenormalizedNodes& nodes) const;

 private:
  struct State;
  struct Bracketed;
  double sample_retained(double u) const;  // h_N
  double noise_at(double u) const;         // t
  double edge() const;
  double stretch(double u) const;
  State state(double u, Eigen::Index stride = 1, double delta = 0) const;
  Bracketed bracketed(double noise, Eigen::Index stride, double width, double factor) const;
  State refined(State at, double noise) const;
  State solve_one(double noise, double factor) const;
  void solve_without_noise(RenormalizedNodes& nodes, Eigen::Index i) const;
  void complete(RenormalizedNodes& nodes) const;  // stretch and capacity
  Matrix coupled(const RenormalizedNodes& f, const RenormalizedNodes& g, RenormalizedPairs& pair) const;
  double stretch_between(const RenormalizedNodes& f, Eigen::Index i, const RenormalizedNodes& g, Eigen::Index j) const;

  KnownSpectrum known_;
  double degrees_;
  SampleSizes sizes_;
};

}  // namespace kappaflow
