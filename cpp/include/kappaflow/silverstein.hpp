#pragma once

#include <Eigen/Core>
#include <vector>

#include "kappaflow/spectrum.hpp"

namespace kappaflow {

/// Settings of solve_kappa().
struct KappaOptions {
  int max_iterations = 500;  ///< Newton steps per noise variance, at least 1; 5 to 10 are usual, 100 is the most seen
  double certificate_width = 1e-13;  ///< relative half-width, in (0, 0.1), of the bracket on which the sign must change
  double noise_factor = 1;           ///< the equation is solved for the noise variances times this number > 0
};

/// One entry per noise variance, in the caller's order.
struct KappaResult {
  Eigen::VectorXd kappa;        ///< renormalised noise kappa(t)
  Eigen::VectorXd derivative;   ///< d kappa / d t = m / (m - df2); infinite at t = 0 with rank = m
  Eigen::VectorXd df1;          ///< degrees of freedom sum_k s_k/(s_k+kappa)
  Eigen::VectorXd residual;     ///< |kappa (1 - df1/m) - t| / kappa of the equation itself; 0 if kappa(0) = 0
  Eigen::VectorXi iterations;   ///< evaluations of the equation
  std::vector<bool> certified;  ///< the equation changes sign across kappa (1 +- certificate_width), see solve_kappa()
  long total_terms = 0;         ///< work: terms s/(s+kappa) that were summed; -1 if they were not counted

  /// Whether every noise variance has converged and is certified.
  bool good() const;
};

/// Largest root kappa of the Silverstein equation, theory.md (9),  t = kappa (1 - df1(kappa)/m)  for every t >= 0.
///
/// m > 0 is the number of degrees of freedom of the sample covariance (n, or n - 1 with estimated mean). Newton's
/// iteration from t + tr(Sigma)/m descends monotonically to the largest root because the equation is convex. From other
/// starts it may find a wrong branch if the rank exceeds m. kappa(0) = 0 if rank <= m.
///
///     const auto result = kappaflow::solve_kappa(noise_variance, kappaflow::Spectrum(eigenvalues), 1000);
///     if (!result.good()) throw std::runtime_error("not converged");
///
/// Sums are split at s = kappa, with s/(s+kappa) = 1 - kappa/(s+kappa) above it, and multiplicities are counted to
/// twice double's precision. This bounds the cancellation in 1 - df1/m by a small constant for every spectrum and m:
/// the relative accuracy is a few units of rounding over any number of decades. The certificate is proved: it includes
/// a bound of the rounding errors of the equation. Where kappa is subnormal the sign changes between its neighbours
/// among doubles if these are further apart than the width. Problems beyond 1e-140 to 1e140, and those that are not
/// certified in double, are solved in long double; where that is no wider than double they may stay without
/// certificate.
///
/// Throws std::invalid_argument on bad input. An entry that is not certified has certified[i] = false: check good().
/// That includes a kappa beyond double's range, which is infinite.
KappaResult solve_kappa(const Eigen::Ref<const Eigen::VectorXd>& noise_variance, const Spectrum& spectrum, double m,
                        const KappaOptions& options = {});

/// df1(kappa) = sum_k s_k/(s_k+kappa), kappa >= 0 (its limit, the rank, at kappa = 0).
double df1(double kappa, const Spectrum& spectrum);

/// df2(kappa, kappa2) = sum_k s_k^2/((s_k+kappa)(s_k+kappa2)), both >= 0.
double df2(double kappa, double kappa2, const Spectrum& spectrum);

/// Support of the limiting spectrum of the sample covariance.
struct Support {
  Eigen::MatrixX2d intervals;  ///< (count, 2) closed intervals, ascending, without the atom at zero
  double zero_atom = 0;        ///< mass at zero: 1 - min(m, rank)/d
};

/// Every interval of the support: the complement of where x(v) = v (1 + (1/m) sum_k s_k/(v-s_k)), theory.md (50),
/// increases.
Support spectral_support(const Spectrum& spectrum, double m);

/// Lowest and highest edge alone, at the cost of two root searches.
struct SupportEdges {
  double lowest = 0;  ///< 0 if rank = m
  double highest = 0;
};
SupportEdges support_edges(const Spectrum& spectrum, double m);

/// Density at x > 0 of the limiting spectrum (its integral is min(m, rank)/d) and the residual of the equation.
struct DensityResult {
  Eigen::VectorXd density;   ///< 0 outside the support
  Eigen::VectorXd residual;  ///< |t(kappa) + x| / x at the complex root; NaN outside the support, where there is none
};
/// Throws ConvergenceError if a residual is above 1e-10.
DensityResult spectral_density(const Eigen::Ref<const Eigen::VectorXd>& x, const Spectrum& spectrum, double m);

}  // namespace kappaflow
