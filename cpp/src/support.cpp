// Support edges and density of the limiting sample spectrum. Everything is written in v = -kappa and the two functions
// of theory.md (50), x(v) = -t(-v) = v (1 + (1/m) sum_k s_k/(v - s_k)) and x'(v) = 1 - D(v) with
// D(v) = (1/m) sum_k s_k^2/(v - s_k)^2.
#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <numbers>
#include <utility>
#include <vector>

#include "checks.hpp"
#include "kappaflow/errors.hpp"
#include "kappaflow/silverstein.hpp"
#include "root_finding.hpp"
#include "simd.hpp"

namespace kappaflow {
namespace {

using Index = Eigen::Index;
using Complex = std::complex<double>;

/// Distance to the poles at both ends of a gap, relative to its width, from which D' is evaluated.
constexpr double kOffThePoles = 1e-15;

/// The curve on which x is real is sought in log y over this range below its upper bound: heights under exp(-80) =
/// 2e-35 times the bound count as zero.
constexpr double kHeightRange = 80;
/// Bisection in log y halves that range to the rounding of log y in 57 steps, with a margin of half as many.
constexpr int kHeightSteps = 90;
constexpr double kHeightWidth = 1e-15;  // of log y, relative and absolute: a few units of rounding

/// Bisection along the curve: 80 halvings shrink any bracket to rounding. Newton's iteration ends the search earlier.
/// It is tried from the seventh step on, where the bracket is 1/64 of the whole, and then at every third, because a
/// failed attempt costs as much as several steps.
constexpr int kCurveSteps = 80, kFirstAttempt = 6, kAttemptEvery = 3;
/// Newton doubles the number of correct digits: from two digits, 12 steps are more than enough.
constexpr int kNewtonSteps = 12;
constexpr double kNewtonWidth = 4e-16;  // two units of rounding
/// A root counts if its equation holds to this, relative to x, which leaves a margin to kLargestResidual.
constexpr double kRootResidual = 1e-12;
/// Newton may also end on a real root whose imaginary part is rounding error. That root misses the curve's equation by
/// far more than this.
constexpr double kOnCurve = 1e-6;

/// Points above this residual are not returned, see DensityResult.
constexpr double kLargestResidual = 1e-10;

/// Eigenvalues between this and its inverse need no other unit: their cubes stay within double's range.
constexpr double kLargestUnscaled = 1e100;

/// v = scale sinh(u) resolves every decade above `scale`: no root lies much below the smallest eigenvalue.
constexpr double kScale = 1e-3;

/// m minus the number of eigenvalues that are counted, the first `above` of them, to twice double's precision.
double not_counted(const Spectrum& spectrum, double m, Index above) {
  return (m - spectrum.count_above()[above]) - spectrum.count_rest()[above];
}

/// Number of eigenvalues above `size`.
Index count_above(const Spectrum& spectrum, double size) {
  const auto& s = spectrum.positive();
  return std::partition_point(s.data(), s.data() + s.size(), [&](double value) { return value > size; }) - s.data();
}

class Companion {
 public:
  Companion(const Spectrum& spectrum, double m)
      : spectrum_(spectrum), s_(spectrum.positive()), mult_(spectrum.positive_multiplicity()), m_(m) {}

  /// D(v) with v = s_anchor + offset: differences v - s_k stay accurate next to an eigenvalue.
  double curvature(double anchor, double offset) const {
    return (mult_.array() * (s_.array() / ((anchor - s_.array()) + offset)).square()).sum() / m_;
  }
  double curvature_slope(double anchor, double offset) const {
    const Eigen::ArrayXd gap = (anchor - s_.array()) + offset;
    return -2 * (mult_.array() * s_.array().square() / gap.cube()).sum() / m_;
  }
  double position(double anchor, double offset) const {
    const double v = anchor + offset;
    return v * (1 + (mult_.array() * s_.array() / ((anchor - s_.array()) + offset)).sum() / m_);
  }
  Index size() const { return s_.size(); }
  double eigenvalue(Index k) const { return s_[k]; }
  double weight(Index k) const { return mult_[k] * s_[k] * s_[k] / m_; }
  double highest() const {
    const double top = s_[0];
    const double spread = std::sqrt(spectrum_.rank() / m_);  // D(top + offset) <= (rank/m) top^2/offset^2
    const double offset = detail::bisect([&](double o) { return 1 - curvature(top, o); }, 0.0, 2 * top * spread);
    return position(top, offset);
  }
  double lowest() const {
    const double missing = -not_counted(spectrum_, m_, s_.size());  // rank - m
    if (missing == 0) return 0.0;
    const double bottom = s_[s_.size() - 1];
    // D grows from 0 at -infinity through rank/m at v = 0 to infinity at the smallest eigenvalue.
    const auto excess = [&](double v) { return -near_zero(v).second; };
    double v;
    if (missing < 0) {
      v = detail::bisect(excess, 0.0, bottom);
    } else {
      double left = -s_[0];
      while (excess(left) > 0) left *= 2;
      // bisection in log(-v): the root may lie many decades below the largest eigenvalue. It is away from zero by at
      // least sqrt(rank/m) - 1 times the smallest eigenvalue, which exceeds a quarter of (rank - m)/rank.
      const double nearest = 0.25 * bottom * (missing / spectrum_.rank());
      const double u =
          detail::bisect([&](double w) { return -excess(-std::exp(w)); }, std::log(nearest), std::log(-left));
      v = -std::exp(u);
    }
    return near_zero(v).first;
  }

  /// x(v) and x'(v). Eigenvalues above |v| enter as s/(s-v) = 1 + v/(s-v), whose ones are counted exactly: nothing
  /// cancels next to v = 0, however close m is to the rank.
  std::pair<double, double> near_zero(double v) const {
    const Index above = count_above(spectrum_, std::abs(v)), below = s_.size() - above;
    const Eigen::ArrayXd high = v / (s_.head(above).array() - v),
                         low = s_.tail(below).array() / (s_.tail(below).array() - v);
    const auto first = mult_.head(above).array(), last = mult_.tail(below).array();
    const double free = not_counted(spectrum_, m_, above);
    const double value = (first * high).sum() + (last * low).sum();
    const double slope = (first * high * (2 + high)).sum() + (last * low.square()).sum();
    return {v * ((free - value) / m_), (free - slope) / m_};
  }

 private:
  const Spectrum& spectrum_;
  const Eigen::VectorXd& s_;
  const Eigen::VectorXd& mult_;
  double m_;
};

/// D is at least the sum of its two nearest poles, whose minimum over the gap has a closed form: a cheap rejection.
bool gap_may_open(const Companion& companion, Index upper) {
  const double gap = companion.eigenvalue(upper) - companion.eigenvalue(upper + 1);
  const double a = std::cbrt(companion.weight(upper)), b = std::cbrt(companion.weight(upper + 1));
  return gap > 0 && std::pow(a + b, 3) < gap * gap;
}

/// Edges (end of the part below, start of the part above) that a gap between two eigenvalues opens, if it does.
bool gap_edges(const Companion& companion, Index upper, double& below, double& above) {
  const double anchor = companion.eigenvalue(upper + 1);
  const double width = companion.eigenvalue(upper) - anchor;
  const auto slope = [&](double offset) { return companion.curvature_slope(anchor, offset); };
  const double lowest_point = detail::bisect(slope, width * kOffThePoles, width * (1 - kOffThePoles));
  if (!(companion.curvature(anchor, lowest_point) < 1)) return false;
  const auto deficit = [&](double offset) { return 1 - companion.curvature(anchor, offset); };
  below = companion.position(anchor, detail::bisect(deficit, 0.0, lowest_point));
  const double top = companion.eigenvalue(upper);
  const auto deficit_top = [&](double offset) { return 1 - companion.curvature(top, -offset); };
  above = companion.position(top, -detail::bisect(deficit_top, 0.0, width - lowest_point));
  return below < above;
}

/// Sums over modes at complex z = v + i y: sum s^2/|s-z|^2 and sum s/|s-z|^2.
struct ComplexSums {
  double norm = 0, first = 0;
};

KAPPAFLOW_CLONES ComplexSums complex_sums(const double* s, const double* mult, Index count, double v, double y) {
  double norm = 0, first = 0;
#pragma omp simd reduction(+ : norm, first)
  for (Index k = 0; k < count; ++k) {
    const double difference = s[k] - v;
    const double term = mult[k] * s[k] / (difference * difference + y * y);
    first += term;
    norm += term * s[k];
  }
  return {norm, first};
}

/// The curve on which x(v + i y) is real: for each v the unique y > 0 with sum s^2/((s-v)^2+y^2) = m, 0 if there is
/// none.
class RealCurve {
 public:
  RealCurve(const Spectrum& spectrum, double m) : spectrum_(spectrum), m_(m) {}
  double degrees() const { return m_; }

  ComplexSums sums(double v, double y) const {
    const auto& s = spectrum_.positive();
    return complex_sums(s.data(), spectrum_.positive_multiplicity().data(), s.size(), v, y);
  }
  double height(double v) const {
    // y <= sqrt(sum s^2/m); monotone in y, so bisection in log y cannot fail
    const auto& s = spectrum_.positive();
    const double square = (spectrum_.positive_multiplicity().array() * s.array().square()).sum();
    double high = std::log(std::sqrt(square / m_)), low = high - kHeightRange;
    if (sums(v, std::exp(low)).norm <= m_) return 0.0;
    for (int i = 0; i < kHeightSteps && high - low > kHeightWidth * std::abs(low) + kHeightWidth; ++i) {
      const double middle = 0.5 * (low + high);
      (sums(v, std::exp(middle)).norm > m_ ? low : high) = middle;
    }
    return std::exp(0.5 * (low + high));
  }
  /// x along the curve, increasing in v: |z|^2/m sum s/|s-z|^2, positive terms because Im x = 0; x(v) itself where y =
  /// 0.
  double position(double v, double y) const {
    if (y == 0) return companion(Complex(v, 0)).first.real();
    return (v * v + y * y) / m_ * sums(v, y).first;
  }
  /// x(z) and x'(z), split at |z| as Companion::near_zero().
  std::pair<Complex, Complex> companion(Complex z) const {
    const auto& s = spectrum_.positive();
    const auto& mult = spectrum_.positive_multiplicity();
    const Index above = count_above(spectrum_, std::abs(z));
    Complex value = 0, slope = 0;
    for (Index k = 0; k < above; ++k) {
      const Complex r = z / (s[k] - z);
      value += mult[k] * r;
      slope += mult[k] * (r * (2.0 + r));
    }
    for (Index k = above; k < s.size(); ++k) {
      const Complex r = s[k] / (s[k] - z);
      value += mult[k] * r;
      slope += mult[k] * (r * r);
    }
    const double free = not_counted(spectrum_, m_, above);
    return {z * ((free - value) / m_), (free - slope) / m_};
  }

 private:
  const Spectrum& spectrum_;
  double m_;
};

/// Newton's iteration for x(z) = x in the complex plane.
Complex polished_root(const RealCurve& curve, double x, Complex z) {
  for (int k = 0; k < kNewtonSteps; ++k) {
    const auto [value, slope] = curve.companion(z);
    const Complex step = (value - x) / slope;
    z -= step;
    if (std::abs(step) <= kNewtonWidth * std::abs(z)) break;
  }
  return z;
}

/// Root z with x(z) = x on the curve: a short bisection in v along the curve, then Newton in the complex plane. The
/// bisection runs in u with v = scale sinh(u), so that it resolves every decade of a wide spectrum on both sides of
/// zero.
Complex density_root(const RealCurve& curve, double x, double scale, double reach) {
  const auto point = [scale](double u) { return scale * std::sinh(u); };
  double high = std::asinh(reach / scale), low = -high;
  Complex z(0, 0);
  for (int i = 0; i < kCurveSteps; ++i) {
    const double middle = 0.5 * (low + high);
    const double v = point(middle);
    const double y = curve.height(v);
    z = Complex(v, y);
    (curve.position(v, y) > x ? high : low) = middle;
    if (i < kFirstAttempt || i % kAttemptEvery != 0 || y == 0) continue;
    const Complex polished = polished_root(curve, x, z);
    const double residual = std::abs(curve.companion(polished).first - x);
    const double width = high - low;
    const double off_curve = std::abs(curve.sums(polished.real(), polished.imag()).norm / curve.degrees() - 1);
    if (polished.imag() > 0 && off_curve < kOnCurve && residual <= kRootResidual * x &&
        polished.real() >= point(low - width) && polished.real() <= point(high + width)) {
      return polished;
    }
  }
  return z;
}

void require_spectrum(const char* function, const Spectrum& spectrum, double m) {
  detail::require_positive(function, "m (degrees of freedom)", m);
  detail::require(spectrum.rank() > 0, function, "spectrum must have a positive eigenvalue", "none");
}

/// A spectrum in units in which squares and cubes of its eigenvalues stay within double's range: a power of two, by
/// which division is exact. It is 1 unless an eigenvalue is far from 1.
struct InUnits {
  double unit = 1;
  Spectrum spectrum;

  explicit InUnits(const Spectrum& given) : unit(unit_of(given)), spectrum(given) {
    if (unit != 1) spectrum = Spectrum(given.eigenvalues() / unit, given.multiplicity());
  }
  static double unit_of(const Spectrum& given) {
    if (given.largest() <= kLargestUnscaled && given.smallest_positive() >= 1 / kLargestUnscaled) return 1;
    return std::ldexp(1, (std::ilogb(given.largest()) + std::ilogb(given.smallest_positive())) / 2);
  }
};

}  // namespace

SupportEdges support_edges(const Spectrum& spectrum, double m) {
  require_spectrum("support_edges", spectrum, m);
  const InUnits scaled(spectrum);
  const Companion companion(scaled.spectrum, m);
  return {scaled.unit * companion.lowest(), scaled.unit * companion.highest()};
}

Support spectral_support(const Spectrum& spectrum, double m) {
  require_spectrum("spectral_support", spectrum, m);
  const InUnits scaled(spectrum);
  const Companion companion(scaled.spectrum, m);
  std::vector<double> edges{companion.lowest()};
  for (Index upper = companion.size() - 2; upper >= 0; --upper) {
    double below, above;
    if (gap_may_open(companion, upper) && gap_edges(companion, upper, below, above)) {
      edges.push_back(below);
      edges.push_back(above);
    }
  }
  edges.push_back(companion.highest());
  Support support;
  support.intervals.resize(static_cast<Index>(edges.size() / 2), 2);
  for (Index i = 0; i < support.intervals.rows(); ++i) {
    support.intervals(i, 0) = scaled.unit * edges[static_cast<std::size_t>(2 * i)];
    support.intervals(i, 1) = scaled.unit * edges[static_cast<std::size_t>(2 * i + 1)];
  }
  support.zero_atom = 1 - std::min(m, spectrum.rank()) / spectrum.dimension();
  return support;
}

DensityResult spectral_density(const Eigen::Ref<const Eigen::VectorXd>& x, const Spectrum& spectrum, double m) {
  require_spectrum("spectral_density", spectrum, m);
  const InUnits scaled(spectrum);
  const Support support = spectral_support(scaled.spectrum, m);
  const RealCurve curve(scaled.spectrum, m);
  const double reach = scaled.spectrum.largest() * (1 + 2 * std::sqrt(spectrum.rank() / m));
  const double scale = kScale * scaled.spectrum.smallest_positive();
  DensityResult result{Eigen::VectorXd::Zero(x.size()),
                       Eigen::VectorXd::Constant(x.size(), std::numeric_limits<double>::quiet_NaN())};
  for (Index i = 0; i < x.size(); ++i) {
    detail::require_positive("spectral_density", "x", x[i]);
    const double point = x[i] / scaled.unit;
    const auto inside = [&](Index row) {
      return point > support.intervals(row, 0) && point < support.intervals(row, 1);
    };
    bool in_support = false;
    for (Index row = 0; row < support.intervals.rows() && !in_support; ++row) in_support = inside(row);
    if (!in_support) continue;
    const Complex z = density_root(curve, point, scale, reach);
    result.residual[i] = std::abs(curve.companion(z).first - point) / point;
    if (!(result.residual[i] <= kLargestResidual)) {
      throw ConvergenceError("spectral_density: no root with a residual below " + detail::text(kLargestResidual) +
                             " at x = " + detail::text(x[i]) + ", residual " + detail::text(result.residual[i]));
    }
    result.density[i] = m / spectrum.dimension() * z.imag() / (std::numbers::pi * std::norm(z)) / scaled.unit;
    if (!std::isfinite(result.density[i]))
      throw ConvergenceError("spectral_density: the density is above 1.8e308 at x = " + detail::text(x[i]));
  }
  return result;
}

}  // namespace kappaflow
