#pragma once

#include <Eigen/Core>
#include <limits>
#include <memory>

#include "kappaflow/radial.hpp"
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
  Eigen::MatrixXd sizes;     ///< (M, N) tau; without rows where all samples have equal size
  Eigen::MatrixXd kept;      ///< (M, N) r = 1/(1 + tau delta)
};

/// What the covariance of two maps needs of each pair of their nodes, (N_f, N_g).
struct RenormalizedPairs {
  Eigen::MatrixXd stretch;   ///< c: G_i Sigma G_j is read off the spectrum as c s/((s+u_i)(s+u_j)); 1 if exact
  Eigen::MatrixXd coupling;  ///< q: 1/m for samples of equal size
  Eigen::MatrixXd capacity;  ///< 1 - q df2_ij > 0
  Eigen::MatrixXd mean;      ///< E[tau r_i r_j]/(E r_i E r_j)
};

/// Renormalised noise of samples of unequal size, from a spectrum that is exact or that of N samples.
///
/// With sizes tau of mean 1 and m degrees of freedom, kappa h = t, h = E[tau r], r = 1/(1 + tau delta), where delta
/// solves m delta h = df1(kappa). Equal sizes give the Silverstein equation. A spectrum of N samples (M degrees of
/// freedom) is that same law at N: its resolvent at the shift u shows kappa = u/h_N, so that no estimate of the
/// population is needed. Sizes estimated from profiles are norms, which fluctuate for Gaussian samples too: they are
/// drawn towards their mean, so that neither their variance nor its share is above what is left without that
/// fluctuation where most is left. Gaussian profiles have equal sizes then.
class Renormalization {
 public:
  using Vector = Eigen::VectorXd;
  using Matrix = Eigen::MatrixXd;
  static constexpr double kExact = std::numeric_limits<double>::infinity();

  /// Spectrum: exact, or of the unbiased sample covariance with `sample_degrees` degrees of freedom. Scales: null for
  /// samples of equal size. `scale`: the spectrum's eigenvalues over those that the scales know.
  Renormalization(Spectrum spectrum, double degrees, double sample_degrees = kExact,
                  std::shared_ptr<const RadialScales> scales = nullptr, double scale = 1);

  const Spectrum& spectrum() const { return spectrum_; }
  bool exact() const { return sample_degrees_ == kExact; }
  bool equal_sizes() const { return scales_ == nullptr; }

  /// Throws ConvergenceError naming the noise that is not solved, UnidentifiedError where N samples do not tell.
  RenormalizedNodes solve(const Eigen::Ref<const Vector>& noise) const;

  RenormalizedPairs pairs(const RenormalizedNodes& f, const RenormalizedNodes& g) const;

  /// d kappa/d t at each node of positive shift.
  Vector derivative(const RenormalizedNodes& nodes) const;

  /// (df2(kappa, kappa), d df2/d kappa) at each node, read off a spectrum of N samples where it is one.
  Matrix df2(const RenormalizedNodes& nodes) const;

 private:
  struct State;
  double deficit(double degrees, double u) const;  // 1 - df1/degrees
  double sum_spread(double u, double v) const;     // sum of s/((s+u)(s+v))
  double sample_retained(double u) const;          // h_N
  double edge() const;
  double stretch(double u) const;
  Vector norms(double u, Eigen::Index stride) const;
  void probe(double degrees);
  State state(double u, Eigen::Index stride = 1, double delta = 0) const;
  double bracketed(double noise, Eigen::Index stride, double width) const;
  State solve_one(double noise) const;
  void complete(RenormalizedNodes& nodes) const;  // stretch and capacity
  double stretch_between(const RenormalizedNodes& f, Eigen::Index i, const RenormalizedNodes& g, Eigen::Index j) const;

  Spectrum spectrum_;
  double degrees_, sample_degrees_;
  std::shared_ptr<const RadialScales> scales_;
  double scale_;
  double least_norms_ = 0;                         // shift below which norms stay as they are
  double actual_share_ = 0, actual_variance_ = 0;  // of the variance of norms, less that of Gaussian samples
};

}  // namespace kappaflow
