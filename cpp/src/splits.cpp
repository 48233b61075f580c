#include "kappaflow/splits.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "checks.hpp"
#include "half_products.hpp"

namespace kappaflow {
namespace {

using Index = Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

/// Part of s_min sqrt(s_min/h) below which the spectrum near zero changes no expectation by more than this part.
constexpr double kNoWeight = 1e-14;

/// Margins of support() beyond the edges of the limiting spectrum. The lowest and the highest eigenvalue fluctuate by
/// m^(-2/3) about them; samples of unequal size stretch the spectrum at both ends.
constexpr double kLowMargin = 0.5, kHighMargin = 1.5;

using detail::half_products;

bool same(const SpectralFunction& f, const SpectralFunction& g) {
  return f.constant() == g.constant() && f.shifts().size() == g.shifts().size() && f.shifts() == g.shifts() &&
         f.weights() == g.weights();
}

}  // namespace

/// The last few solutions: most calls use the same maps, and with profiles a solution takes long.
class Splits::Solved {
 public:
  template <class Solve>
  RenormalizedNodes get(const Vector& shifts, Solve&& solve) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      for (const auto& entry : entries_) {
        if (entry.first.size() == shifts.size() && entry.first == shifts) return entry.second;
      }
    }
    RenormalizedNodes nodes = solve();
    const std::lock_guard<std::mutex> lock(mutex_);
    if (entries_.size() >= kKept) entries_.pop_front();
    entries_.emplace_back(shifts, nodes);
    return nodes;
  }

 private:
  static constexpr std::size_t kKept = 4;  // two maps of one call and of the call before it
  std::mutex mutex_;
  std::deque<std::pair<Vector, RenormalizedNodes>> entries_;
};

/// A spectral function's nodes under the law.
struct Splits::Nodes : RenormalizedNodes {
  Vector weights;
  double at_infinity = 0;  // w of the node at infinity, 1 - c - sum w
};

namespace {

double degrees_of_freedom(double n, Mean mean) {
  detail::require_positive("Splits", "n", n);
  detail::require(n > 1 || mean == Mean::known, "Splits", "n must be above 1 where the mean is estimated", n);
  return mean == Mean::estimated ? n - 1 : n;
}

/// The law uses the unbiased covariance of N samples: divisor N - 1, with as many degrees of freedom.
Renormalization law_of(const Spectrum& spectrum, double degrees, const SplitsOptions& options) {
  const double total = options.sample_size;
  if (std::isinf(total)) return Renormalization(spectrum, degrees, Renormalization::kExact, options.scales);
  detail::require(total > 1, "Splits", "sample_size must be above 1", total);
  if (spectrum.rank() > total - 1) {
    detail::throw_argument(
        "Splits", "sample_size must exceed the number of non-zero eigenvalues, " + detail::text(spectrum.rank()),
        total);
  }
  const double scale = total / (total - 1);
  return Renormalization(Spectrum(scale * spectrum.eigenvalues(), spectrum.multiplicity()), degrees, total - 1,
                         options.scales, scale);
}

}  // namespace

Splits::Splits(Spectrum spectrum, double n, SplitsOptions options)
    : spectrum_(std::move(spectrum)),
      n_(n),
      degrees_(degrees_of_freedom(n, options.mean)),
      options_(std::move(options)),
      law_(law_of(spectrum_, degrees_, options_)),
      solved_(std::make_shared<Solved>()) {}

/// The law at noise variances of the sample covariance with divisor n: it has n/m times those of divisor m.
RenormalizedNodes Splits::solve(const Vector& noise_variance) const {
  return law_.solve(noise_variance, n_ / degrees_);
}

KappaResult Splits::kappa(const Eigen::Ref<const Vector>& noise_variance) const {
  detail::require_all_not_negative("Splits::kappa", "noise_variance", noise_variance);
  const double scale = n_ / degrees_;
  KappaResult result;
  if (law_.exact() && law_.equal_sizes()) {
    result = solve_kappa(noise_variance, spectrum_, degrees_, {.noise_factor = scale});
  } else {
    const RenormalizedNodes nodes = solve(noise_variance);
    result.kappa = nodes.kappa;
    result.derivative = law_.derivative(nodes);
    result.df1 = nodes.shift.unaryExpr([&](double u) { return df1(u, law_.spectrum()); });
    result.residual = nodes.residual;
    result.iterations = nodes.evaluations;
    result.certified.assign(static_cast<std::size_t>(nodes.kappa.size()), true);  // else solve() throws
    result.total_terms = -1;                                                      // not counted
  }
  result.derivative *= scale;
  return result;
}

Splits::Nodes Splits::nodes(const SpectralFunction& f) const {
  return {solved_->get(f.shifts(), [&] { return solve(f.shifts()); }), f.weights(),
          1 - f.constant() - f.weights().sum()};
}

Interval Splits::support() const {
  if (spectrum_.rank() == 0) return {1, 1};
  const SupportEdges edges = support_edges(spectrum_, degrees_);
  // At n = rank the spectrum reaches zero as x^(-1/2). What lies below 1e-14 s_min sqrt(s_min/h), where h is the
  // harmonic mean of the spectrum, changes no expectation by more than 1e-14.
  const auto& s = spectrum_.positive();
  const double harmonic = spectrum_.rank() / (spectrum_.positive_multiplicity().array() / s.array()).sum();
  const double floor = kNoWeight * spectrum_.smallest_positive() * std::sqrt(spectrum_.smallest_positive() / harmonic);
  const double scale = degrees_ / n_;
  return {scale * std::max(kLowMargin * edges.lowest, floor), kHighMargin * scale * edges.highest};
}

SpectralFunction Splits::sampling_map(double sigma, double sigma_max, double tolerance) const {
  return SpectralFunction::sampling_map(sigma, sigma_max, support(), tolerance);
}

Vector Splits::expectation(const SpectralFunction& f) const {
  const Nodes node = nodes(f);
  const auto& s = law_.spectrum().eigenvalues();
  Vector gain = Vector::Constant(s.size(), f.constant());
  for (Index k = 0; k < s.size(); ++k) {
    if (s[k] > 0) gain[k] += (node.weights.array() * (s[k] / (s[k] + node.shift.array()))).sum();
  }
  return gain;
}

/// Order 1/m of E (S+t)^-1 for real Gaussian data, theory.md (20): with g the mean of 1/(lambda+t) over the degrees of
/// freedom and R the resolvent,
///   t E R_kk (1 + s_k E g) = 1 + (s_k/m) E[R - t R^2]_kk,   E g = (1 + delta)/kappa,
/// and the trace of both sides gives delta, theory.md (21).
struct Splits::FiniteSize {
  Vector remaining;  // m - df2(kappa_i, kappa_i)
  Vector delta;
};

Splits::FiniteSize Splits::finite_size(const Nodes& node) const {
  if (!law_.equal_sizes()) {
    throw std::invalid_argument(
        "Splits: scales must be null for the next order in 1/m, which needs samples of equal size, got scales");
  }
  FiniteSize size{Vector(node.kappa.size()), Vector(node.kappa.size())};
  const Matrix df2 = law_.df2(node);
  for (Index i = 0; i < node.kappa.size(); ++i) {
    const double kappa = node.kappa[i];
    if (kappa == 0) {  // t = 0 and m >= rank: x/(x+t) is 1 for every training set, and m - df2 may be 0
      size.remaining[i] = degrees_;
      size.delta[i] = 0;
      continue;
    }
    size.remaining[i] = degrees_ * node.capacity[i];
    size.delta[i] = -0.5 * (kappa * df2(i, 1) / size.remaining[i]) / size.remaining[i];
  }
  return size;
}

Vector Splits::expectation_correction(const SpectralFunction& f) const {
  const Nodes node = nodes(f);
  const FiniteSize size = finite_size(node);
  const auto& s = law_.spectrum().eigenvalues();
  Vector correction = Vector::Zero(s.size());
  for (Index k = 0; k < s.size(); ++k) {
    if (s[k] == 0) continue;
    const Eigen::ArrayXd shrunk = s[k] / (s[k] + node.shift.array()),
                         kept = node.shift.array() / (s[k] + node.shift.array());
    correction[k] =
        (node.weights.array() * kept * shrunk * (size.delta.array() - shrunk / size.remaining.array())).sum();
  }
  return correction;
}

Vector Splits::kappa_correction(const Eigen::Ref<const Vector>& noise_variance) const {
  detail::require_all_not_negative("Splits::kappa_correction", "noise_variance", noise_variance);
  const Nodes node = nodes(SpectralFunction(0, Vector::Zero(noise_variance.size()), noise_variance));
  return -node.kappa.cwiseProduct(finite_size(node).delta);
}

Matrix Splits::noise_products(const Nodes& f, const Nodes& g) const {
  return f.weights.cwiseProduct(f.kappa) * g.weights.cwiseProduct(g.kappa).transpose();
}

/// w_i w_j K_ij for a_k,ij read off the spectrum: includes the stretch c of each of the two factors a_k a_l.
Matrix Splits::kernel_weights(const Nodes& f, const Nodes& g, const RenormalizedPairs& pairs) const {
  const Matrix weights = noise_products(f, g);  // zero where kappa is, however small the capacity
  return (weights.array() == 0)
      .select(0.0, weights.array() * pairs.coupling.array() * pairs.stretch.array().square() / pairs.capacity.array());
}

/// a_k,ii/(1 - q_ii df2_ii) of every mode and node: the response of gain k to kappa_i, over kappa_i.
Matrix Splits::responses(const Nodes& nodes, bool dressed) const {
  const auto& s = law_.spectrum().eigenvalues();
  Matrix result(s.size(), nodes.kappa.size());
  for (Index i = 0; i < nodes.kappa.size(); ++i) {
    const double u = nodes.shift[i], factor = nodes.stretch[i] / (dressed ? nodes.capacity[i] : 1.0);
    for (Index k = 0; k < s.size(); ++k) result(k, i) = s[k] > 0 ? factor * s[k] / ((s[k] + u) * (s[k] + u)) : 0.0;
  }
  return result;
}

/// Fluctuation of the estimated mean, theory.md (19) and (31): (1/n) sum over nodes and one at infinity, where kappa G
/// is 1.
Vector Splits::mean_term(const Nodes& f, const Nodes& g, const RenormalizedPairs& pairs) const {
  const auto& s = law_.spectrum().eigenvalues();
  Vector term = Vector::Zero(s.size());
  if (options_.mean == Mean::known || options_.terms == Terms::published) return term;
  const Matrix products = noise_products(f, g);
  const Matrix weights =
      (products.array() == 0)
          .select(0.0, products.array() * pairs.mean.array() * pairs.stretch.array() / pairs.capacity.array());
  const Matrix hf = half_products(s, f.shift), hg = half_products(s, g.shift);
  const auto at_infinity = [&](const Nodes& nodes) {  // w kappa E[tau r]/E r of a node beside the one at infinity
    Vector factor = nodes.weights.cwiseProduct(nodes.kappa);
    if (!law_.equal_sizes())
      factor = factor.cwiseProduct(nodes.retained).cwiseQuotient(nodes.kept.transpose() * options_.scales->weights());
    return factor;
  };
  term = ((hf * weights).cwiseProduct(hg)).rowwise().sum();
  term += f.at_infinity * s.cwiseSqrt().cwiseProduct(hg * at_infinity(g)) +
          g.at_infinity * s.cwiseSqrt().cwiseProduct(hf * at_infinity(f)) + f.at_infinity * g.at_infinity * s;
  return term / n_;
}

ModeCovariance Splits::covariance(const SpectralFunction& f, const SpectralFunction& g) const {
  const Nodes nf = nodes(f), other = same(f, g) ? Nodes() : nodes(g);
  const Nodes& ng = same(f, g) ? nf : other;
  const RenormalizedPairs pairs = law_.pairs(nf, ng);
  ModeCovarianceTerms terms;
  terms.shift_f = nf.shift;
  terms.shift_g = ng.shift;
  terms.weights = kernel_weights(nf, ng, pairs);
  terms.same_map = same(f, g);
  terms.exchange = options_.terms == Terms::full;
  terms.mean_term = mean_term(nf, ng, pairs);
  if (!law_.equal_sizes() && terms.exchange) {
    terms.radial_left = responses(nf, true) * radial_weights(nf, ng, pairs);
    terms.radial_right = responses(ng, true);
  }
  return ModeCovariance(law_.spectrum(), std::move(terms));
}

/// w_i w_j kappa_i kappa_j (q_ij - 1/m), the weights of the radial term, theory.md (29).
Matrix Splits::radial_weights(const Nodes& f, const Nodes& g, const RenormalizedPairs& pairs) const {
  return noise_products(f, g).cwiseProduct((pairs.coupling.array() - 1 / degrees_).matrix());
}

Vector Splits::equal_mode_variance(const SpectralFunction& f) const {
  const Nodes node = nodes(f);
  const RenormalizedPairs pairs = law_.pairs(node, node);
  const Matrix squares = half_products(law_.spectrum().eigenvalues(), node.shift).cwiseAbs2();
  const Vector variance = ((squares * kernel_weights(node, node, pairs)).cwiseProduct(squares)).rowwise().sum();
  if (options_.terms == Terms::published) return variance;
  if (law_.equal_sizes()) return 2 * variance;
  const Matrix response = responses(node, true);
  return 2 * variance + ((response * radial_weights(node, node, pairs)).cwiseProduct(response)).rowwise().sum();
}

Vector Splits::equal_mode_excess(const SpectralFunction& f, const SpectralFunction& g) const {
  const Nodes nf = nodes(f), other = same(f, g) ? Nodes() : nodes(g);
  const Nodes& ng = same(f, g) ? nf : other;
  const RenormalizedPairs pairs = law_.pairs(nf, ng);
  const auto& s = law_.spectrum().eigenvalues();
  const Matrix first = half_products(s, nf.shift).cwiseAbs2(), second = half_products(s, ng.shift).cwiseAbs2();
  const Matrix weights = kernel_weights(nf, ng, pairs).cwiseProduct((1 - pairs.capacity.array()).matrix());
  Vector excess = ((first * weights).cwiseProduct(second)).rowwise().sum();
  if (law_.equal_sizes()) return excess;
  const Matrix radial = radial_weights(nf, ng, pairs);
  const auto form = [&](bool dressed) {
    return Vector(((responses(nf, dressed) * radial).cwiseProduct(responses(ng, dressed))).rowwise().sum());
  };
  return excess + form(true) - form(false);
}

}  // namespace kappaflow
