#include "kappaflow/spectral_function.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>

#include "checks.hpp"

namespace kappaflow {
namespace {

using std::numbers::pi;

/// Relative rounding error of a sum of positive terms: a unit of rounding for each term, and so many for the nodes and
/// weights themselves, whose recursion has up to 13 steps.
constexpr double kTermErrors = 64;
constexpr double kUnit = std::numeric_limits<double>::epsilon() / 2;
double rounding_error(double terms) { return (terms + kTermErrors) * kUnit; }

/// Bounds of the tolerance of a rule: rounding below, and above it a rule that says nothing about the function.
constexpr double kLeastTolerance = 1e-15, kLargestTolerance = 0.1;

/// The arithmetic-geometric mean takes 10 steps for a ratio of 1e-80 and one more for each squaring of it, so that no
/// double needs more than 13 steps.
constexpr int kLandenSteps = 32;
/// The mean converges quadratically: when its two sequences agree to this, their next common value is exact to 1e-16.
constexpr double kLandenAgreement = 1e-8;

/// 1/sinh^2(E/2) is below 4 exp(-700) = 4e-304 from here on, and 0 counts as its value; sinh overflows at 710.
constexpr double kLargestExponent = 700;

/// cn/sn and dn at z_j = (j - 1/2) K/N, j = 1..N, for the elliptic parameter 1 - complement (Bulirsch's recursion).
///
/// Takes the root of the complementary parameter: 1 - complement would round to 1 for wide spectra, and the parameter
/// itself to 0 for those that are wider than double's range is to one side. The amplitude at the end
/// of the Landen chain is (pi/2)(j - 1/2)/N whatever the modulus, and every step adds and multiplies positive numbers,
/// so cn/sn keeps its relative accuracy even if cn is 1e-20.
class EllipticNodes {
 public:
  EllipticNodes(double root_of_complement, int nodes) : nodes_(nodes) {
    double a = 1, b = root_of_complement;
    for (steps_ = 0; steps_ < kLandenSteps; ++steps_) {
      arithmetic_[steps_] = a;
      geometric_[steps_] = b;
      mean_ = 0.5 * (a + b);
      if (std::abs(a - b) <= kLandenAgreement * a) break;
      b = std::sqrt(a * b);
      a = mean_;
    }
  }
  double quarter_period() const { return pi / (2 * mean_); }
  void evaluate(int j, double& cn_over_sn, double& dn) const {
    double ratio = std::tan(0.5 * pi * (nodes_ - j + 0.5) / nodes_);
    double c = mean_ * ratio;
    dn = 1;
    for (int i = std::min(steps_, kLandenSteps - 1); i >= 0; --i) {
      const double b = arithmetic_[i];
      ratio *= c;
      c *= dn;
      dn = (geometric_[i] + ratio) / (b + ratio);
      ratio = c / b;
    }
    cn_over_sn = c;
  }

 private:
  int nodes_, steps_ = 0;
  double mean_ = 1, arithmetic_[kLandenSteps], geometric_[kLandenSteps];
};

/// log(16 high/low), also if the quotient itself overflows.
double log_ratio(Interval interval) { return std::log(16.0) + std::log(interval.high) - std::log(interval.low); }

/// Bound on the relative error of the rule, theory.md (5): 4q/(1-q)^2 = 1/sinh^2(E/2) with q = exp(-E) and E = 2 pi N
/// K(r)/K(1-r) for the ratio r of the interval, from below by its leading term: K(1-r)/K(r) <= log(16/r)/pi.
double rule_error(Interval interval, int nodes) {
  const double exponent = 2 * pi * pi * nodes / log_ratio(interval);
  return exponent > kLargestExponent ? 0.0 : 1 / std::pow(std::sinh(0.5 * exponent), 2);
}

/// Smallest number of nodes with rule_error() <= tolerance: theory.md (5) solved for N.
int nodes_for(Interval interval, double tolerance) {
  const double nodes = std::ceil(std::acosh(1 + 2 / tolerance) * log_ratio(interval) / (2 * pi * pi));
  return std::max(1, static_cast<int>(nodes));
}

void require_interval(const char* function, Interval support) {
  detail::require_positive(function, "support.low", support.low);
  detail::require(std::isfinite(support.high) && support.high >= support.low, function,
                  "support.high must be finite and at least support.low", support.high);
}

/// A noise level is a standard deviation; its square must be a normal number, unless it is 0.
void require_level(const char* function, const char* argument, double sigma) {
  detail::require_not_negative(function, argument, sigma);
  const double square = sigma * sigma;
  if (sigma > 0 && !(square >= std::numeric_limits<double>::min() && std::isfinite(square)))
    detail::throw_argument(function, std::string(argument) + " must be 0 or between 1.5e-154 and 1.3e154", sigma);
}

void require_tolerance(const char* function, double tolerance) {
  detail::require(tolerance >= kLeastTolerance && tolerance <= kLargestTolerance, function,
                  "tolerance must lie in [1e-15, 0.1]", tolerance);
}

/// The trapezoid rule's error for a function analytic in |Im u| < pi is about 4 exp(-2 pi^2/step): with the step
/// 2 pi^2/log(16/tolerance) it takes a quarter of the tolerance.
constexpr double kTrapezoidErrors = 16;
/// Beyond log(8/tolerance) from the support x/(x + exp(u)) is its limit to an eighth of the tolerance.
constexpr double kTailErrors = 8;

/// Errors of exp(u) with |u| <= reach, in units of rounding: that of u, and a few operations.
constexpr double kExponentErrors = 2;

/// x^alpha = sin(alpha pi)/pi * integral of exp(alpha u) x/(x + exp(u)) du by the trapezoid rule, in units of the
/// middle of the support. Nodes far below the support act as a step, nodes far above it as a linear function: each tail
/// is summed into one node.
SpectralFunction power_by_trapezoid(double alpha, Interval support, double tolerance) {
  const double unit = std::sqrt(support.low) * std::sqrt(support.high);
  const double scale = std::sin(alpha * pi) / pi * std::pow(unit, alpha);
  const double step = 2 * pi * pi / std::log(kTrapezoidErrors / tolerance);
  const double reach = 0.5 * (std::log(support.high) - std::log(support.low)) + std::log(kTailErrors / tolerance);
  const auto last = static_cast<long>(std::ceil(reach / step));
  const auto count = static_cast<Eigen::Index>(2 * last + 1);
  Eigen::VectorXd shifts(count + 2), weights(count + 2);
  for (Eigen::Index i = 0; i < count; ++i) {
    const double u = step * static_cast<double>(i - last);
    shifts[i + 1] = unit * std::exp(u);
    weights[i + 1] = scale * step * std::exp(alpha * u);
  }
  // below: weights w q + w q^2 + ... with q = exp(-alpha step), at a shift of no effect on the support
  const double below = std::exp(-alpha * step);
  shifts[0] = shifts[1] * std::exp(-step);
  weights[0] = weights[1] * below / (1 - below);
  // above: x/(x+t) -> x/t, so that the weights over shifts form the geometric series
  const double above = std::exp((alpha - 1) * step);
  shifts[count + 1] = shifts[count] * std::exp(step);
  weights[count + 1] = weights[count] / shifts[count] * above / (1 - above) * shifts[count + 1];
  if (!shifts.allFinite() || !weights.allFinite())
    detail::throw_argument("matrix_power", "support.high must be smaller, because nodes above it overflow",
                           support.high);
  const double exponents = kExponentErrors * (step * static_cast<double>(last) + std::abs(std::log(unit))) * kUnit;
  return SpectralFunction(0.0, weights, shifts, tolerance + exponents + rounding_error(static_cast<double>(count)));
}

}  // namespace

SpectralFunction::SpectralFunction(double constant, const Eigen::Ref<const Eigen::VectorXd>& weights,
                                   const Eigen::Ref<const Eigen::VectorXd>& shifts, double error_bound)
    : constant_(constant), weights_(weights), shifts_(shifts), error_bound_(error_bound) {
  constexpr const char* here = "SpectralFunction";
  detail::require(std::isfinite(constant), here, "constant must be finite", constant);
  detail::require_not_negative(here, "error_bound", error_bound);
  detail::require(weights.size() == shifts.size(), here, "weights must have one entry for each shift", weights.size());
  for (Eigen::Index i = 0; i < shifts.size(); ++i) {
    detail::require(std::isfinite(weights[i]), here, "weights must be finite", weights[i]);
    detail::require_not_negative(here, "shifts", shifts[i]);
  }
}

double SpectralFunction::operator()(double x) const {
  detail::require(x >= 0, "SpectralFunction", "x must not be negative", x);
  if (x == 0) return constant_;
  return constant_ + (weights_.array() * (x / (x + shifts_.array()))).sum();
}

SpectralFunction SpectralFunction::denoiser(double sigma) {
  require_level("denoiser", "sigma", sigma);
  const Eigen::VectorXd one = Eigen::VectorXd::Ones(1);
  return SpectralFunction(0.0, one, one * (sigma * sigma), 0.0);
}

/// theory.md (4).
SquareRootRule square_root_rule(Interval interval, int nodes) {
  require_interval("square_root_rule", interval);
  detail::require(nodes >= 1, "square_root_rule", "nodes must be at least 1", nodes);
  const double root = std::sqrt(interval.low);
  const EllipticNodes elliptic(root / std::sqrt(interval.high), nodes);
  const double scale = 2 * elliptic.quarter_period() * root / (pi * nodes);
  SquareRootRule rule{Eigen::VectorXd(nodes), Eigen::VectorXd(nodes), rule_error(interval, nodes)};
  for (int j = 1; j <= nodes; ++j) {
    double c, dn;
    elliptic.evaluate(j, c, dn);
    rule.shifts[j - 1] = (root / c) * (root / c);
    rule.weights[j - 1] = scale * dn + scale / c * (dn / c);
  }
  return rule;
}

int square_root_nodes(Interval interval, double tolerance) {
  require_interval("square_root_nodes", interval);
  require_tolerance("square_root_nodes", tolerance);
  return nodes_for(interval, tolerance);
}

SpectralFunction SpectralFunction::sampling_map(double sigma, double sigma_max, Interval support, double tolerance) {
  constexpr const char* here = "sampling_map";
  require_level(here, "sigma", sigma);
  detail::require(std::isfinite(sigma_max) && sigma_max > sigma, here, "sigma_max must be finite and above sigma",
                  sigma_max);
  require_level(here, "sigma_max", sigma_max);
  require_interval(here, support);
  require_tolerance(here, tolerance);
  const double a = sigma * sigma, b = sigma_max * sigma_max;
  // theory.md (6) for b y in place of y: b (x + a)/(x + b) has the magnitude of noise variances, and y may underflow.
  const auto scaled = [&](double x) { return x < b ? (x + a) / (1 + x / b) : (1 + a / x) / (1 / b + 1 / x); };
  const Interval range{a > 0 ? a : scaled(support.low), scaled(support.high)};
  // The constant is exact while the rule's own value at x = 0 is not: for sigma > 0 that error adds to the error at x.
  const double parts = a > 0 ? 2 : 1;
  const SquareRootRule rule = square_root_rule(range, nodes_for(range, tolerance / parts));
  const Eigen::ArrayXd y = rule.shifts.array(), part = 1 + y / b;
  const Eigen::ArrayXd shifts = (a + y) / part;
  // 1 - a/t = (1 - a/b)/(1 + a/y), written without the difference
  const Eigen::ArrayXd weights = rule.weights.array() / sigma_max / part * ((1 - a / b) / (1 + a / y));
  return SpectralFunction(sigma / sigma_max, weights.matrix(), shifts.matrix(),
                          parts * rule.error_bound + rounding_error(static_cast<double>(shifts.size())));
}

SpectralFunction SpectralFunction::matrix_power(double alpha, Interval support, double tolerance) {
  constexpr const char* here = "matrix_power";
  detail::require(alpha > 0 && alpha < 1, here, "alpha must lie strictly between 0 and 1", alpha);
  require_interval(here, support);
  require_tolerance(here, tolerance);
  if (alpha != 0.5) return power_by_trapezoid(alpha, support, tolerance);
  const SquareRootRule rule = square_root_rule(support, square_root_nodes(support, tolerance));
  return SpectralFunction(0.0, rule.weights, rule.shifts,
                          rule.error_bound + rounding_error(static_cast<double>(rule.shifts.size())));
}

}  // namespace kappaflow
