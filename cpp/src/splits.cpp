#include "kappaflow/splits.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "chebyshev.hpp"
#include "kappaflow/errors.hpp"

namespace kappaflow {
namespace {

using Index = Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

/// Chebyshev points in a decade of s. a(s) is analytic in |Im log s| < pi: 5.64^(-20) = 1e-15.
constexpr int kPanelNodes = 20;

/// s/((s+kappa_i)(s+kappa_j)) is summed as products of the columns sqrt(s)/(s+kappa_i).
Matrix half_products(const Eigen::Ref<const Vector>& s, const Eigen::Ref<const Vector>& kappa) {
  Matrix h(s.size(), kappa.size());
  for (Index i = 0; i < kappa.size(); ++i) {
    for (Index k = 0; k < s.size(); ++k) h(k, i) = s[k] > 0 ? std::sqrt(s[k]) / (s[k] + kappa[i]) : 0.0;
  }
  return h;
}

/// Panels of at most one decade with Chebyshev points in log s.
struct Panels {
  double start = 0, width = 1;  // log s of the lowest panel, width of one
  int count = 0;

  explicit Panels(const Spectrum& spectrum) {
    start = std::log(spectrum.smallest_positive());
    const double range = std::log(spectrum.largest()) - start;
    count = std::max(1, static_cast<int>(std::ceil(range / std::log(10.0))));
    width = std::max(range / count, 1e-12);
  }
  Index nodes() const { return static_cast<Index>(count) * kPanelNodes; }
  Vector points() const {
    Vector s(nodes());
    for (int p = 0; p < count; ++p) {
      for (int j = 0; j < kPanelNodes; ++j) {
        const double x = detail::chebyshev_point(j, kPanelNodes);
        s[p * kPanelNodes + j] = std::exp(start + width * (p + 0.5 * (1 + x)));
      }
    }
    return s;
  }
  /// First node of the panel of s and the interpolation weights there.
  int weights(double s, Eigen::Ref<Vector> out) const {
    const double u = (std::log(s) - start) / width;
    const int panel = std::clamp(static_cast<int>(u), 0, count - 1);
    detail::chebyshev_weights(2 * (u - panel) - 1, out);
    return panel * kPanelNodes;
  }
};

/// V_kl = sum_ij W_ij a_k,ij a_l,ij on the given eigenvalues, as one product with the pairs of nodes as inner
/// dimension.
Matrix direct_kernel(const Vector& s, const Vector& kappa, const Vector& kappa2, const Matrix& weights,
                     bool symmetric) {
  const Matrix hf = half_products(s, kappa), hg = half_products(s, kappa2);
  const Index pairs = symmetric ? kappa.size() * (kappa.size() + 1) / 2 : kappa.size() * kappa2.size();
  Matrix products(s.size(), pairs);
  Vector weight(pairs);
  Index p = 0;
  for (Index i = 0; i < kappa.size(); ++i) {
    for (Index j = symmetric ? i : 0; j < kappa2.size(); ++j, ++p) {
      products.col(p) = hf.col(i).cwiseProduct(hg.col(j));
      weight[p] = symmetric && i != j ? weights(i, j) + weights(j, i) : weights(i, j);
    }
  }
  return products * weight.asDiagonal() * products.transpose();
}

bool same(const SpectralFunction& f, const SpectralFunction& g) {
  return f.constant() == g.constant() && f.shifts().size() == g.shifts().size() && f.shifts() == g.shifts() &&
         f.weights() == g.weights();
}

}  // namespace

/// A spectral function's nodes under the law.
struct Splits::Nodes : RenormalizedNodes {
  Vector weights;
  double at_infinity = 0;  // w of the node at infinity, 1 - c - sum w
};

namespace {

double degrees_of_freedom(double n, Mean mean) {
  detail::require(std::isfinite(n) && n > 0, "Splits", "n must be finite and positive", n);
  detail::require(n > 1 || mean == Mean::known, "Splits", "n must be above 1 where the mean is estimated", n);
  return mean == Mean::estimated ? n - 1 : n;
}

/// The law reads the unbiased covariance of N samples: divisor N - 1, as many degrees of freedom.
Renormalization law_of(const Spectrum& spectrum, double degrees, const SplitsOptions& options) {
  if (std::isinf(options.sample_size)) {
    return Renormalization(spectrum, degrees, Renormalization::kExact, options.scales);
  }
  detail::require(options.sample_size > 1, "Splits", "sample_size must be above 1", options.sample_size);
  const double scale = options.sample_size / (options.sample_size - 1);
  return Renormalization(Spectrum(scale * spectrum.eigenvalues(), spectrum.multiplicity()), degrees,
                         options.sample_size - 1, options.scales, scale);
}

}  // namespace

Splits::Splits(Spectrum spectrum, double n, SplitsOptions options)
    : spectrum_(std::move(spectrum)),
      n_(n),
      degrees_(degrees_of_freedom(n, options.mean)),
      options_(std::move(options)),
      law_(law_of(spectrum_, degrees_, options_)) {}

KappaResult Splits::kappa(const Eigen::Ref<const Vector>& noise_variance) const {
  const double scale = n_ / degrees_;
  KappaResult result;
  if (law_.exact() && law_.equal_sizes()) {
    result = solve_kappa(noise_variance * scale, spectrum_, degrees_);
  } else {
    const RenormalizedNodes nodes = law_.solve(noise_variance * scale);
    result.kappa = nodes.kappa;
    result.derivative = law_.derivative(nodes);
    result.df1 = nodes.shift.unaryExpr([&](double u) { return df1(u, law_.spectrum()); });
    result.residual = Vector::Zero(nodes.kappa.size());
    result.iterations = Eigen::VectorXi::Zero(nodes.kappa.size());
    result.certified.assign(static_cast<std::size_t>(nodes.kappa.size()), true);  // else solve() throws
  }
  result.derivative *= scale;
  return result;
}

Splits::Nodes Splits::nodes(const SpectralFunction& f) const {
  return {law_.solve(f.shifts() * (n_ / degrees_)), f.weights(), 1 - f.constant() - f.weights().sum()};
}

Interval Splits::support() const {
  if (spectrum_.rank() == 0) return {1, 1};
  const SupportEdges edges = support_edges(spectrum_, degrees_);
  // At n = rank the spectrum reaches zero as x^(-1/2). What lies below 1e-14 s_min sqrt(s_min/h), h the harmonic mean
  // of the spectrum, changes no expectation by more than 1e-14.
  const auto& s = spectrum_.positive();
  const double harmonic = spectrum_.rank() / (spectrum_.positive_multiplicity().array() / s.array()).sum();
  const double floor = 1e-14 * spectrum_.smallest_positive() * std::sqrt(spectrum_.smallest_positive() / harmonic);
  const double scale = degrees_ / n_;
  return {scale * std::max(0.5 * edges.lowest, floor), 1.5 * scale * edges.highest};
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

/// Order 1/m of E (S+t)^-1 for real Gaussian data. Stein's identity gives, with g the mean of 1/(lambda+t) over the
/// degrees of freedom and Q the resolvent,
///   t E Q_kk (1 + s_k E g) = 1 + (s_k/m) E[Q - t Q^2]_kk,   E g = (1 + delta)/kappa,
/// and the trace of both sides gives delta.
struct Splits::FiniteSize {
  Vector remaining;  // m - df2(kappa_i, kappa_i)
  Vector delta;
};

Splits::FiniteSize Splits::finite_size(const Nodes& node) const {
  if (!law_.equal_sizes()) {
    throw std::invalid_argument("Splits: the next order in 1/m needs samples of equal size, got scales");
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
    size.remaining[i] = degrees_ * capacity(i, node);
    size.delta[i] = -0.5 * kappa * df2(i, 1) / (size.remaining[i] * size.remaining[i]);
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
  const Nodes node = nodes(SpectralFunction(0, Vector::Zero(noise_variance.size()), noise_variance));
  return -node.kappa.cwiseProduct(finite_size(node).delta);
}

Matrix Splits::noise_products(const Nodes& f, const Nodes& g) const {
  return f.weights.cwiseProduct(f.kappa) * g.weights.cwiseProduct(g.kappa).transpose();
}

/// w_i w_j K_ij for a_k,ij read off the spectrum: the stretch c of each of the two factors a_k a_l is in it.
Matrix Splits::kernel_weights(const Nodes& f, const Nodes& g, const RenormalizedPairs& pairs) const {
  const Matrix weights = noise_products(f, g);  // zero where kappa is, however small the capacity
  return (weights.array() == 0)
      .select(0.0, weights.array() * pairs.coupling.array() * pairs.stretch.array().square() / pairs.capacity.array());
}

/// 1 - q_ii df2_ii, of one node at a time.
double Splits::capacity(Index i, const Nodes& nodes) const {
  RenormalizedNodes one{nodes.kappa.segment(i, 1), nodes.shift.segment(i, 1), nodes.retained.segment(i, 1), {}, {}};
  if (!law_.equal_sizes()) {
    one.sizes = nodes.sizes.col(i);
    one.kept = nodes.kept.col(i);
  }
  return law_.pairs(one, one).capacity(0, 0);
}

/// a_k,ii/(1 - q_ii df2_ii) of every mode and node: the response of gain k to kappa_i, over kappa_i.
Matrix Splits::responses(const Nodes& nodes, bool dressed) const {
  const auto& s = law_.spectrum().eigenvalues();
  Matrix result(s.size(), nodes.kappa.size());
  for (Index i = 0; i < nodes.kappa.size(); ++i) {
    const double u = nodes.shift[i], factor = law_.stretch(u, u) / (dressed ? capacity(i, nodes) : 1.0);
    for (Index k = 0; k < s.size(); ++k) result(k, i) = s[k] > 0 ? factor * s[k] / ((s[k] + u) * (s[k] + u)) : 0.0;
  }
  return result;
}

/// Fluctuation of the estimated mean: (1/n) sum over nodes and one at infinity, where kappa G is 1.
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
      factor = factor.cwiseProduct(nodes.retained).cwiseQuotient(nodes.kept.colwise().mean().transpose());
    return factor;
  };
  term = ((hf * weights).cwiseProduct(hg)).rowwise().sum();
  term += f.at_infinity * s.cwiseSqrt().cwiseProduct(hg * at_infinity(g)) +
          g.at_infinity * s.cwiseSqrt().cwiseProduct(hf * at_infinity(f)) + f.at_infinity * g.at_infinity * s;
  return term / n_;
}

ModeCovariance Splits::covariance(const SpectralFunction& f, const SpectralFunction& g) const {
  const Nodes nf = nodes(f), ng = nodes(g);
  const RenormalizedPairs pairs = law_.pairs(nf, ng);
  const Matrix weights = kernel_weights(nf, ng, pairs);
  ModeCovariance result;
  const auto& s = law_.spectrum().eigenvalues();
  result.modes_ = s.size();
  result.exchange_ = options_.terms == Terms::full;
  result.mean_term_ = mean_term(nf, ng, pairs);
  if (!law_.equal_sizes() && result.exchange_) {
    result.radial_left_ = responses(nf, true) * radial_weights(nf, ng, pairs);
    result.radial_right_ = responses(ng, true);
  }
  if (spectrum_.rank() == 0) {
    result.kernel_ = Matrix::Zero(s.size(), s.size());
    return result;
  }
  const Panels panels(law_.spectrum());
  result.interpolated_ = s.size() > panels.nodes();
  if (!result.interpolated_) {
    result.kernel_ = direct_kernel(s, nf.shift, ng.shift, weights, same(f, g));
    return result;
  }
  result.kernel_ = direct_kernel(panels.points(), nf.shift, ng.shift, weights, same(f, g));
  result.first_ = Eigen::VectorXi::Constant(s.size(), -1);
  result.interpolation_ = Matrix::Zero(kPanelNodes, s.size());
  for (Index k = 0; k < s.size(); ++k) {
    if (s[k] > 0) result.first_[k] = panels.weights(s[k], result.interpolation_.col(k));
  }
  return result;
}

/// w_i w_j kappa_i kappa_j (q_ij - 1/m).
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
  const Nodes nf = nodes(f), ng = nodes(g);
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

Matrix ModeCovariance::gather(const Eigen::Ref<const Matrix>& weights) const {
  detail::require(weights.cols() == modes_, "ModeCovariance", "rows must have one entry for each mode", weights.cols());
  if (!interpolated_) return weights;
  Matrix gathered = Matrix::Zero(weights.rows(), kernel_.rows());
  for (Index k = 0; k < modes_; ++k) {
    if (first_[k] < 0) continue;
    gathered.middleCols(first_[k], kPanelNodes).noalias() += weights.col(k) * interpolation_.col(k).transpose();
  }
  return gathered;
}

Matrix ModeCovariance::scatter(const Eigen::Ref<const Matrix>& values) const {
  if (!interpolated_) return values;
  Matrix scattered = Matrix::Zero(values.rows(), modes_);
  for (Index k = 0; k < modes_; ++k) {
    if (first_[k] >= 0) scattered.col(k).noalias() = values.middleCols(first_[k], kPanelNodes) * interpolation_.col(k);
  }
  return scattered;
}

Matrix ModeCovariance::apply(const Eigen::Ref<const Matrix>& weights) const {
  return scatter(gather(weights) * kernel_);
}

Vector ModeCovariance::bilinear(const Eigen::Ref<const Matrix>& a, const Eigen::Ref<const Matrix>& c) const {
  detail::require(a.rows() == c.rows(), "ModeCovariance", "both arguments must have equally many rows", c.rows());
  return ((gather(a) * kernel_).cwiseProduct(gather(c))).rowwise().sum();
}

Vector ModeCovariance::diagonal() const {
  if (!interpolated_) return kernel_.diagonal();
  Vector diagonal = Vector::Zero(modes_);
  for (Index k = 0; k < modes_; ++k) {
    if (first_[k] < 0) continue;
    const auto l = interpolation_.col(k);
    diagonal[k] = l.dot(kernel_.block(first_[k], first_[k], kPanelNodes, kPanelNodes) * l);
  }
  return diagonal;
}

Vector ModeCovariance::radial_diagonal() const {
  if (radial_left_.cols() == 0) return Vector::Zero(modes_);
  return (radial_left_.cwiseProduct(radial_right_)).rowwise().sum();
}

Vector ModeCovariance::radial_bilinear(const Eigen::Ref<const Matrix>& a, const Eigen::Ref<const Matrix>& c) const {
  detail::require(a.rows() == c.rows() && a.cols() == modes_ && c.cols() == modes_, "ModeCovariance",
                  "both arguments must have one column for each mode; columns", c.cols());
  if (radial_left_.cols() == 0) return Vector::Zero(a.rows());
  return ((a * radial_left_).cwiseProduct(c * radial_right_)).rowwise().sum();
}

Matrix ModeCovariance::matrix(const Eigen::Ref<const Eigen::VectorXi>& modes) const {
  const Index count = modes.size();
  for (Index r = 0; r < count; ++r) {
    detail::require(modes[r] >= 0 && modes[r] < modes_, "ModeCovariance::matrix",
                    "modes must lie between 0 and the number of modes - 1", modes[r]);
  }
  Matrix result(count, count);
  if (!interpolated_) {
    for (Index c = 0; c < count; ++c) {
      for (Index r = 0; r < count; ++r) result(r, c) = kernel_(modes[r], modes[c]);
    }
  } else {
    // half: kernel times the interpolation of each column; then each row mixes the nodes of its own panel
    Matrix half = Matrix::Zero(kernel_.rows(), count);
    for (Index c = 0; c < count; ++c) {
      const int first = first_[modes[c]];
      if (first >= 0) half.col(c).noalias() = kernel_.middleCols(first, kPanelNodes) * interpolation_.col(modes[c]);
    }
    // runs of rows in one panel share the nodes: one matrix product for each run
    for (Index begin = 0; begin < count;) {
      Index end = begin + 1;
      const int first = first_[modes[begin]];
      while (end < count && first_[modes[end]] == first) ++end;
      if (first < 0) {
        result.middleRows(begin, end - begin).setZero();
      } else {
        Matrix local(kPanelNodes, end - begin);
        for (Index r = begin; r < end; ++r) local.col(r - begin) = interpolation_.col(modes[r]);
        result.middleRows(begin, end - begin).noalias() = local.transpose() * half.middleRows(first, kPanelNodes);
      }
      begin = end;
    }
  }
  if (exchange_) {
    const Vector radial = radial_diagonal();
    for (Index c = 0; c < count; ++c) {
      for (Index r = 0; r < count; ++r) {
        if (modes[r] == modes[c]) result(r, c) = 2 * result(r, c) + radial[modes[r]];
      }
    }
  }
  return result;
}

Matrix ModeCovariance::matrix() const {
  return matrix(Eigen::VectorXi::LinSpaced(static_cast<int>(modes_), 0, static_cast<int>(modes_) - 1));
}

Matrix ModeCovariance::output(const Eigen::Ref<const Matrix>& x, const Eigen::Ref<const Matrix>& y) const {
  detail::require(x.rows() == y.rows() && x.cols() == y.cols(), "ModeCovariance::output",
                  "both inputs must have the same shape; rows of the second", y.rows());
  const Matrix products = x.cwiseProduct(y);
  Matrix result = apply(products);
  if (exchange_) result += products * (diagonal() + radial_diagonal()).asDiagonal();
  result.rowwise() += mean_term_.transpose();
  return result;
}

}  // namespace kappaflow
