// Support edges and density of the limiting sample spectrum. Everything is written in v = -kappa and
// x(v) = -t(-v) = v (1 + (1/m) sum_k s_k/(v - s_k)); x'(v) = 1 - D(v) with D(v) = (1/m) sum_k s_k^2/(v - s_k)^2.
#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <utility>
#include <vector>

#include "kappaflow/errors.hpp"
#include "kappaflow/silverstein.hpp"
#include "simd.hpp"

namespace kappaflow {
namespace {

using Index = Eigen::Index;
using Complex = std::complex<double>;

constexpr int kBisections = 200;  // more than the number of doubles on a bracket needs

/// Root on [low, high] of a function that is negative at `low` and positive at `high` (bisection to the last bit).
template <class Function>
double bisect(Function&& function, double low, double high) {
  for (int i = 0; i < kBisections; ++i) {
    const double middle = low + 0.5 * (high - low);
    if (middle == low || middle == high) break;
    (function(middle) > 0 ? high : low) = middle;
  }
  return low + 0.5 * (high - low);
}

class Companion {
 public:
  Companion(const Spectrum& spectrum, double m)
      : s_(spectrum.positive()), mult_(spectrum.positive_multiplicity()), m_(m) {}

  double position(double v) const { return v * (1 + (mult_.array() * s_.array() / (v - s_.array())).sum() / m_); }
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
  double rank() const { return mult_.sum(); }
  double degrees() const { return m_; }

  double highest() const {
    const double top = s_[0];
    const double spread = std::sqrt(rank() / m_);  // D(top + offset) <= (rank/m) top^2/offset^2
    const double offset = bisect([&](double o) { return 1 - curvature(top, o); }, 0.0, 2 * top * spread);
    return position(top, offset);
  }
  double lowest() const {
    if (rank() == m_) return 0.0;
    const double bottom = s_[s_.size() - 1];
    // D grows from 0 at -infinity through rank/m at v = 0 to infinity at the smallest eigenvalue.
    const auto excess = [&](double v) { return curvature(bottom, v - bottom) - 1; };
    double v;
    if (rank() < m_) {
      v = bisect(excess, 0.0, bottom);
    } else {
      double left = -s_[0];
      while (excess(left) > 0) left *= 2;
      // bisection in log(-v): the root may lie many decades below the largest eigenvalue
      const double u =
          bisect([&](double w) { return -excess(-std::exp(w)); }, std::log(1e-18 * bottom), std::log(-left));
      v = -std::exp(u);
    }
    return position(v);
  }

 private:
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
  const double lowest_point = bisect(slope, width * 1e-15, width * (1 - 1e-15));
  if (!(companion.curvature(anchor, lowest_point) < 1)) return false;
  const auto deficit = [&](double offset) { return 1 - companion.curvature(anchor, offset); };
  below = companion.position(anchor, bisect(deficit, 0.0, lowest_point));
  const double top = companion.eigenvalue(upper);
  const auto deficit_top = [&](double offset) { return 1 - companion.curvature(top, -offset); };
  above = companion.position(top, -bisect(deficit_top, 0.0, width - lowest_point));
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
    double high = std::log(std::sqrt(square / m_)), low = high - 80;
    if (sums(v, std::exp(low)).norm <= m_) return 0.0;
    for (int i = 0; i < 90 && high - low > 1e-15 * std::abs(low) + 1e-15; ++i) {
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
  /// x(z) and x'(z). Eigenvalues above |z| enter as s/(s-z) = 1 + z/(s-z), whose ones are counted exactly.
  std::pair<Complex, Complex> companion(Complex z) const {
    const auto& s = spectrum_.positive();
    const auto& mult = spectrum_.positive_multiplicity();
    const double size = std::abs(z);
    Complex value = 0, slope = 0;
    Index above = 0;
    for (Index k = 0; k < s.size(); ++k) {
      const bool large = s[k] > size;
      const Complex r = (large ? z : Complex(s[k])) / (s[k] - z);
      value += mult[k] * r;
      slope += mult[k] * (large ? r * (2.0 + r) : r * r);
      if (large) above = k + 1;  // descending order
    }
    const double rest = m_ - spectrum_.count_above()[above];
    return {z * ((rest - value) / m_), (rest - slope) / m_};
  }

 private:
  const Spectrum& spectrum_;
  double m_;
};

/// Root z with x(z) = x on the curve: a short bisection in v along the curve, then Newton in the complex plane. The
/// bisection runs in u with v = scale sinh(u), so that it resolves every decade of a wide spectrum on both sides of
/// zero.
Complex density_root(const RealCurve& curve, double x, double scale, double reach) {
  const auto point = [scale](double u) { return scale * std::sinh(u); };
  double high = std::asinh(reach / scale), low = -high;
  Complex z(0, 0);
  for (int i = 0; i < 80; ++i) {
    const double middle = 0.5 * (low + high);
    const double v = point(middle);
    const double y = curve.height(v);
    z = Complex(v, y);
    (curve.position(v, y) > x ? high : low) = middle;
    if (i < 6 || i % 3 != 0 || y == 0) continue;
    Complex polished = z;
    for (int k = 0; k < 12; ++k) {
      const auto [value, slope] = curve.companion(polished);
      const Complex step = (value - x) / slope;
      polished -= step;
      if (std::abs(step) <= 4e-16 * std::abs(polished)) break;
    }
    const double residual = std::abs(curve.companion(polished).first - x);
    const double width = high - low;
    // Newton may also end on a real root with an imaginary part of rounding: that one is off the curve
    const bool on_curve = std::abs(curve.sums(polished.real(), polished.imag()).norm / curve.degrees() - 1) < 1e-6;
    if (polished.imag() > 0 && on_curve && residual <= 1e-12 * x && polished.real() >= point(low - width) &&
        polished.real() <= point(high + width)) {
      return polished;
    }
  }
  return z;
}

void require_spectrum(const char* function, const Spectrum& spectrum, double m) {
  detail::require(std::isfinite(m) && m > 0, function, "m (degrees of freedom) must be finite and positive", m);
  detail::require(spectrum.rank() > 0, function, "at least one eigenvalue must be positive, largest",
                  spectrum.largest());
}

}  // namespace

SupportEdges support_edges(const Spectrum& spectrum, double m) {
  require_spectrum("support_edges", spectrum, m);
  const Companion companion(spectrum, m);
  return {companion.lowest(), companion.highest()};
}

Support spectral_support(const Spectrum& spectrum, double m) {
  require_spectrum("spectral_support", spectrum, m);
  const Companion companion(spectrum, m);
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
    support.intervals(i, 0) = edges[2 * i];
    support.intervals(i, 1) = edges[2 * i + 1];
  }
  support.zero_atom = 1 - std::min(m, spectrum.rank()) / spectrum.dimension();
  return support;
}

DensityResult spectral_density(const Eigen::Ref<const Eigen::VectorXd>& x, const Spectrum& spectrum, double m) {
  const Support support = spectral_support(spectrum, m);
  const RealCurve curve(spectrum, m);
  const double reach = spectrum.largest() * (1 + 2 * std::sqrt(spectrum.rank() / m));
  const double scale = 1e-3 * spectrum.smallest_positive();
  DensityResult result{Eigen::VectorXd::Zero(x.size()), Eigen::VectorXd::Zero(x.size())};
  for (Index i = 0; i < x.size(); ++i) {
    detail::require(std::isfinite(x[i]) && x[i] > 0, "spectral_density", "x must be finite and positive", x[i]);
    const auto inside = [&](Index row) { return x[i] > support.intervals(row, 0) && x[i] < support.intervals(row, 1); };
    bool in_support = false;
    for (Index row = 0; row < support.intervals.rows() && !in_support; ++row) in_support = inside(row);
    if (!in_support) continue;
    const Complex z = density_root(curve, x[i], scale, reach);
    result.residual[i] = std::abs(curve.companion(z).first - x[i]) / x[i];
    if (!(result.residual[i] <= 1e-10)) {
      throw ConvergenceError("spectral_density: no root with a residual below 1e-10 at x = " + detail::text(x[i]));
    }
    result.density[i] = m / spectrum.dimension() * z.imag() / (3.14159265358979323846 * std::norm(z));
  }
  return result;
}

}  // namespace kappaflow
