#include "kappaflow/renormalization.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "kappaflow/errors.hpp"

namespace kappaflow {
namespace {

using Index = Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

/// Relative half-width of the bracket on which the equation must change sign.
constexpr double kCertificate = 1e-11;
constexpr int kSteps = 200;
/// Shifts closer than this (in log u) take the derivative of kappa for the quotient of differences, by a central
/// difference of this width: an error of its square.
constexpr double kClose = 1e-3;
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

/// delta with mean tau delta/(1 + tau delta) = fraction. The mean is concave in delta and at most delta/(1+delta):
/// Newton from fraction/(1-fraction) ascends monotonically. Infinity where no delta is large enough.
double solve_delta(const Vector& sizes, double fraction) {
  if (!(fraction < 1)) return std::numeric_limits<double>::infinity();
  double delta = fraction / (1 - fraction);
  for (int step = 0; step < kSteps; ++step) {
    const Eigen::ArrayXd kept = (1 + sizes.array() * delta).inverse();
    const double value = (sizes.array() * delta * kept).mean(), slope = (sizes.array() * kept.square()).mean();
    const double move = (fraction - value) / slope;
    if (!std::isfinite(move)) return std::numeric_limits<double>::infinity();
    delta += move;
    if (!(move > 1e-14 * delta)) return delta;
  }
  return std::numeric_limits<double>::infinity();
}

}  // namespace

/// The law at one shift of the spectrum.
struct Renormalization::State {
  double df1 = 0;
  double sample_retained = 1;  // h_N
  double retained = 0;         // h
  Vector sizes, kept;          // tau, r
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
  if (scales_ != nullptr && !scales_->given() && spectrum_.rank() > 0) {
    actual_ = 0;
    for (const double part : kProbes) actual_ = std::max(actual_, actual_share(part * spectrum_.rank()));
  }
}

/// Share of the observed variance of sizes that is theirs where df1 has a given value: a norm over modes of a Gaussian
/// sample of size tau is tau times a quadratic form of relative variance 2 tr(Sigma G Sigma G)/df1^2.
double Renormalization::actual_share(double degrees) const {
  const auto excess = [&](double x) { return degrees - kappaflow::df1(std::exp(x), spectrum_); };
  const double low = std::log(1e-3 * spectrum_.smallest_positive());
  const double high = std::log(spectrum_.trace() / degrees) + 1e-9;  // df1 < trace/u
  if (excess(low) > 0) return 0;
  const double u = std::exp(bracketed_root(excess, low, high, 1e-6));
  const Vector sizes = norms(u);
  double shown = kappaflow::df2(u, u, spectrum_), retained = 1;
  if (!exact()) {
    // sum s^2/(s+u)^2 of M degrees of freedom is (1 - df1/M)^2 E tr(Sigma G Sigma G) + df1^2/M, where G is the resolvent
    // of a sample and the expectation df2/(1 - df2/M)
    shown -= degrees * degrees / sample_degrees_;
    retained = deficit(sample_degrees_, u);
  }
  const double noise = 2 * std::max(shown, 0.0) / (retained * retained * degrees * degrees);
  const double observed = (sizes.array() - 1).square().mean();
  return observed > noise ? (observed - noise) / (observed * (1 + noise)) : 0.0;
}

double Renormalization::sum_kept(double u) const {
  const auto s = spectrum_.positive().array();
  return (spectrum_.positive_multiplicity().array() * (u / (s + u))).sum();
}

/// 1 - df1/degrees, by whichever sum cancels less.
double Renormalization::deficit(double degrees, double u) const {
  const double kept = sum_kept(u), df1 = spectrum_.rank() - kept;
  if (df1 < 0.5 * spectrum_.rank()) return 1 - kappaflow::df1(u, spectrum_) / degrees;
  return ((degrees - spectrum_.rank()) + kept) / degrees;
}

double Renormalization::sample_retained(double u) const {
  if (exact()) return 1;
  return equal_sizes() ? deficit(sample_degrees_, u) : state(u).sample_retained;
}

/// Norms of the profiles in the metric of the resolvent, of mean 1; those of samples that the spectrum is made of are
/// taken against the other samples: leverage l in the own set, l/(1-l) without it.
Vector Renormalization::norms(double u) const {
  Vector sizes = scales_->at(u / scale_);
  if (exact()) return sizes;
  const Eigen::ArrayXd leverage = sizes.array() * (kappaflow::df1(u, spectrum_) / sample_degrees_);
  if (leverage.maxCoeff() >= 1) {
    throw std::invalid_argument(
        "Renormalization: profiles must have leverages below 1 for the sample size, which is too small for them: got a "
        "leverage of " +
        detail::text(leverage.maxCoeff()) + " at " + detail::text(sample_degrees_ + 1) + " samples");
  }
  sizes = leverage / (1 - leverage);
  return sizes / sizes.mean();
}

Renormalization::State Renormalization::state(double u) const {
  State state;
  state.df1 = kappaflow::df1(u, spectrum_);
  if (equal_sizes()) {
    state.retained = deficit(degrees_, u);
    state.sample_retained = exact() ? 1 : deficit(sample_degrees_, u);
    return state;
  }
  state.sizes = scales_->given() ? scales_->at(u) : Vector(1 + std::sqrt(actual_) * (norms(u).array() - 1));
  if (!exact()) {
    const double delta = solve_delta(state.sizes, state.df1 / sample_degrees_);
    state.sample_retained = state.df1 / (sample_degrees_ * delta);
  }
  const double delta = solve_delta(state.sizes, state.df1 / degrees_);
  state.kept = (1 + state.sizes.array() * delta).inverse();
  state.retained = std::isfinite(delta) ? state.df1 / (degrees_ * delta) : 0.0;
  return state;
}

/// t = u h/h_N, increasing in u.
double Renormalization::noise_at(double u) const {
  const State at = state(u);
  return at.retained > 0 ? u * at.retained / at.sample_retained : 0.0;
}

double Renormalization::solve_one(double noise) const {
  const double largest = spectrum_.largest();
  if (spectrum_.rank() == 0) return noise;
  // With as many degrees of freedom as modes the resolvent at u = 0 still shows a positive kappa, the least there is.
  const double least =
      spectrum_.rank() == sample_degrees_ ? 1e-4 * spectrum_.smallest_positive() : 1e-30 * std::max(noise, largest);
  const auto excess = [&](double x) { return noise_at(std::exp(x)) - noise; };
  double high = std::log(noise + spectrum_.trace() / degrees_), low = high;
  while (excess(high) < 0) high += std::log(4.0);
  for (low = std::min(std::log(noise), high) - 1e-9; excess(low) > 0; low -= std::log(4.0)) {
    if (low < std::log(least)) {
      throw UnidentifiedError("Splits: n must be at most " + detail::text(sample_degrees_ + 1) +
                              " for so small a noise variance, got noise variance " + detail::text(noise) +
                              ": with no more samples than dimensions a population is not known below a noise level");
    }
  }
  const double root = std::exp(bracketed_root(excess, low, high, 1e-15));
  if (noise_at(root * (1 + kCertificate)) < noise || noise_at(root * (1 - kCertificate)) > noise) {
    throw ConvergenceError("Splits: kappa is not certified at noise variance " + detail::text(noise));
  }
  return root;
}

RenormalizedNodes Renormalization::solve(const Eigen::Ref<const Vector>& noise) const {
  const Index count = noise.size();
  RenormalizedNodes nodes{Vector(count), Vector(count), Vector(count), {}, {}};
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
    return nodes;
  }
  for (Index i = 0; i < count; ++i) {
    detail::require(std::isfinite(noise[i]) && noise[i] >= 0, "Splits",
                    "noise_variance must be finite and not negative", noise[i]);
    if (noise[i] == 0) {  // x/(x+0) is 1 for every training set of full rank
      if (spectrum_.rank() > degrees_ || spectrum_.rank() == sample_degrees_) {
        throw UnidentifiedError(
            "Splits: noise_variance must be positive under this law where n is below the rank or the "
            "population is known through too few samples, got 0");
      }
      nodes.kappa[i] = nodes.shift[i] = 0;
      nodes.retained[i] = 1 - spectrum_.rank() / degrees_;
      if (!equal_sizes()) {
        nodes.sizes.col(i).setOnes();
        nodes.kept.col(i).setConstant(nodes.retained[i]);
      }
      continue;
    }
    nodes.shift[i] = solve_one(noise[i]);
    const State at = state(nodes.shift[i]);
    nodes.kappa[i] = nodes.shift[i] / at.sample_retained;
    nodes.retained[i] = noise[i] / nodes.kappa[i];
    if (!equal_sizes()) {
      nodes.sizes.col(i) = at.sizes;
      nodes.kept.col(i) = at.kept;
    }
  }
  return nodes;
}

/// du/dkappa between two shifts. For samples of equal size 1/c is a sum of positive terms,
/// [M - rank + sum u v/((s+u)(s+v))]/(M phi phi'), phi = 1 - df1/M.
double Renormalization::stretch(double u, double v) const {
  if (exact() || u == 0 || v == 0) return 1;
  if (equal_sizes()) {
    const auto s = spectrum_.positive().array();
    const double shared = (spectrum_.positive_multiplicity().array() * (u / (s + u)) * (v / (s + v))).sum() +
                          (sample_degrees_ - spectrum_.rank());
    return sample_degrees_ * sample_retained(u) * sample_retained(v) / shared;
  }
  const double middle = std::sqrt(u * v);
  if (std::abs(std::log(u / v)) < kClose) {
    u = middle * std::exp(0.5 * kClose);
    v = middle * std::exp(-0.5 * kClose);
  }
  return (u - v) / (u / sample_retained(u) - v / sample_retained(v));
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
    const Matrix tf = f.sizes.cwiseProduct(f.kept), tg = g.sizes.cwiseProduct(g.kept);
    const double count = static_cast<double>(f.sizes.rows());
    const Vector hf = tf.colwise().mean().transpose(), hg = tg.colwise().mean().transpose();
    const Matrix one = f.kept.transpose() * tg / count, other = tf.transpose() * g.kept / count;
    pair.coupling =
        (hf.cwiseInverse().asDiagonal() * (tf.transpose() * tg / count) * hg.cwiseInverse().asDiagonal()) / degrees_;
    first = one * hg.cwiseInverse().asDiagonal();
    const Vector rf = f.kept.colwise().mean().transpose(), rg = g.kept.colwise().mean().transpose();
    pair.mean = rf.cwiseInverse().asDiagonal() * (0.5 * (one + other)) * rg.cwiseInverse().asDiagonal();
  }
  const Matrix spread = halves(f.shift).transpose() * halves(g.shift);  // sum of s/((s+u_i)(s+u_j))
  pair.capacity.resize(rows, columns);
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < columns; ++j) {
      pair.stretch(i, j) = stretch(f.shift[i], g.shift[j]);
      pair.capacity(i, j) = first(i, j) + pair.coupling(i, j) * g.kappa[j] * pair.stretch(i, j) * spread(i, j);
    }
  }
  return pair;
}

Vector Renormalization::derivative(const RenormalizedNodes& nodes) const {
  Vector result(nodes.shift.size());
  for (Index i = 0; i < nodes.shift.size(); ++i) {
    const double u = nodes.shift[i], step = u * kClose;
    result[i] = 2 * step / (stretch(u, u) * (noise_at(u + step) - noise_at(u - step)));
  }
  return result;
}

Matrix Renormalization::df2(const RenormalizedNodes& nodes) const {
  const auto value = [&](double u) {  // df1 - kappa c sum s/(s+u)^2
    const auto s = spectrum_.positive().array();
    const double spread = (spectrum_.positive_multiplicity().array() * s / (s + u).square()).sum();
    return kappaflow::df1(u, spectrum_) - u / sample_retained(u) * stretch(u, u) * spread;
  };
  Matrix result(nodes.shift.size(), 2);
  for (Index i = 0; i < nodes.shift.size(); ++i) {
    const double u = nodes.shift[i], step = u * kClose;
    result(i, 0) = value(u);
    if (exact()) {
      const auto s = spectrum_.positive().array();
      result(i, 1) = -2 * (spectrum_.positive_multiplicity().array() * s.square() / (s + u).cube()).sum();
    } else {
      result(i, 1) = u > 0 ? stretch(u, u) * (value(u + step) - value(u - step)) / (2 * step) : 0.0;
    }
  }
  return result;
}

}  // namespace kappaflow
