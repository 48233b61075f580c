#include "kappaflow/splits.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kappaflow/errors.hpp"

namespace kappaflow {
namespace {

using Index = Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

/// Chebyshev points in a decade of s. a(s) is analytic in |Im log s| < pi: 5.64^(-20) = 1e-15.
constexpr int kPanelNodes = 20;
constexpr double kPi = 3.14159265358979323846;

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
        const double x = std::cos(kPi * (j + 0.5) / kPanelNodes);
        s[p * kPanelNodes + j] = std::exp(start + width * (p + 0.5 * (1 + x)));
      }
    }
    return s;
  }
  /// First node of the panel of s and the Lagrange weights there (barycentric form, Chebyshev points of the first
  /// kind).
  int weights(double s, Eigen::Ref<Vector> out) const {
    const double u = (std::log(s) - start) / width;
    const int panel = std::clamp(static_cast<int>(u), 0, count - 1);
    const double x = 2 * (u - panel) - 1;
    double total = 0;
    for (int j = 0; j < kPanelNodes; ++j) {
      const double angle = kPi * (j + 0.5) / kPanelNodes;
      const double difference = x - std::cos(angle);
      if (difference == 0) {
        out.setZero();
        out[j] = 1;
        return panel * kPanelNodes;
      }
      out[j] = (j % 2 == 0 ? 1 : -1) * std::sin(angle) / difference;
      total += out[j];
    }
    out /= total;
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

/// A spectral function's nodes with their renormalised noise: what every law is made of.
struct Splits::Nodes {
  Vector weights, kappa;
  Vector deficit;      // m - df1(kappa_i) = m t_i/kappa_i
  double at_infinity;  // w of the node at infinity, 1 - c - sum w
};

Splits::Splits(Spectrum spectrum, double n, SplitsOptions options)
    : spectrum_(std::move(spectrum)), n_(n), degrees_(options.mean == Mean::estimated ? n - 1 : n), options_(options) {
  detail::require(std::isfinite(n) && n > 0, "Splits", "n must be finite and positive", n);
  detail::require(degrees_ > 0, "Splits", "n must be above 1 where the mean is estimated", n);
}

KappaResult Splits::kappa(const Eigen::Ref<const Vector>& noise_variance) const {
  const double scale = n_ / degrees_;
  KappaResult result = solve_kappa(noise_variance * scale, spectrum_, degrees_);
  result.derivative *= scale;
  return result;
}

Splits::Nodes Splits::nodes(const SpectralFunction& f) const {
  const KappaResult solved = kappa(f.shifts());
  for (Index i = 0; i < f.shifts().size(); ++i) {
    if (!solved.certified[i]) {
      throw ConvergenceError("Splits: kappa is not certified at shift " + detail::text(f.shifts()[i]));
    }
  }
  Nodes nodes{f.weights(), solved.kappa, Vector(f.shifts().size()), 1 - f.constant() - f.weights().sum()};
  for (Index i = 0; i < f.shifts().size(); ++i) {
    nodes.deficit[i] = solved.kappa[i] > 0 ? n_ * f.shifts()[i] / solved.kappa[i] : degrees_ - spectrum_.rank();
  }
  return nodes;
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
  const auto& s = spectrum_.eigenvalues();
  Vector gain = Vector::Constant(s.size(), f.constant());
  for (Index k = 0; k < s.size(); ++k) {
    if (s[k] > 0) gain[k] += (node.weights.array() * (s[k] / (s[k] + node.kappa.array()))).sum();
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
  const auto& s = spectrum_.positive();
  const auto& multiplicity = spectrum_.positive_multiplicity();
  FiniteSize size{Vector(node.kappa.size()), Vector(node.kappa.size())};
  for (Index i = 0; i < node.kappa.size(); ++i) {
    const double kappa = node.kappa[i];
    if (kappa == 0) {  // t = 0 and m >= rank: x/(x+t) is 1 for every training set, and m - df2 may be 0
      size.remaining[i] = degrees_;
      size.delta[i] = 0;
      continue;
    }
    const Eigen::ArrayXd shrunk = s.array() / (s.array() + kappa), kept = kappa / (s.array() + kappa);
    size.remaining[i] = node.deficit[i] + (multiplicity.array() * shrunk * kept).sum();
    size.delta[i] = (multiplicity.array() * shrunk.square() * kept).sum() / (size.remaining[i] * size.remaining[i]);
  }
  return size;
}

Vector Splits::expectation_correction(const SpectralFunction& f) const {
  const Nodes node = nodes(f);
  const FiniteSize size = finite_size(node);
  const auto& s = spectrum_.eigenvalues();
  Vector correction = Vector::Zero(s.size());
  for (Index k = 0; k < s.size(); ++k) {
    if (s[k] == 0) continue;
    const Eigen::ArrayXd shrunk = s[k] / (s[k] + node.kappa.array()),
                         kept = node.kappa.array() / (s[k] + node.kappa.array());
    correction[k] =
        (node.weights.array() * kept * shrunk * (size.delta.array() - shrunk / size.remaining.array())).sum();
  }
  return correction;
}

Vector Splits::kappa_correction(const Eigen::Ref<const Vector>& noise_variance) const {
  const Nodes node = nodes(SpectralFunction(0, Vector::Zero(noise_variance.size()), noise_variance));
  return -node.kappa.cwiseProduct(finite_size(node).delta);
}

/// m - df2_ij = (m - df1_i) + kappa_j sum_k s_k/((s_k+kappa_i)(s_k+kappa_j)): positive terms, no cancellation anywhere,
/// so that the quotient of differences (kappa_i - kappa_j)/(t_i - t_j) is not needed.
Matrix Splits::remaining_degrees(const Nodes& f, const Nodes& g) const {
  const auto& s = spectrum_.positive();
  const Matrix hf = half_products(s, f.kappa);
  const Matrix hg = spectrum_.positive_multiplicity().asDiagonal() * half_products(s, g.kappa);
  Matrix remaining = (hf.transpose() * hg) * g.kappa.asDiagonal();
  remaining.colwise() += f.deficit;
  return remaining;
}

Matrix Splits::kernel_weights(const Nodes& f, const Nodes& g) const {
  const Matrix remaining = remaining_degrees(f, g);
  Matrix weights(f.kappa.size(), g.kappa.size());
  for (Index j = 0; j < weights.cols(); ++j) {
    for (Index i = 0; i < weights.rows(); ++i) {
      const double product = f.kappa[i] * g.kappa[j];
      weights(i, j) = product > 0 ? f.weights[i] * g.weights[j] * product / remaining(i, j) : 0.0;
    }
  }
  return weights;
}

Vector Splits::mean_term(const Nodes& f, const Nodes& g) const {
  const auto& s = spectrum_.eigenvalues();
  Vector term = Vector::Zero(s.size());
  if (options_.mean == Mean::known || options_.terms == Terms::published) return term;
  const Matrix pairs = degrees_ * kernel_weights(f, g);
  const Matrix hf = half_products(s, f.kappa), hg = half_products(s, g.kappa);
  const Vector root = s.cwiseSqrt();
  const Vector first = hf * f.weights.cwiseProduct(f.kappa), second = hg * g.weights.cwiseProduct(g.kappa);
  term = ((hf * pairs).cwiseProduct(hg)).rowwise().sum();
  term += f.at_infinity * root.cwiseProduct(second) + g.at_infinity * root.cwiseProduct(first) +
          f.at_infinity * g.at_infinity * s;
  return term / n_;
}

ModeCovariance Splits::covariance(const SpectralFunction& f, const SpectralFunction& g) const {
  const Nodes nf = nodes(f), ng = nodes(g);
  const Matrix weights = kernel_weights(nf, ng);
  ModeCovariance result;
  const auto& s = spectrum_.eigenvalues();
  result.modes_ = s.size();
  result.exchange_ = options_.terms == Terms::full;
  result.mean_term_ = mean_term(nf, ng);
  if (spectrum_.rank() == 0) {
    result.kernel_ = Matrix::Zero(s.size(), s.size());
    return result;
  }
  const Panels panels(spectrum_);
  result.interpolated_ = s.size() > panels.nodes();
  if (!result.interpolated_) {
    result.kernel_ = direct_kernel(s, nf.kappa, ng.kappa, weights, same(f, g));
    return result;
  }
  result.kernel_ = direct_kernel(panels.points(), nf.kappa, ng.kappa, weights, same(f, g));
  result.first_ = Eigen::VectorXi::Constant(s.size(), -1);
  result.interpolation_ = Matrix::Zero(kPanelNodes, s.size());
  for (Index k = 0; k < s.size(); ++k) {
    if (s[k] > 0) result.first_[k] = panels.weights(s[k], result.interpolation_.col(k));
  }
  return result;
}

Vector Splits::equal_mode_variance(const SpectralFunction& f) const {
  const Nodes node = nodes(f);
  const Matrix weights = kernel_weights(node, node);
  const Matrix squares = half_products(spectrum_.eigenvalues(), node.kappa).cwiseAbs2();
  const Vector variance = ((squares * weights).cwiseProduct(squares)).rowwise().sum();
  return options_.terms == Terms::full ? Vector(2 * variance) : variance;
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
    for (Index c = 0; c < count; ++c) {
      for (Index r = 0; r < count; ++r) {
        if (modes[r] == modes[c]) result(r, c) *= 2;
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
  if (exchange_) result += products * diagonal().asDiagonal();
  result.rowwise() += mean_term_.transpose();
  return result;
}

}  // namespace kappaflow
