#include "kappaflow/renormalization.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "checks.hpp"
#include "kappaflow/errors.hpp"
#include "root_finding.hpp"

namespace kappaflow {
namespace {

using Index = Eigen::Index;
using Vector = Eigen::VectorXd;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Relative half-width of the bracket on which the equation must change sign: a hundred times the rounding errors of
/// sums over profiles and of the inner solution.
constexpr double kCertificate = 1e-11;

/// Number of profiles for the first search of a shift. All profiles then need only a few more steps.
constexpr Index kFirstProfiles = 512;
/// Width in log u of that first search: the fluctuation between 512 profiles and all is larger by far.
constexpr double kFirstWidth = 1e-5;
/// Steps of the secant method on all profiles: 4 to 6 are usual, and after 20 the bracketed search takes over.
constexpr int kSecantSteps = 20;
/// Width in log u of a full search: a few units of rounding.
constexpr double kFullWidth = 1e-15;

/// Brackets grow by this factor until the sign changes: each step covers more than half a decade.
constexpr double kBracketGrowth = 4;
/// Part by which an end of a bracket lies beyond a strict bound of the root.
constexpr double kBeyond = 1e-9;
/// The search for a lower end stops at this part of the smallest shift that the Gaussian law allows. Unequal sizes move
/// the shift by far less than six decades.
constexpr double kLeastShift = 1e-6;
/// If no degree of freedom is left, the resolvent at u = 0 still has a positive kappa, its smallest value. At a shift
/// of this part of the smallest eigenvalue it is reached to 0.01 %.
constexpr double kLeastOfEigenvalue = 1e-4;
/// The shift at which df1 = m lies above this part of the smallest eigenvalue, times 1 - m/rank.
constexpr double kFullShift = 1e-3;

/// If all degrees of freedom are used up, kappa follows its tangent below this part of the smallest eigenvalue: it has
/// a limit there, and its differences would be rounding errors.
constexpr double kLinear = 1e-3;

/// Newton's iteration for delta ends at this relative step, half a unit of rounding away from exact.
constexpr double kDeltaStep = 1e-14;
/// Because the iteration converges quadratically and from one side, a step back of this size is rounding error: the
/// step before it was exact to its square.
constexpr double kDeltaBack = 1e-8;
/// No step reduces the unknown by more than this part, so it stays positive.
constexpr double kDeltaShrink = 1e-3;
/// Newton's steps for delta: 10 are usual, and sizes over many decades cost a few per decade.
constexpr int kDeltaSteps = 200;
/// Sizes below this count as this in the bound 1/E[1/tau], which is only the start of the search.
constexpr double kLeastSize = 1e-12;

/// delta with mean tau delta/(1 + tau delta) = fraction = 1 - kept, both known without cancellation. The mean is
/// concave in delta and at most delta/(1+delta): Newton from fraction/kept ascends monotonically, and after one step
/// from any other start. If little is kept, the same is done for 1/delta, in which the mean of (1/delta)/(1/delta +
/// tau) = kept is concave. Infinity if no delta is large enough.
double solve_delta(const Vector& sizes, const Vector& weights, double fraction, double kept, double start = 0) {
  if (!(kept > 0)) return kInfinity;
  const bool inverse = kept < 0.5;
  const double target = inverse ? kept : fraction;
  const double least = inverse ? kept / weights.dot(sizes.cwiseMax(kLeastSize).cwiseInverse()) : fraction / kept;
  double x = std::isfinite(start) && start > 0 ? std::max(inverse ? 1 / start : start, least) : least;
  for (int step = 0; step < kDeltaSteps; ++step) {
    const Eigen::ArrayXd ratio =
        inverse ? Eigen::ArrayXd((x + sizes.array()).inverse()) : Eigen::ArrayXd((1 + sizes.array() * x).inverse());
    const double value = inverse ? x * weights.dot(ratio.matrix()) : x * weights.dot((sizes.array() * ratio).matrix());
    const double slope = weights.dot((sizes.array() * ratio.square()).matrix());
    const double move = (target - value) / slope;
    if (!std::isfinite(move)) return kInfinity;
    x = std::max(x + move, kDeltaShrink * x);
    if (std::abs(move) <= kDeltaStep * x || (step > 0 && move <= 0 && move > -kDeltaBack * x))
      return inverse ? 1 / x : x;
  }
  return kInfinity;
}

}  // namespace

/// The law at one shift of the spectrum.
struct Renormalization::State {
  double shift = 0, df1 = 0, delta = 0;
  double sample_retained = 1;  // h_N
  double retained = 0;         // h
  Vector sizes, kept;          // tau, r
  double residual = 0;         // |kappa h - t|/kappa, if t was solved for
  int evaluations = 1;         // number of evaluations of the law so far

  double noise() const { return retained > 0 ? shift * retained / sample_retained : 0.0; }  // increasing in the shift
};

/// A shift found between two of opposite sign.
struct Renormalization::Bracketed {
  double shift = 0;
  int evaluations = 0;
};

Renormalization::Renormalization(Spectrum spectrum, double degrees, double sample_degrees,
                                 std::shared_ptr<const RadialScales> scales, double scale)
    : known_(std::move(spectrum), sample_degrees), degrees_(degrees), sizes_(std::move(scales), known_, scale) {
  detail::require_positive("Renormalization", "degrees", degrees);
}

/// The shift below which kappa is linear: 0 unless all degrees of freedom of N samples are used up.
double Renormalization::edge() const {
  return !exact() && !equal_sizes() && known_.saturated() ? kLinear * spectrum().smallest_positive() : 0.0;
}

double Renormalization::sample_retained(double u) const {
  if (exact()) return 1;
  return equal_sizes() ? known_.retained(known_.degrees(), u) : state(u).sample_retained;
}

double Renormalization::noise_at(double u) const { return state(u).noise(); }

/// The law at a shift, of every stride-th profile alone; `delta` is where its search starts.
Renormalization::State Renormalization::state(double u, Index stride, double delta) const {
  State state;
  state.shift = u;
  state.df1 = kappaflow::df1(u, spectrum());
  if (equal_sizes()) {
    state.retained = known_.retained(degrees_, u);
    state.sample_retained = exact() ? 1 : known_.retained(known_.degrees(), u);
    return state;
  }
  state.sizes = sizes_.at(known_, u, stride);
  const Vector weights = stride == 1
                             ? sizes_.weights()
                             : Vector::Constant(state.sizes.size(), 1.0 / static_cast<double>(state.sizes.size()));
  if (!exact()) {  // theory.md (38): h_N = df1/(M delta_N)
    const double delta_n =
        solve_delta(state.sizes, weights, state.df1 / known_.degrees(), known_.retained(known_.degrees(), u));
    state.sample_retained = state.df1 / (known_.degrees() * delta_n);
    if (u < edge()) {
      const double kappa = edge() / this->state(edge(), stride).sample_retained;
      state.sample_retained = u / (kappa - (edge() - u) / stretch(edge()));
    }
  }
  state.delta = solve_delta(state.sizes, weights, state.df1 / degrees_, known_.retained(degrees_, u), delta);
  state.kept = (1 + state.sizes.array() * state.delta).inverse();
  state.retained = std::isfinite(state.delta) ? state.df1 / (degrees_ * state.delta) : 0.0;
  return state;
}

/// The shift between two of opposite sign, which are searched for outwards from the Gaussian bounds.
Renormalization::Bracketed Renormalization::bracketed(double noise, Index stride, double width, double factor) const {
  // u/t is at least 1 for m <= M and (M - rank)/M otherwise. With as many degrees of freedom as modes, the resolvent at
  // u = 0 still has a positive kappa, the smallest possible one.
  const double free = exact() ? 1.0 : (known_.degrees() - spectrum().rank()) / known_.degrees();
  const double least = free > 0 || degrees_ <= known_.degrees() ? kLeastShift * (free > 0 ? free : 1.0) * noise
                                                                : kLeastOfEigenvalue * spectrum().smallest_positive();
  Bracketed found;
  const auto excess = [&](double x) {
    ++found.evaluations;
    return state(std::exp(x), stride).noise() - noise;
  };
  double high = std::log(noise + spectrum().trace() / degrees_);
  while (excess(high) < 0) high += std::log(kBracketGrowth);
  double low = std::min(std::log(noise), high) - kBeyond;
  for (; excess(low) > 0; low -= std::log(kBracketGrowth)) {
    if (low < std::log(least)) {
      const std::string total = detail::text(known_.degrees() + 1);
      throw UnidentifiedError(
          "Splits: n must be at most " + total + " at a noise variance this small, got noise_variance " +
          detail::text(noise / factor) + ": the " + total + " samples have a covariance of rank " +
          detail::text(spectrum().rank()) + " and determine the population only above a noise level");
    }
  }
  found.shift = std::exp(detail::bracketed_root(excess, low, high, width));
  return found;
}

/// From a state near the solution, by the secant method in logarithms on all profiles. The last state: it solves the
/// equation if its residual is within the certificate.
Renormalization::State Renormalization::refined(State at, double noise) const {
  double before = 0, error_before = 0;
  for (int step = 0; step < kSecantSteps && at.retained > 0; ++step) {
    const double x = std::log(at.shift), error = std::log(at.noise() / noise);
    at.residual = std::abs(error);
    if (at.residual <= kCertificate) break;
    const double slope = step == 0 ? 1 : (error - error_before) / (x - before);
    if (!(slope > 0)) break;
    before = x;
    error_before = error;
    const int evaluations = at.evaluations + 1;
    at = state(std::exp(x - error / slope), 1, at.delta);
    at.evaluations = evaluations;
    at.residual = kInfinity;
  }
  return at;
}

/// The law at noise t. Profiles: from the shift of some of them by the secant method, else bracketed.
Renormalization::State Renormalization::solve_one(double noise, double factor) const {
  const auto measured = [&](State at) {
    at.residual = std::abs(at.noise() - noise) * at.sample_retained / at.shift;
    return at;
  };
  int evaluations = 0;
  if (!equal_sizes() && !sizes_.given()) {
    const Index stride = std::max<Index>(1, sizes_.count() / kFirstProfiles);
    const Bracketed some = bracketed(noise, stride, kFirstWidth, factor);
    State at = state(some.shift);
    at.residual = kInfinity;
    at = refined(std::move(at), noise);
    at.evaluations += some.evaluations;
    if (at.residual <= kCertificate) return measured(std::move(at));
    evaluations = at.evaluations;
  }
  const Bracketed all = spectrum().rank() == 0 ? Bracketed{noise, 0} : bracketed(noise, 1, kFullWidth, factor);
  State at = measured(state(all.shift));
  at.evaluations += all.evaluations + evaluations;
  if (spectrum().rank() > 0 &&
      (noise_at(at.shift * (1 + kCertificate)) < noise || noise_at(at.shift * (1 - kCertificate)) > noise)) {
    throw ConvergenceError("Splits: kappa is not certified at noise_variance " + detail::text(noise / factor) +
                           ", residual " + detail::text(at.residual));
  }
  return at;
}

/// Node i of noise 0: x/(x+0) is 1 for every training set of full rank.
void Renormalization::solve_without_noise(RenormalizedNodes& nodes, Index i) const {
  nodes.residual[i] = 0;
  nodes.evaluations[i] = 0;
  if (equal_sizes() && spectrum().rank() > degrees_) {  // where df1 = m
    const auto excess = [&](double x) {
      ++nodes.evaluations[i];
      return known_.retained(degrees_, std::exp(x));
    };
    const double low = std::log(kFullShift * spectrum().smallest_positive());
    nodes.shift[i] = std::exp(detail::bracketed_root(excess, low + std::log(1 - degrees_ / spectrum().rank()),
                                                     std::log(spectrum().trace() / degrees_) + kBeyond, kFullWidth));
    nodes.kappa[i] = nodes.shift[i] / sample_retained(nodes.shift[i]);
    nodes.retained[i] = 0;
    nodes.residual[i] = std::abs(known_.retained(degrees_, nodes.shift[i]));
    return;
  }
  if (spectrum().rank() > degrees_ || known_.saturated()) {
    throw UnidentifiedError(
        "Splits: noise_variance must be positive under this law where n is below the rank, or where the population is "
        "known through too few samples, got 0");
  }
  nodes.kappa[i] = nodes.shift[i] = 0;
  nodes.retained[i] = 1 - spectrum().rank() / degrees_;
  if (!equal_sizes()) {
    nodes.sizes.col(i).setOnes();
    nodes.kept.col(i).setOnes();
  }
}

RenormalizedNodes Renormalization::solve(const Eigen::Ref<const Vector>& noise, double factor) const {
  detail::require_all_not_negative("Renormalization::solve", "noise", noise);
  detail::require_positive("Renormalization::solve", "factor", factor);
  const Index count = noise.size();
  RenormalizedNodes nodes;
  nodes.kappa = nodes.shift = nodes.retained = nodes.residual = Vector(count);
  nodes.evaluations.resize(count);
  if (exact() && equal_sizes()) {
    const KappaResult solved = solve_kappa(noise, spectrum(), degrees_, {.noise_factor = factor});
    for (Index i = 0; i < count; ++i) {
      if (!solved.certified[static_cast<std::size_t>(i)]) {
        throw ConvergenceError("Splits: kappa is not certified at noise_variance " + detail::text(noise[i]) +
                               ", residual " + detail::text(solved.residual[i]));
      }
      nodes.retained[i] =
          solved.kappa[i] > 0 ? factor * (noise[i] / solved.kappa[i]) : 1 - spectrum().rank() / degrees_;
    }
    nodes.kappa = nodes.shift = solved.kappa;
    nodes.residual = solved.residual;
    nodes.evaluations = solved.iterations;
    complete(nodes);
    return nodes;
  }
  if (!equal_sizes()) {
    nodes.sizes.resize(sizes_.count(), count);
    nodes.kept.resize(sizes_.count(), count);
  }
  for (Index i = 0; i < count; ++i) {
    if (noise[i] == 0) {
      solve_without_noise(nodes, i);
      continue;
    }
    const State at = solve_one(factor * noise[i], factor);
    nodes.shift[i] = at.shift;
    nodes.kappa[i] = nodes.shift[i] / at.sample_retained;
    nodes.retained[i] = factor * (noise[i] / nodes.kappa[i]);
    nodes.residual[i] = at.residual;
    nodes.evaluations[i] = at.evaluations;
    if (!equal_sizes()) {
      nodes.sizes.col(i) = at.sizes;
      nodes.kept.col(i) = at.kept;
    }
  }
  complete(nodes);
  return nodes;
}

}  // namespace kappaflow
