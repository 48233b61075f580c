#include "kappaflow/silverstein.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "checks.hpp"
#include "exact_sum.hpp"
#include "simd.hpp"

namespace kappaflow {
namespace {

using Index = Eigen::Index;

/// Terms are summed in blocks of this length, and blocks with their rounding errors: the error of a sum grows with the
/// length of a block and not with the number of terms.
constexpr Index kBlock = 128;

/// Bounds of rounding errors, in units u = epsilon/2 of the precision: of a sum of positive ratios (a chain of kBlock
/// additions, and 8 operations for each term), relative to it; and of the few operations on sums, relative to each.
constexpr int kSumErrors = kBlock + 12, kStepErrors = 4;

/// A Newton step of this relative size leaves an error below its square, 1e-16, because kappa F'' <= 2 F' always.
constexpr double kLastStep = 1e-8;

/// Newton's steps before the search halves its bracket in log kappa at every second one. The bracket is halved while
/// its ends differ by more than kWide. Next to kappa = 0 each Newton step only halves kappa.
constexpr int kPlainSteps = 40;
constexpr double kWide = 16;

/// Part by which bounds of the root are widened for their own rounding errors.
constexpr double kMargin = 1e-9;

/// Two denominators s + kappa within [1e-140, 1e140] have a product and an inverse product within double's range,
/// 1e-308 to 1e308, with room for the factors of the sums. In this range, and with these multiplicities and degrees of
/// freedom, no number of the solver leaves it either; other problems are solved in long double, whose range is wider.
constexpr double kLeastPaired = 1e-140, kLargestPaired = 1e140;
constexpr double kLeastCount = 1e-6, kLargestCount = 1e18;

/// The certificate needs width << 1: its bound loses the factor 1 - 2 width.
constexpr double kWidestCertificate = 0.1;

template <class Real>
constexpr Real kUnit = std::numeric_limits<Real>::epsilon() / 2;

template <class Real>
struct RatioSums {
  Real ratio = 0;    // sum of mult * r
  Real product = 0;  // sum of mult * r (1 - r)
};

/// Sums over modes in descending order of r = (slope s + offset)/(s + kappa): s/(s+kappa) with slope 1, kappa/(s+kappa)
/// with offset kappa. `pairs`: one division for two terms, the first and the second half of a block, because the loop
/// is bound by division.
KAPPAFLOW_CLONES RatioSums<double> sum_ratios(const double* all, const double* weights, Index count, double kappa,
                                              double slope, double offset, bool pairs) {
  RatioSums<double> total;
  double rest = 0;
  for (Index start = 0; start < count; start += kBlock) {
    const double* s = all + start;
    const double* mult = weights + start;
    const Index length = std::min(count - start, kBlock), half = pairs ? length / 2 : 0;
    double ratio = 0, product = 0;
#pragma omp simd reduction(+ : ratio, product)
    for (Index k = 0; k < half; ++k) {
      const double first = s[k] + kappa, second = s[k + half] + kappa;
      const double inverse = 1 / (first * second);
      const double r = (slope * s[k] + offset) * second * inverse;
      const double q = (slope * s[k + half] + offset) * first * inverse;
      ratio += mult[k] * r + mult[k + half] * q;
      product += mult[k] * (r * (1 - r)) + mult[k + half] * (q * (1 - q));
    }
#pragma omp simd reduction(+ : ratio, product)
    for (Index k = 2 * half; k < length; ++k) {
      const double r = (slope * s[k] + offset) / (s[k] + kappa);
      ratio += mult[k] * r;
      product += mult[k] * (r * (1 - r));
    }
    rest += detail::add_exactly(total.ratio, ratio);
    total.product += product;
  }
  total.ratio += rest;
  return total;
}

RatioSums<long double> sum_ratios(const double* all, const double* weights, Index count, long double kappa,
                                  long double slope, long double offset, bool) {
  RatioSums<long double> total;
  long double rest = 0;
  for (Index start = 0; start < count; start += kBlock) {
    long double ratio = 0;
    for (Index k = start; k < std::min(start + kBlock, count); ++k) {
      const long double r = (slope * all[k] + offset) / (all[k] + kappa), mult = weights[k];
      ratio += mult * r;
      total.product += mult * (r * (1 - r));
    }
    rest += detail::add_exactly(total.ratio, ratio);
  }
  total.ratio += rest;
  return total;
}

/// The Silverstein equation, theory.md (9), at one kappa, split at s = kappa.
template <class Real>
struct Evaluation {
  Real kappa = 0;
  Real deficit = 0;  // m - df1
  Real df1 = 0;
  Real product = 0;   // df1 - df2(kappa, kappa) = sum of s kappa/(s+kappa)^2
  Real rounding = 0;  // bound of the error of the deficit
};

template <class Real>
Evaluation<Real> evaluate(const Spectrum& spectrum, Real m, Real kappa) {
  const auto& s = spectrum.positive();
  const auto& mult = spectrum.positive_multiplicity();
  const Index size = s.size();
  const Index above = std::partition_point(s.data(), s.data() + size, [&](double v) { return v > kappa; }) - s.data();
  // The product of two denominators, and its product with an eigenvalue, must not leave double's range.
  const bool inside = size > 0 && s[0] + kappa < kLargestPaired && kappa > kLeastPaired;
  const auto high = sum_ratios(s.data(), mult.data(), above, kappa, Real(0), kappa, inside);
  const auto low = sum_ratios(s.data() + above, mult.data() + above, size - above, kappa, Real(1), Real(0),
                              inside && s[size - 1] > kLeastPaired);
  const Real count = spectrum.count_above()[above], rest = spectrum.count_rest()[above];
  const Real free = (m - count) - rest;  // exact to rounding, however close m is to a sum of multiplicities
  const Real errors = kSumErrors * (high.ratio + low.ratio) + kStepErrors * (std::abs(free) + high.ratio + low.ratio);
  return {kappa, free + (high.ratio - low.ratio), count - high.ratio + low.ratio + rest, high.product + low.product,
          kUnit<Real> * errors + spectrum.count_error()};
}

/// Newton's next point for the noise variance t, (t + kappa C/m)/(u + C/m) with u = 1 - df1/m and C = df1 - df2: a
/// quotient of positive sums, free of cancellation.
template <class Real>
Real newton_point(const Evaluation<Real>& at, Real m, Real t) {
  return (m * t + at.kappa * at.product) / (at.deficit + at.product);
}

/// Sign of F(kappa) = kappa (1 - df1/m) - t: 1, -1, or 0 if rounding errors decide it.
template <class Real>
int certain_sign(const Evaluation<Real>& at, Real m, Real t) {
  const Real value = at.kappa * at.deficit - m * t;
  const Real error = at.kappa * at.rounding + kStepErrors * kUnit<Real> * (at.kappa * std::abs(at.deficit) + m * t);
  return value > error ? 1 : value < -error ? -1 : 0;
}

/// F changes sign across kappa (1 +- width), proved from one evaluation and the bound of its rounding error: F is
/// convex, hence F(kappa + delta) >= F + delta F', and kappa F'' <= 2 F' gives F(kappa - delta) <= F - delta F' (1 - 2
/// width).
template <class Real>
bool changes_sign(const Evaluation<Real>& at, Real m, Real t, Real width) {
  const Real excess = at.kappa * at.deficit - m * t, slope = at.deficit + at.product;
  const Real error = at.kappa * (2 * at.rounding + kSumErrors * kUnit<Real> * at.product) +
                     kStepErrors * kUnit<Real> * (at.kappa * std::abs(at.deficit) + m * t);
  return std::abs(excess) + error < width * (1 - 2 * width) * at.kappa * slope;
}

/// Roots for noise variances in descending order, in one precision.
template <class Real>
class Solver {
 public:
  Solver(const Spectrum& spectrum, double m, int max_iterations)
      : spectrum_(spectrum), m_(m), max_iterations_(max_iterations) {
    const auto mult = spectrum.positive_multiplicity().template cast<Real>();
    trace_ = spectrum.positive().template cast<Real>().dot(mult);
    const Index last = spectrum.positive().size();
    const Real excess = (spectrum.count_above()[last] - m_) + spectrum.count_rest()[last];
    least_ = excess > 0 ? spectrum.smallest_positive() * (excess / m_) : Real(0);  // kappa(0) is at least this
  }

  struct Root {
    Evaluation<Real> at;  // at the solution
    int iterations = 0;
    bool converged = false;
  };

  /// F is convex, and negative or zero at 0: it has one positive root, F is negative below and positive above it.
  /// Newton descends from any point above the root; a bracket ends the search where that takes long, and where rounding
  /// or a warm start put a point below the root.
  Root solve(Real t) {
    Real low = std::max(t, least_) * (1 - kMargin), high = (t + trace_ / m_) * (1 + kMargin), start = high;
    if (last_.kappa > 0 && t <= last_noise_) {
      // kappa is concave and increasing in t: its tangent at a larger t lies above it, its chord from 0 below it.
      high = std::min(high, last_.kappa * (1 + kMargin));
      low = std::max(low, last_.kappa * (last_noise_ > 0 ? t / last_noise_ : Real(1)) * (1 - kMargin));
      start = newton_point(last_, m_, t);
      if (!(start > low && start < high)) start = high;
    }
    Root root = search(t, low, high, start);
    root.at = evaluate(spectrum_, m_, root.at.kappa);
    ++root.iterations;
    if (root.converged) {
      last_ = root.at;
      last_noise_ = t;
    }
    return root;
  }

 private:
  Root search(Real t, Real low, Real high, Real kappa) const {
    Root root;
    for (root.iterations = 1; root.iterations <= max_iterations_; ++root.iterations) {
      root.at = evaluate(spectrum_, m_, kappa);
      (kappa * root.at.deficit < m_ * t ? low : high) = kappa;
      const Real next = newton_point(root.at, m_, t);
      if (std::abs(next - kappa) <= kLastStep * kappa) {
        root.at.kappa = next;
        root.converged = true;
        return root;
      }
      const bool slow = root.iterations > kPlainSteps && root.iterations % 2 == 0 && high > kWide * low;
      kappa = next > low && next < high && !slow ? next : std::sqrt(low) * std::sqrt(high);
    }
    --root.iterations;
    return root;
  }

  const Spectrum& spectrum_;
  Real m_;
  int max_iterations_;
  Real trace_ = 0, least_ = 0, last_noise_ = 0;
  Evaluation<Real> last_;  // at the solution before this
};

bool within(const Eigen::VectorXd& values, double low, double high) {
  return values.size() == 0 || (values.minCoeff() >= low && values.maxCoeff() <= high);
}

/// Writes entry i of the result for an evaluation at its kappa.
template <class Real>
void write(KappaResult& result, Index i, const Evaluation<Real>& at, Real m, Real t) {
  result.kappa[i] = static_cast<double>(at.kappa);
  result.df1[i] = static_cast<double>(at.df1);
  result.derivative[i] = static_cast<double>(m / (at.deficit + at.product));
  result.residual[i] = static_cast<double>(std::abs(at.deficit / m - t / at.kappa));
}

/// The solution in long double, rounded to double, and its certificate at both ends of the bracket: kappa (1 +- width),
/// or the neighbouring doubles where these lie further apart, below 1e-310.
void write_rounded(KappaResult& result, Index i, const Solver<long double>::Root& root, const Spectrum& spectrum,
                   long double m, long double t, double width) {
  using Real = long double;
  const auto kappa = static_cast<double>(root.at.kappa);
  write(result, i, root.at, m, t);
  if (!std::isfinite(kappa)) return;
  if (kappa > 0) write(result, i, evaluate(spectrum, m, Real(kappa)), m, t);
  const Real reach = std::max(Real(width) * kappa, Real(std::nextafter(kappa, 1.0)) - kappa);
  const Real low = kappa - reach, high = kappa + reach;
  const bool below = low <= 0 || certain_sign(evaluate(spectrum, m, low), m, t) < 0;
  result.certified[static_cast<std::size_t>(i)] =
      root.converged && below && certain_sign(evaluate(spectrum, m, high), m, t) > 0;
}

}  // namespace

bool KappaResult::good() const {
  return std::all_of(certified.begin(), certified.end(), [](bool c) { return c; });
}

KappaResult solve_kappa(const Eigen::Ref<const Eigen::VectorXd>& caller_noise, const Spectrum& spectrum, double m,
                        const KappaOptions& options) {
  // A copy, which is checked, sorted and used: another thread may change the caller's numbers.
  const Eigen::VectorXd noise_variance = caller_noise;
  constexpr const char* here = "solve_kappa";
  detail::require_positive(here, "m (degrees of freedom)", m);
  detail::require(options.max_iterations >= 1, here, "max_iterations must be at least 1", options.max_iterations);
  detail::require(options.certificate_width > 0 && options.certificate_width < kWidestCertificate, here,
                  "certificate_width must lie in (0, 0.1)", options.certificate_width);
  detail::require_all_not_negative(here, "noise_variance", noise_variance);
  detail::require_positive(here, "noise_factor", options.noise_factor);
  const Index count = noise_variance.size();
  KappaResult result;
  result.kappa = result.derivative = result.df1 = result.residual = Eigen::VectorXd::Zero(count);
  result.iterations = Eigen::VectorXi::Zero(count);
  result.certified.assign(static_cast<std::size_t>(count), false);

  std::vector<Index> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), Index{0});
  std::sort(order.begin(), order.end(), [&](Index a, Index b) { return noise_variance[a] > noise_variance[b]; });
  const Index rank = spectrum.positive().size();
  const double free = (m - spectrum.count_above()[rank]) - spectrum.count_rest()[rank];  // m - rank
  const bool inside = m >= kLeastCount && m <= kLargestCount &&
                      within(spectrum.positive(), kLeastPaired, kLargestPaired) &&
                      within(spectrum.positive_multiplicity(), kLeastCount, kLargestCount);
  Solver<double> fast(spectrum, m, options.max_iterations);
  Solver<long double> wide(spectrum, m, options.max_iterations);
  for (const Index i : order) {
    const long double exact = static_cast<long double>(noise_variance[i]) * options.noise_factor;
    const auto t = static_cast<double>(exact);
    if (exact == 0 && free >= 0) {  // kappa = 0 solves the equation exactly: its residual is 0
      result.df1[i] = spectrum.rank();
      result.derivative[i] = m / free;
      result.certified[static_cast<std::size_t>(i)] = free == 0 || free > spectrum.count_error();
      continue;
    }
    if (inside && (t == 0 || (t >= kLeastPaired && t <= kLargestPaired))) {
      const auto root = fast.solve(t);
      write(result, i, root.at, m, t);
      result.iterations[i] = root.iterations;
      result.certified[static_cast<std::size_t>(i)] =
          root.converged && changes_sign(root.at, m, t, options.certificate_width);
    }
    if (!result.certified[static_cast<std::size_t>(i)]) {
      const auto root = wide.solve(exact);
      write_rounded(result, i, root, spectrum, m, exact, options.certificate_width);
      result.iterations[i] += root.iterations + 2;
    }
    result.total_terms += static_cast<long>(result.iterations[i]) * rank;
  }
  return result;
}

double df1(double kappa, const Spectrum& spectrum) {
  detail::require_not_negative("df1", "kappa", kappa);
  return evaluate(spectrum, 1.0, kappa).df1;
}

double df2(double kappa, double kappa2, const Spectrum& spectrum) {
  detail::require_not_negative("df2", "kappa", kappa);
  detail::require_not_negative("df2", "kappa2", kappa2);
  const auto s = spectrum.positive().array();
  return (spectrum.positive_multiplicity().array() * (s / (s + kappa)) * (s / (s + kappa2))).sum();
}

}  // namespace kappaflow
