#include "kappaflow/sample_sizes.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "checks.hpp"
#include "kappaflow/silverstein.hpp"
#include "root_finding.hpp"

namespace kappaflow {
namespace {

using Index = Eigen::Index;
using Vector = Eigen::VectorXd;

/// If a spectrum of N samples retains less than this part, the leverages of its samples are all close to 1 and no
/// longer distinguish their sizes.
constexpr double kLeastRetained = 0.02;

/// Degrees of freedom df1, over the most there are, at which the variance of norms is compared with that of Gaussian
/// samples: half and less, where norms are sums over many modes and least noisy.
constexpr double kProbes[] = {0.5, 0.25, 0.1};

/// Shifts are searched from this part of the smallest eigenvalue, below which df1 is the rank to 0.1 %, up to this
/// multiple of the trace, above which df1 is below 1 %.
constexpr double kLowestShift = 1e-3, kHighestShift = 100;

/// Width in log u to which these shifts are found. Norms change little over it: more digits change no result by 1e-6.
constexpr double kShiftWidth = 1e-6;

/// Part by which the upper end of a bracket, a strict bound, lies above it.
constexpr double kAbove = 1e-9;

}  // namespace

KnownSpectrum::KnownSpectrum(Spectrum spectrum, double degrees) : spectrum_(std::move(spectrum)), degrees_(degrees) {
  if (spectrum_.rank() > degrees) {
    detail::throw_argument(
        "KnownSpectrum",
        "degrees must be at least the number of non-zero eigenvalues, " + detail::text(spectrum_.rank()), degrees);
  }
}

double KnownSpectrum::retained(double m, double u) const {
  const double df1 = kappaflow::df1(u, spectrum_);
  if (df1 < 0.5 * spectrum_.rank()) return 1 - df1 / m;
  const auto s = spectrum_.positive().array();
  const double kept = (spectrum_.positive_multiplicity().array() * (u / (s + u))).sum();
  return ((m - spectrum_.rank()) + kept) / m;
}

double KnownSpectrum::spread(double u, double v) const {
  const auto s = spectrum_.positive().array();
  return (spectrum_.positive_multiplicity().array() * (s / (s + u)) / (s + v)).sum();
}

SampleSizes::SampleSizes(std::shared_ptr<const RadialScales> scales, const KnownSpectrum& spectrum, double scale)
    : scales_(std::move(scales)), scale_(scale) {
  if (equal() || given()) return;
  const Spectrum& known = spectrum.spectrum();
  const double low = std::log(kLowestShift * known.smallest_positive());
  if (!spectrum.exact() && known.rank() > 0 && spectrum.retained(spectrum.degrees(), std::exp(low)) < kLeastRetained) {
    const auto excess = [&](double x) { return spectrum.retained(spectrum.degrees(), std::exp(x)) - kLeastRetained; };
    least_norms_ = std::exp(detail::bracketed_root(excess, low, std::log(kHighestShift * known.trace()), kShiftWidth));
  }
  for (const double part : kProbes) probe(spectrum, part * known.rank());
}

/// The part of the observed variance of norms that is due to sizes, at the shift with this df1. A norm over modes of a
/// Gaussian sample of size tau is tau times a quadratic form of relative variance nu = 2 tr(Sigma G Sigma G)/df1^2, so
/// the observed variance is V = omega + nu + omega nu for sizes of variance omega.
void SampleSizes::probe(const KnownSpectrum& spectrum, double df1) {
  const Spectrum& known = spectrum.spectrum();
  const auto excess = [&](double x) { return df1 - kappaflow::df1(std::exp(x), known); };
  const double low = std::log(kLowestShift * known.smallest_positive());
  const double high = std::log(known.trace() / df1) + kAbove;  // df1 < trace/u
  if (df1 == 0 || excess(low) > 0) return;
  const double u = std::exp(detail::bracketed_root(excess, low, high, kShiftWidth));
  const Vector sizes = norms(spectrum, u, 1);
  double shown = kappaflow::df2(u, u, known), retained = 1;
  if (!spectrum.exact()) {
    // What N samples show, theory.md (36): sum s^2/(s+u)^2 = df1^2/M + phi^2 E tr(Sigma G Sigma G), where G is the
    // resolvent of a sample, phi = 1 - df1/M and the expectation is df2/(1 - df2/M).
    shown -= df1 * df1 / spectrum.degrees();
    retained = spectrum.retained(spectrum.degrees(), u);
  }
  const double noise = 2 * std::max(shown, 0.0) / (retained * retained * df1 * df1);
  const double observed = (sizes.array() - 1).square().mean(), actual = (observed - noise) / (1 + noise);
  if (observed > noise) {
    actual_share_ = std::max(actual_share_, actual / observed);
    actual_variance_ = std::max(actual_variance_, actual);
  }
}

/// Norms of the profiles in the metric of the resolvent, of mean 1. Those of samples that make up the spectrum are
/// computed against the other samples: the leverage l in the own set is l/(1-l) without the sample. A leverage above 1
/// - 1/N, which belongs to a sample with a direction of its own, is replaced by 1 - 1/N.
Vector SampleSizes::norms(const KnownSpectrum& spectrum, double u, Index stride) const {
  const double shift = std::max(u, least_norms_);
  Vector sizes = scales_->some(shift / scale_, stride);
  if (spectrum.exact()) return sizes;
  const Eigen::ArrayXd leverage = (sizes.array() * (kappaflow::df1(shift, spectrum.spectrum()) / spectrum.degrees()))
                                      .min(1 - 1 / (spectrum.degrees() + 1));
  sizes = leverage / (1 - leverage);
  return sizes / sizes.mean();
}

Vector SampleSizes::at(const KnownSpectrum& spectrum, double u, Index stride) const {
  if (given()) return scales_->at(u);
  Vector sizes = norms(spectrum, u, stride);
  const double observed = (sizes.array() - 1).square().mean();
  const double part = std::min(actual_share_, actual_variance_ / std::max(observed, actual_variance_));
  sizes = 1 + (part > 0 ? std::sqrt(part) : 0.0) * (sizes.array() - 1);
  return sizes;
}

}  // namespace kappaflow
