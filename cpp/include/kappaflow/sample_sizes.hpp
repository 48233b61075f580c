#pragma once

#include <Eigen/Core>
#include <limits>
#include <memory>

#include "kappaflow/radial.hpp"
#include "kappaflow/spectrum.hpp"

namespace kappaflow {

/// What is known of a population's spectrum: the spectrum itself, or that of the unbiased covariance of N samples,
/// which has M = N - 1 degrees of freedom. An immutable value.
class KnownSpectrum {
 public:
  static constexpr double kExact = std::numeric_limits<double>::infinity();

  /// `degrees` is M, infinity if the spectrum is exact. Throws std::invalid_argument if the rank exceeds M.
  explicit KnownSpectrum(Spectrum spectrum, double degrees = kExact);

  const Spectrum& spectrum() const { return spectrum_; }
  double degrees() const { return degrees_; }
  bool exact() const { return degrees_ == kExact; }
  /// The rank is M: what N samples show then ends at a positive noise, theory.md (37).
  bool saturated() const { return spectrum_.rank() == degrees_; }

  /// 1 - df1(u)/m, from the sum that cancels less.
  double retained(double m, double u) const;
  /// sum_k s_k/((s_k+u)(s_k+v)).
  double spread(double u, double v) const;

 private:
  Spectrum spectrum_;
  double degrees_;
};

/// Sizes tau of samples, of mean 1, as the elliptical law takes them at a shift u of the known spectrum.
///
/// Given sizes are taken as they are. Sizes that are estimated from profiles are norms, theory.md (32), which fluctuate
/// for Gaussian samples too. Norms of samples that the spectrum is made of are taken against the other samples,
/// theory.md (39). All are then drawn towards 1, so that neither their variance nor its share of the observed variance
/// exceeds what remains, where most remains, without the fluctuation of Gaussian samples. Gaussian profiles have equal
/// sizes then.
class SampleSizes {
 public:
  using Vector = Eigen::VectorXd;

  /// All samples have size 1.
  SampleSizes() = default;

  /// `scale` is the ratio of the spectrum's eigenvalues to those that `scales` was made with.
  SampleSizes(std::shared_ptr<const RadialScales> scales, const KnownSpectrum& spectrum, double scale);

  bool equal() const { return scales_ == nullptr; }
  bool given() const { return scales_ != nullptr && scales_->given(); }

  /// Number of sizes, their weights in means (of sum 1) and the routines that sums over them take; not if equal().
  Eigen::Index count() const { return scales_->size(); }
  const Vector& weights() const { return scales_->weights(); }
  const LinearAlgebra& library() const { return scales_->library(); }

  /// tau at the shift u > 0 of the spectrum that the constructor was given, of every `stride`-th profile; not if
  /// equal().
  Vector at(const KnownSpectrum& spectrum, double u, Eigen::Index stride = 1) const;

 private:
  Vector norms(const KnownSpectrum& spectrum, double u, Eigen::Index stride) const;
  void probe(const KnownSpectrum& spectrum, double df1);

  std::shared_ptr<const RadialScales> scales_;
  double scale_ = 1;
  double least_norms_ = 0;                         // below this shift norms stay as they are at it
  double actual_share_ = 0, actual_variance_ = 0;  // a_* and omega_*: of the variance of norms, what is that of sizes
};

}  // namespace kappaflow
