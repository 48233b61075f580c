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
/// population is needed. Sizes estimated from profiles are norms, which fluctuate for Gaussian samples too: that part
/// of their variance, 2 tr(Sigma G Sigma G)/df1^2, is taken out.
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

  /// c of one pair of shifts.
  double stretch(double u, double v) const;

 private:
  struct State;
  double sum_kept(double u) const;                 // sum of u/(s+u) over the rank
  double deficit(double degrees, double u) const;  // 1 - df1/degrees
  State state(double u) const;
  Vector norms(double u) const;
  double actual_share(double degrees) const;
  double noise_at(double u) const;
  double sample_retained(double u) const;
  double solve_one(double noise) const;

  Spectrum spectrum_;
  double degrees_, sample_degrees_;
  std::shared_ptr<const RadialScales> scales_;
  double scale_;
  double actual_ = 1;  // share of the variance of the norms that is not their fluctuation for Gaussian samples
};

}  // namespace kappaflow
