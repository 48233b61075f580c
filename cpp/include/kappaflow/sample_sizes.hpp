#pragma once

#include <Eigen/Core>
#include <limits>
#include <memory>

#include "kappaflow/radial.hpp"
#include "kappaflow/spectrum.hpp"

namespace kappaflow {

/// A population's spectrum as it is known: the spectrum itself, or that of the unbiased covariance of N samples, which
/// has M = N - 1 degrees of freedom. An immutable value.
class KnownSpectrum {
 public:
  static constexpr double kExact = std::numeric_limits<double>::infinity();

  /// `degrees` is M, infinity if the spectrum is exact. Throws std::invalid_argument if the rank exceeds M.
  explicit KnownSpectrum(Spectrum spectrum, double degrees = kExact);

  const Spectrum& spectrum() const { return spectrum_; }
  double degrees() const { return degrees_; }
  bool exact() const { return degrees_ == kExact; }
  /// Whether the rank is M: then N samples determine kappa only above a positive noise level, theory.md (37).
  bool saturated() const { return spectrum_.rank() == degrees_; }

  /// 1 - df1(u)/m, from the sum with less cancellation.
  double retained(double m, double u) const;
  /// sum_k s_k/((s_k+u)(s_k+v)).
  double spread(double u, double v) const;

 private:
  Spectrum spectrum_;
  double degrees_;
};

/// Sizes tau of samples, of mean 1, as the elliptical law uses them at a shift u of the known spectrum.
///
/// Given sizes are used without changes. Sizes estimated from profiles are norms, theory.md (32), which also fluctuate
/// for Gaussian samples. If the samples themselves make up the spectrum, their norms are computed against the other
/// samples, theory.md (39). All sizes are then shrunk towards 1: neither their variance nor its share of the observed
/// variance may exceed the largest that remains, over a few shifts, once the fluctuation of Gaussian samples is
/// removed. Gaussian profiles then have equal sizes.
class SampleSizes {
 public:
  using Vector = Eigen::VectorXd;

  /// All samples have size 1.
  SampleSizes() = default;

  /// `scale` is the ratio of the spectrum's eigenvalues to those used to build `scales`.
  SampleSizes(std::shared_ptr<const RadialScales> scales, const KnownSpectrum& spectrum, double scale);

  bool equal() const { return scales_ == nullptr; }
  bool given() const { return scales_ != nullptr && scales_->given(); }

  /// Number of sizes, their weights in means (of sum 1) and the routines for sums over them; not if equal().
  Eigen::Index count() const { return scales_->size(); }
  const Vector& weights() const { return scales_->weights(); }
  const LinearAlgebra& library() const { return scales_->library(); }

  /// tau of every `stride`-th profile at the shift u > 0 of the spectrum passed to the constructor; not if equal().
  Vector at(const KnownSpectrum& spectrum, double u, Eigen::Index stride = 1) const;

 private:
  Vector norms(const KnownSpectrum& spectrum, double u, Eigen::Index stride) const;
  void probe(const KnownSpectrum& spectrum, double df1);

  std::shared_ptr<const RadialScales> scales_;
  double scale_ = 1;
  double least_norms_ = 0;  // below this shift norms keep their values at it
  double actual_share_ = 0,
         actual_variance_ = 0;  // a_* and omega_*: the part of the variance of norms that is due to sizes
};

}  // namespace kappaflow
