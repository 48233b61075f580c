#include "kappaflow/silverstein.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "checks.hpp"
#include "simd.hpp"

namespace kappaflow {
namespace {

using Index = Eigen::Index;

/// Terms are summed in blocks of this length, so that rounding errors grow with the number of blocks and not of terms.
constexpr Index kBlock = 1024;

/// A Newton step of this relative size leaves an error below its square, 1e-16, because kappa F'' <= 2 F' always.
constexpr double kLastStep = 1e-8;

/// Two denominators s + kappa within [1e-140, 1e140] have a product and an inverse product within double's range,
/// 1e-308 to 1e308, with room for the factors of the sums.
constexpr double kLeastPaired = 1e-140, kLargestPaired = 1e140;

/// The certificate needs width << 1: its bound loses the factor 1 - 2 width.
constexpr double kWidestCertificate = 0.1;

struct RatioSums {
  double ratio = 0;    // sum of mult * r
  double product = 0;  // sum of mult * r (1 - r)
};

/// r = (slope s + offset)/(s + kappa): s/(s+kappa) with slope 1, kappa/(s+kappa) with offset kappa.
KAPPAFLOW_CLONES RatioSums sum_singly(const double* s, const double* mult, Index count, double kappa, double slope,
                                      double offset) {
  double ratio = 0, product = 0;
#pragma omp simd reduction(+ : ratio, product)
  for (Index k = 0; k < count; ++k) {
    const double r = (slope * s[k] + offset) / (s[k] + kappa);
    ratio += mult[k] * r;
    product += mult[k] * (r * (1 - r));
  }
  return {ratio, product};
}

/// The same sums with one division for two terms, the first and the second half: the loop is bound by division.
KAPPAFLOW_CLONES RatioSums sum_in_pairs(const double* s, const double* mult, Index half, double kappa, double slope,
                                        double offset) {
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
  return {ratio, product};
}

/// Sums over modes in descending order, in blocks; in pairs if no product of two denominators can leave double's range.
RatioSums sum_ratios(const double* s, const double* mult, Index count, double kappa, double slope, double offset) {
  RatioSums total;
  const bool pairs = count > 0 && s[0] + kappa < kLargestPaired && kappa > kLeastPaired;
  for (Index start = 0; start < count; start += kBlock) {
    const Index length = std::min(count - start, kBlock), half = pairs ? length / 2 : 0, done = 2 * half;
    const RatioSums paired = sum_in_pairs(s + start, mult + start, half, kappa, slope, offset);
    const RatioSums rest = sum_singly(s + start + done, mult + start + done, length - done, kappa, slope, offset);
    total.ratio += paired.ratio + rest.ratio;
    total.product += paired.product + rest.product;
  }
  return total;
}

/// The Silverstein equation, theory.md (9), at one kappa, split at s = kappa.
struct Evaluation {
  double deficit = 0;  // m - df1
  double df1 = 0;
  double product = 0;  // df1 - df2(kappa, kappa) = sum of s kappa/(s+kappa)^2
};

Evaluation evaluate(const Spectrum& spectrum, double m, double kappa) {
  const auto& s = spectrum.positive();
  const auto& mult = spectrum.positive_multiplicity();
  const Index above =
      std::partition_point(s.data(), s.data() + s.size(), [&](double v) { return v > kappa; }) - s.data();
  const RatioSums high = sum_ratios(s.data(), mult.data(), above, kappa, 0, kappa);
  const RatioSums low = sum_ratios(s.data() + above, mult.data() + above, s.size() - above, kappa, 1, 0);
  const double count = spectrum.count_above()[above];
  return {(m - count) + (high.ratio - low.ratio), count - high.ratio + low.ratio, high.product + low.product};
}

/// Newton's next point for the noise variance t, (t + kappa C/m)/(u + C/m) with u = 1 - df1/m and C = df1 - df2: a
/// quotient of positive sums, free of cancellation.
double newton_point(const Evaluation& at, double m, double kappa, double t) {
  return (m * t + kappa * at.product) / (at.deficit + at.product);
}

struct Root {
  double kappa = 0;
  Evaluation at;
  int iterations = 0;
  bool converged = false;
};

/// Monotone descent from `start`, a point at or to the right of the root.
Root descend(const Spectrum& spectrum, double m, double t, double start, int max_iterations) {
  Root root{start, {}, 0, false};
  while (root.iterations < max_iterations) {
    root.at = evaluate(spectrum, m, root.kappa);
    ++root.iterations;
    const double next = newton_point(root.at, m, root.kappa, t);
    if (!(next > 0) || !std::isfinite(next)) return root;
    const double step = root.kappa - next;
    root.kappa = next;
    if (step <= kLastStep * next) {
      root.converged = true;
      return root;
    }
  }
  return root;
}

/// F(kappa) = kappa (1 - df1/m) - t changes sign across kappa (1 +- width), proved from one evaluation: F is convex,
/// hence F(kappa + delta) >= F + delta F', and kappa F'' <= 2 F' gives F(kappa - delta) <= F - delta F' (1 - 2 width).
bool changes_sign(const Evaluation& at, double m, double t, double kappa, double width) {
  const double excess = kappa * (at.deficit / m) - t;
  return std::abs(excess) < width * (1 - 2 * width) * kappa * ((at.deficit + at.product) / m);
}

}  // namespace

bool KappaResult::good() const {
  return std::all_of(certified.begin(), certified.end(), [](bool c) { return c; });
}

KappaResult solve_kappa(const Eigen::Ref<const Eigen::VectorXd>& noise_variance, const Spectrum& spectrum, double m,
                        const KappaOptions& options) {
  constexpr const char* here = "solve_kappa";
  detail::require_positive(here, "m (degrees of freedom)", m);
  detail::require(options.max_iterations >= 1, here, "max_iterations must be at least 1", options.max_iterations);
  detail::require(options.certificate_width > 0 && options.certificate_width < kWidestCertificate, here,
                  "certificate_width must lie in (0, 0.1)", options.certificate_width);
  detail::require_all_not_negative(here, "noise_variance", noise_variance);
  const Index count = noise_variance.size();
  KappaResult result;
  result.kappa = result.derivative = result.df1 = result.residual = Eigen::VectorXd::Zero(count);
  result.iterations = Eigen::VectorXi::Zero(count);
  result.certified.assign(count, false);

  std::vector<Index> order(count);
  std::iota(order.begin(), order.end(), Index{0});
  std::sort(order.begin(), order.end(), [&](Index a, Index b) { return noise_variance[a] > noise_variance[b]; });
  Root last;
  bool warm = false;
  for (const Index i : order) {
    const double t = noise_variance[i];
    if (t == 0 && spectrum.rank() <= m) {  // kappa = 0 solves the equation exactly: its residual is 0
      result.df1[i] = spectrum.rank();
      result.derivative[i] = m / (m - spectrum.rank());
      result.certified[i] = true;
      continue;
    }
    double start = t + spectrum.trace() / m;
    // kappa is concave in t, so the tangent at a larger t lies above it: a start to the right of the root.
    if (warm) start = std::min(start, newton_point(last.at, m, last.kappa, t));
    const Root root = descend(spectrum, m, t, start, options.max_iterations);
    const Evaluation at = evaluate(spectrum, m, root.kappa);
    result.kappa[i] = root.kappa;
    result.df1[i] = at.df1;
    result.derivative[i] = m / (at.deficit + at.product);
    result.residual[i] = std::abs(at.deficit / m - t / root.kappa);
    result.iterations[i] = root.iterations + 1;
    result.certified[i] = root.converged && changes_sign(at, m, t, root.kappa, options.certificate_width);
    result.total_terms += static_cast<long>(result.iterations[i]) * spectrum.positive().size();
    last = {root.kappa, at, 0, root.converged};
    warm = root.converged;
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
