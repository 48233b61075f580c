#include "kappaflow/renormalization.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "kappaflow/errors.hpp"
#include "products.hpp"

namespace kappaflow {
namespace {

using Index = Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

/// Relative half-width of the bracket on which the equation must change sign.
constexpr double kCertificate = 1e-11;
/// Profiles on which a shift is sought first; the rest takes few steps from there.
constexpr Index kFirstProfiles = 512;
constexpr int kSteps = 200;
/// Shifts closer than this (in log u) take the derivative of kappa for the quotient of differences, by a central
/// difference of this width: an error of its square.
constexpr double kClose = 1e-3;
/// Where a spectrum of N samples keeps less than this, leverages in it no longer tell sizes apart.
constexpr double kLeastKept = 0.02;
/// Shifts below this part of the smallest eigenvalue, where all degrees of freedom are used up, take the line through
/// it: kappa has a limit there and its differences would be rounding.
constexpr double kLinear = 1e-3;
/// Degrees of freedom df1, over the most there are, at which the variance of sizes is held against that of norms of
/// Gaussian samples.
constexpr double kProbes[] = {0.5, 0.25, 0.1};

/// Root of an increasing function of x between two points of opposite sign: Chandrupatla's combination of inverse
/// quadratic interpolation and bisection (1997).
double bracketed_root(const std::function<double(double)>& function, double a, double b, double width) {
  double fa = function(a), fb = function(b), c = a, fc = fa, fraction = 0.5;
  for (int step = 0; step < kSteps && fa != 0 && fb != 0; ++step) {
    const double x = a + fraction * (b - a), fx = function(x);
    if (std::signbit(fx) == std::signbit(fa)) {
      c = a;
      fc = fa;
    } else {
      c = b;
      fc = fb;
      b = a;
      fb = fa;
    }
    a = x;
    fa = fx;
    const double best = std::abs(fa) < std::abs(fb) ? a : b;
    const double least = 0.5 * width / std::abs(b - c);
    if (fa == 0 || std::abs(b - a) <= width) return best;
    const double xi = (a - b) / (c - b), phi = (fa - fb) / (fc - fb);
    fraction = 0.5;
    if (phi * phi < xi && (1 - phi) * (1 - phi) < 1 - xi) {
      fraction = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb);
    }
    fraction = std::clamp(fraction, least, 1 - least);
  }
  return std::abs(fa) < std::abs(fb) ? a : b;
}

/// delta with mean tau delta/(1 + tau delta) = fraction = 1 - kept, both known without cancellation. The mean is
/// concave in delta and at most delta/(1+delta): Newton from fraction/kept ascends monotonically, and after one step
/// from any other start. Where little is kept, the same for 1/delta, in which the mean of (1/delta)/(1/delta + tau) =
/// kept is concave. Infinity where no delta is large enough.
double solve_delta(const Vector& sizes, const Vector& weights, double fraction, double kept, double start = 0) {
  if (!(kept > 0)) return std::numeric_limits<double>::infinity();
  const bool inverse = kept < 0.5;
  const double target = inverse ? kept : fraction;
  const double least = inverse ? kept / weights.dot(sizes.cwiseMax(1e-12).cwiseInverse()) : fraction / kept;
  double x = std::isfinite(start) && start > 0 ? std::max(inverse ? 1 / start : start, least) : least;
  for (int step = 0; step < kSteps; ++step) {
    const Eigen::ArrayXd ratio =
        inverse ? Eigen::ArrayXd((x + sizes.array()).inverse()) : Eigen::ArrayXd((1 + sizes.array() * x).inverse());
    const double value = inverse ? x * weights.dot(ratio.matrix()) : x * weights.dot((sizes.array() * ratio).matrix());
    const double slope = weights.dot((sizes.array() * ratio.square()).matrix());
    const double move = (target - value) / slope;
    if (!std::isfinite(move)) return std::numeric_limits<double>::infinity();
    x = std::max(x + move, 1e-3 * x);
    if (std::abs(move) <= 1e-14 * x || (step > 0 && move <= 0 && move > -1e-8 * x)) return inverse ? 1 / x : x;
  }
  return std::numeric_limits<double>::infinity();
}

}  // namespace

/// The law at one shift of the spectrum.
struct Renormalization::State {
  double shift = 0, df1 = 0, delta = 0;
  double sample_retained = 1;  // h_N
  double retained = 0;         // h
  Vector sizes, kept;          // tau, r

  double noise() const { return retained > 0 ? shift * retained / sample_retained : 0.0; }  // increasing in the shift
};

Renormalization::Renormalization(Spectrum spectrum, double degrees, double sample_degrees,
                                 std::shared_ptr<const RadialScales> scales, double scale)
    : spectrum_(std::move(spectrum)),
      degrees_(degrees),
      sample_degrees_(sample_degrees),
      scales_(std::move(scales)),
      scale_(scale) {
  detail::require(std::isfinite(degrees) && degrees > 0, "Renormalization", "degrees must be finite and positive",
                  degrees);
  if (spectrum_.rank() > sample_degrees) {
    throw std::invalid_argument("Renormalization: the sample size must exceed the number of non-zero eigenvalues, " +
                                detail::text(spectrum_.rank()) + ", got " + detail::text(sample_degrees + 1));
  }
  if (scales_ != nullptr && !scales_->given()) {
    const double low = std::log(1e-3 * spectrum_.smallest_positive());
    if (!exact() && spectrum_.rank() > 0 && deficit(sample_degrees_, std::exp(low)) < kLeastKept) {
      const auto excess = [&](double x) { return deficit(sample_degrees_, std::exp(x)) - kLeastKept; };
      least_norms_ = std::exp(bracketed_root(excess, low, std::log(100 * spectrum_.trace()), 1e-6));
    }
    for (const double part : kProbes) probe(part * spectrum_.rank());
  }
}

/// What of the observed variance of norms is that of sizes, where df1 has a given value: a norm over modes of a
/// Gaussian sample of size tau is tau times a quadratic form of relative variance 2 tr(Sigma G Sigma G)/df1^2.
void Renormalization::probe(double degrees) {
  const auto excess = [&](double x) { return degrees - kappaflow::df1(std::exp(x), spectrum_); };
  const double low = std::log(1e-3 * spectrum_.smallest_positive());
  const double high = std::log(spectrum_.trace() / degrees) + 1e-9;  // df1 < trace/u
  if (degrees == 0 || excess(low) > 0) return;
  const double u = std::exp(bracketed_root(excess, low, high, 1e-6));
  const Vector sizes = norms(u, 1);
  double shown = kappaflow::df2(u, u, spectrum_), retained = 1;
  if (!exact()) {
    // sum s^2/(s+u)^2 of M degrees of freedom is (1 - df1/M)^2 E tr(Sigma G Sigma G) + df1^2/M, where G is the
    // resolvent of a sample and the expectation df2/(1 - df2/M)
    shown -= degrees * degrees / sample_degrees_;
    retained = deficit(sample_degrees_, u);
  }
  const double noise = 2 * std::max(shown, 0.0) / (retained * retained * degrees * degrees);
  const double observed = (sizes.array() - 1).square().mean(), actual = (observed - noise) / (1 + noise);
  if (observed > noise) {
    actual_share_ = std::max(actual_share_, actual / observed);
    actual_variance_ = std::max(actual_variance_, actual);
  }
}

double Renormalization::sum_spread(double u, double v) const {
  const auto s = spectrum_.positive().array();
  return (spectrum_.positive_multiplicity().array() * s / ((s + u) * (s + v))).sum();
}

/// 1 - df1/degrees, by whichever sum cancels less.
double Renormalization::deficit(double degrees, double u) const {
  const double df1 = kappaflow::df1(u, spectrum_);
  if (df1 < 0.5 * spectrum_.rank()) return 1 - df1 / degrees;
  const auto s = spectrum_.positive().array();
  const double kept = (spectrum_.positive_multiplicity().array() * (u / (s + u))).sum();
  return ((degrees - spectrum_.rank()) + kept) / degrees;
}

/// The shift below which kappa is a line: 0 unless all degrees of freedom of N samples are used up.
double Renormalization::edge() const {
  return !exact() && !equal_sizes() && spectrum_.rank() == sample_degrees_ ? kLinear * spectrum_.smallest_positive()
                                                                           : 0.0;
}

double Renormalization::sample_retained(double u) const {
  if (exact()) return 1;
  return equal_sizes() ? deficit(sample_degrees_, u) : state(u).sample_retained;
}

/// Norms of the profiles in the metric of the resolvent, of mean 1; those of samples that the spectrum is made of are
/// taken against the other samples: leverage l in the own set, l/(1-l) without it. A leverage above 1 - 1/N, of a
/// sample that has a direction for itself, is taken for that.
Vector Renormalization::norms(double u, Index stride) const {
  const double shift = std::max(u, least_norms_);
  Vector sizes = scales_->some(shift / scale_, stride);
  if (exact()) return sizes;
  const Eigen::ArrayXd leverage =
      (sizes.array() * (kappaflow::df1(shift, spectrum_) / sample_degrees_)).min(1 - 1 / (sample_degrees_ + 1));
  sizes = leverage / (1 - leverage);
  return sizes / sizes.mean();
}

/// The law at a shift, of every stride-th profile alone; `delta` is where its search starts.
Renormalization::State Renormalization::state(double u, Index stride, double delta) const {
  State state;
  state.shift = u;
  state.df1 = kappaflow::df1(u, spectrum_);
  if (equal_sizes()) {
    state.retained = deficit(degrees_, u);
    state.sample_retained = exact() ? 1 : deficit(sample_degrees_, u);
    return state;
  }
  if (scales_->given()) {
    state.sizes = scales_->at(u);
  } else {
    state.sizes = norms(u, stride);
    const double observed = (state.sizes.array() - 1).square().mean();
    const double part = std::min(actual_share_, actual_variance_ / std::max(observed, actual_variance_));
    state.sizes = 1 + (part > 0 ? std::sqrt(part) : 0.0) * (state.sizes.array() - 1);
  }
  const Vector weights = stride == 1
                             ? scales_->weights()
                             : Vector::Constant(state.sizes.size(), 1.0 / static_cast<double>(state.sizes.size()));
  if (!exact()) {
    state.sample_retained =
        state.df1 /
        (sample_degrees_ * solve_delta(state.sizes, weights, state.df1 / sample_degrees_, deficit(sample_degrees_, u)));
    if (u < edge()) {
      const double kappa = edge() / this->state(edge(), stride).sample_retained;
      state.sample_retained = u / (kappa - (edge() - u) / stretch(edge()));
    }
  }
  state.delta = solve_delta(state.sizes, weights, state.df1 / degrees_, deficit(degrees_, u), delta);
  state.kept = (1 + state.sizes.array() * state.delta).inverse();
  state.retained = std::isfinite(state.delta) ? state.df1 / (degrees_ * state.delta) : 0.0;
  return state;
}

/// The shift between two of opposite sign, which are sought outwards from the Gaussian bounds.
double Renormalization::bracketed(double noise, Index stride, double width) const {
  // u/t is at least 1 for m <= M and (M - rank)/M else. With as many degrees of freedom as modes the resolvent at u = 0
  // still shows a positive kappa, the least there is.
  const double free = exact() ? 1.0 : (sample_degrees_ - spectrum_.rank()) / sample_degrees_;
  const double least = free > 0 || degrees_ <= sample_degrees_ ? 1e-6 * (free > 0 ? free : 1.0) * noise
                                                               : 1e-4 * spectrum_.smallest_positive();
  const auto excess = [&](double x) { return state(std::exp(x), stride).noise() - noise; };
  double high = std::log(noise + spectrum_.trace() / degrees_);
  while (excess(high) < 0) high += std::log(4.0);
  double low = std::min(std::log(noise), high) - 1e-9;
  for (; excess(low) > 0; low -= std::log(4.0)) {
    if (low < std::log(least)) {
      throw UnidentifiedError(
          "Splits: n must be at most " + detail::text(sample_degrees_ + 1) +
          " for so small a noise variance, got noise variance " + detail::text(noise) +
          ": with no more than one sample above the dimensions a population is not known below a noise level");
    }
  }
  return std::exp(bracketed_root(excess, low, high, width));
}

/// The law at noise t. Profiles: from the shift of some of them by the secant method in logarithms on all of them.
Renormalization::State Renormalization::solve_one(double noise) const {
  if (!equal_sizes() && !scales_->given()) {
    const Index stride = std::max<Index>(1, scales_->size() / kFirstProfiles);
    State at = state(bracketed(noise, stride, 1e-5));
    double before = 0, error_before = 0;
    for (int step = 0; step < 20 && at.retained > 0; ++step) {
      const double x = std::log(at.shift), error = std::log(at.noise() / noise);
      if (std::abs(error) <= kCertificate) return at;
      const double slope = step == 0 ? 1 : (error - error_before) / (x - before);
      if (!(slope > 0)) break;
      before = x;
      error_before = error;
      at = state(std::exp(x - error / slope), 1, at.delta);
    }
  }
  const State at = state(spectrum_.rank() == 0 ? noise : bracketed(noise, 1, 1e-15));
  if (spectrum_.rank() > 0 &&
      (state(at.shift * (1 + kCertificate)).noise() < noise || state(at.shift * (1 - kCertificate)).noise() > noise)) {
    throw ConvergenceError("Splits: kappa is not certified at noise variance " + detail::text(noise) + ", residual " +
                           detail::text(std::abs(at.noise() / noise - 1)));
  }
  return at;
}

RenormalizedNodes Renormalization::solve(const Eigen::Ref<const Vector>& noise) const {
  const Index count = noise.size();
  RenormalizedNodes nodes{Vector(count), Vector(count), Vector(count), {}, {}, {}, {}};
  if (!equal_sizes()) {
    nodes.sizes.resize(scales_->size(), count);
    nodes.kept.resize(scales_->size(), count);
  }
  if (exact() && equal_sizes()) {
    const KappaResult solved = solve_kappa(noise, spectrum_, degrees_);
    for (Index i = 0; i < count; ++i) {
      if (!solved.certified[static_cast<std::size_t>(i)])
        throw ConvergenceError("Splits: kappa is not certified at noise variance " + detail::text(noise[i]));
      nodes.retained[i] = solved.kappa[i] > 0 ? noise[i] / solved.kappa[i] : 1 - spectrum_.rank() / degrees_;
    }
    nodes.kappa = nodes.shift = solved.kappa;
    complete(nodes);
    return nodes;
  }
  for (Index i = 0; i < count; ++i) {
    detail::require(std::isfinite(noise[i]) && noise[i] >= 0, "Splits",
                    "noise_variance must be finite and not negative", noise[i]);
    if (noise[i] == 0) {                                   // x/(x+0) is 1 for every training set of full rank
      if (equal_sizes() && spectrum_.rank() > degrees_) {  // where df1 = m
        const auto excess = [&](double x) { return deficit(degrees_, std::exp(x)); };
        nodes.shift[i] = std::exp(bracketed_root(
            excess, std::log(1e-3 * spectrum_.smallest_positive()) + std::log(1 - degrees_ / spectrum_.rank()),
            std::log(spectrum_.trace() / degrees_) + 1e-9, 1e-15));
        nodes.kappa[i] = nodes.shift[i] / sample_retained(nodes.shift[i]);
        nodes.retained[i] = 0;
        continue;
      }
      if (spectrum_.rank() > degrees_ || spectrum_.rank() == sample_degrees_) {
        throw UnidentifiedError(
            "Splits: noise_variance must be positive under this law where n is below the rank or the "
            "population is known through too few samples, got 0");
      }
      nodes.kappa[i] = nodes.shift[i] = 0;
      nodes.retained[i] = 1 - spectrum_.rank() / degrees_;
      if (!equal_sizes()) {
        nodes.sizes.col(i).setOnes();
        nodes.kept.col(i).setOnes();
      }
      continue;
    }
    const State at = solve_one(noise[i]);
    nodes.shift[i] = at.shift;
    nodes.kappa[i] = nodes.shift[i] / at.sample_retained;
    nodes.retained[i] = noise[i] / nodes.kappa[i];
    if (!equal_sizes()) {
      nodes.sizes.col(i) = at.sizes;
      nodes.kept.col(i) = at.kept;
    }
  }
  complete(nodes);
  return nodes;
}

/// du/dkappa. For samples of equal size its inverse is a sum of positive terms, [M - rank + sum (u/(s+u))^2]/(M phi^2),
/// phi = 1 - df1/M.
double Renormalization::stretch(double u) const {
  if (exact() || u == 0) return 1;
  if (equal_sizes()) {
    const auto s = spectrum_.positive().array();
    const double shared = (spectrum_.positive_multiplicity().array() * (u / (s + u)).square()).sum() +
                          (sample_degrees_ - spectrum_.rank());
    const double phi = sample_retained(u);
    return sample_degrees_ * phi * phi / shared;
  }
  const double centre = std::max(u, edge() * std::exp(kClose));  // both ends above the edge
  const double above = centre * std::exp(0.5 * kClose), below = centre * std::exp(-0.5 * kClose);
  return (above - below) / (above / sample_retained(above) - below / sample_retained(below));
}

void Renormalization::complete(RenormalizedNodes& nodes) const {
  const Index count = nodes.kappa.size();
  nodes.stretch = nodes.shift.unaryExpr([&](double u) { return stretch(u); });
  nodes.capacity.resize(count);
  for (Index i = 0; i < count; ++i) {
    double coupling = 1 / degrees_, first = nodes.retained[i];
    if (!equal_sizes()) {
      const Eigen::ArrayXd large = nodes.sizes.col(i).array() * nodes.kept.col(i).array();
      const double h = scales_->weights().dot(large.matrix());
      coupling = scales_->weights().dot(large.square().matrix()) / (h * h * degrees_);
      first = scales_->weights().dot((large * nodes.kept.col(i).array()).matrix()) / h;
    }
    const double u = nodes.shift[i], spread = nodes.kappa[i] > 0 ? sum_spread(u, u) : 0.0;
    nodes.capacity[i] = first + coupling * nodes.kappa[i] * nodes.stretch[i] * spread;
  }
}

/// du/dkappa between two nodes, (u - v)/(kappa - kappa'). For samples of equal size its inverse is a sum of positive
/// terms, [M - rank + sum u v/((s+u)(s+v))]/(M phi phi').
double Renormalization::stretch_between(const RenormalizedNodes& f, Index i, const RenormalizedNodes& g,
                                        Index j) const {
  const double u = f.shift[i], v = g.shift[j];
  if (exact() || u == 0 || v == 0) return 1;
  if (!equal_sizes()) {
    if (std::abs(std::log(u / v)) < kClose || std::max(u, v) < 2 * edge())
      return std::sqrt(f.stretch[i] * g.stretch[j]);
    return (u - v) / (f.kappa[i] - g.kappa[j]);
  }
  const auto s = spectrum_.positive().array();
  const double shared = (spectrum_.positive_multiplicity().array() * (u / (s + u)) * (v / (s + v))).sum() +
                        (sample_degrees_ - spectrum_.rank());
  return sample_degrees_ * (u / f.kappa[i]) * (v / g.kappa[j]) / shared;
}

RenormalizedPairs Renormalization::pairs(const RenormalizedNodes& f, const RenormalizedNodes& g) const {
  const Index rows = f.kappa.size(), columns = g.kappa.size();
  const auto& s = spectrum_.positive();
  const auto halves = [&](const Vector& shift) {  // sqrt(multiplicity s)/(s+u)
    Matrix half(s.size(), shift.size());
    for (Index i = 0; i < shift.size(); ++i)
      half.col(i) = (spectrum_.positive_multiplicity().array() * s.array()).sqrt() / (s.array() + shift[i]);
    return half;
  };
  RenormalizedPairs pair;
  pair.coupling = Matrix::Constant(rows, columns, 1 / degrees_);
  pair.mean = Matrix::Ones(rows, columns);
  pair.stretch.resize(rows, columns);
  Matrix first = f.retained.replicate(1, columns);  // E[tau_j r_i r_j]/h_j = 1 - q df1_i
  if (!equal_sizes()) {
    const bool same = &f == &g;
    const auto weighted = [&](const Matrix& values) { return Matrix(scales_->weights().asDiagonal() * values); };
    const Matrix tf = f.sizes.cwiseProduct(f.kept), tg = same ? tf : Matrix(g.sizes.cwiseProduct(g.kept));
    const Matrix wf = weighted(tf);
    const Vector inverse_f = wf.colwise().sum().cwiseInverse().transpose();
    const Vector inverse_g =
        same ? inverse_f : Vector((scales_->weights().transpose() * tg).cwiseInverse().transpose());
    Matrix both(rows, columns), other(rows, columns);  // E[tau_i tau_j r_i r_j], E[tau_i r_i r_j]
    detail::multiply(scales_->library(), true, false, 1, wf, tg, 0, both);
    detail::multiply(scales_->library(), true, false, 1, wf, g.kept, 0, other);
    Matrix one = other.transpose();  // E[tau_j r_i r_j]
    if (!same)
      detail::multiply(scales_->library(), true, false, 1, f.kept, weighted(tg), 0, one = Matrix(rows, columns));
    pair.coupling = (inverse_f.asDiagonal() * both * inverse_g.asDiagonal()) / degrees_;
    first = one * inverse_g.asDiagonal();
    const Vector rf = (scales_->weights().transpose() * f.kept).cwiseInverse().transpose();
    const Vector rg = (scales_->weights().transpose() * g.kept).cwiseInverse().transpose();
    pair.mean = rf.asDiagonal() * (0.5 * (one + other)) * rg.asDiagonal();
  }
  const Matrix spread = halves(f.shift).transpose() * halves(g.shift);  // sum of s/((s+u_i)(s+u_j))
  pair.capacity.resize(rows, columns);
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < columns; ++j) {
      pair.stretch(i, j) = stretch_between(f, i, g, j);
      pair.capacity(i, j) = first(i, j) + pair.coupling(i, j) * g.kappa[j] * pair.stretch(i, j) * spread(i, j);
    }
  }
  return pair;
}

Vector Renormalization::derivative(const RenormalizedNodes& nodes) const {
  Vector result(nodes.shift.size());
  for (Index i = 0; i < nodes.shift.size(); ++i) {
    const double u = std::max(nodes.shift[i], 1e-9 * spectrum_.smallest_positive()), step = u * kClose;
    result[i] = 2 * step / (nodes.stretch[i] * (state(u + step).noise() - state(u - step).noise()));
  }
  return result;
}

Matrix Renormalization::df2(const RenormalizedNodes& nodes) const {
  const auto value = [&](double u) {  // df1 - kappa c sum s/(s+u)^2
    return kappaflow::df1(u, spectrum_) - u / sample_retained(u) * stretch(u) * sum_spread(u, u);
  };
  Matrix result(nodes.shift.size(), 2);
  for (Index i = 0; i < nodes.shift.size(); ++i) {
    const double u = nodes.shift[i], step = u * kClose;
    result(i, 0) = value(u);
    if (exact()) {
      const auto s = spectrum_.positive().array();
      result(i, 1) = -2 * (spectrum_.positive_multiplicity().array() * s.square() / (s + u).cube()).sum();
    } else {
      result(i, 1) = u > 0 ? nodes.stretch[i] * (value(u + step) - value(u - step)) / (2 * step) : 0.0;
    }
  }
  return result;
}

}  // namespace kappaflow
