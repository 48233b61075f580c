#include "kappaflow/mode_covariance.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "chebyshev.hpp"
#include "checks.hpp"
#include "half_products.hpp"

namespace kappaflow {
namespace {

using Index = Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

/// Chebyshev points in a decade of s. s/((s+u)(s+v)) is analytic in |Im log s| < pi: 5.64^(-20) = 1e-15.
constexpr int kPanelNodes = 20;

/// Smallest width of a panel in log s. Equal eigenvalues have no range, and the position in a panel is a quotient by
/// its width.
constexpr double kLeastWidth = 1e-12;

/// Panels of at most one decade with Chebyshev points in log s.
struct Panels {
  double start = 0, width = 1;  // log s of the lowest panel, width of one
  int count = 0;

  explicit Panels(const Spectrum& spectrum) {
    start = std::log(spectrum.smallest_positive());
    const double range = std::log(spectrum.largest()) - start;
    count = std::max(1, static_cast<int>(std::ceil(range / std::log(10.0))));
    width = std::max(range / count, kLeastWidth);
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

/// V_kl = sum_ij W_ij b_k,ij b_l,ij on the given eigenvalues, as one product with the pairs of nodes as inner
/// dimension.
Matrix direct_kernel(const Vector& s, const ModeCovarianceTerms& terms) {
  const Vector &u = terms.shift_f, &v = terms.shift_g;
  const bool symmetric = terms.same_map;
  const Matrix hf = detail::half_products(s, u), hg = detail::half_products(s, v);
  const Index pairs = symmetric ? u.size() * (u.size() + 1) / 2 : u.size() * v.size();
  Matrix products(s.size(), pairs);
  Vector weight(pairs);
  Index p = 0;
  for (Index i = 0; i < u.size(); ++i) {
    for (Index j = symmetric ? i : 0; j < v.size(); ++j, ++p) {
      products.col(p) = hf.col(i).cwiseProduct(hg.col(j));
      weight[p] = symmetric && i != j ? terms.weights(i, j) + terms.weights(j, i) : terms.weights(i, j);
    }
  }
  return products * weight.asDiagonal() * products.transpose();
}

void require_sizes(const Spectrum& spectrum, const ModeCovarianceTerms& terms) {
  constexpr const char* here = "ModeCovariance";
  const Index modes = spectrum.size();
  detail::require(terms.weights.rows() == terms.shift_f.size() && terms.weights.cols() == terms.shift_g.size(), here,
                  "terms.weights must have one row and column for each node", detail::shape(terms.weights));
  detail::require(!terms.same_map || (terms.shift_f.size() == terms.shift_g.size() && terms.shift_f == terms.shift_g),
                  here, "terms.shift_g must be terms.shift_f for the same map", terms.shift_g.transpose());
  detail::require(terms.mean_term.size() == modes, here, "terms.mean_term must have one entry for each mode",
                  terms.mean_term.size());
  detail::require(terms.radial_left.cols() == 0 || terms.radial_left.rows() == modes, here,
                  "terms.radial_left must have one row for each mode", detail::shape(terms.radial_left));
  detail::require(
      terms.radial_right.rows() == terms.radial_left.rows() && terms.radial_right.cols() == terms.radial_left.cols(),
      here, "terms.radial_right must have the shape of terms.radial_left", detail::shape(terms.radial_right));
}

/// Both matrices have one column for each mode and equally many rows.
void require_pair(const char* function, const char* first, const Eigen::Ref<const Matrix>& a, const char* second,
                  const Eigen::Ref<const Matrix>& c, Index modes) {
  if (a.cols() != modes)
    detail::throw_argument(function, std::string(first) + " must have one column for each mode", detail::shape(a));
  if (c.cols() != modes)
    detail::throw_argument(function, std::string(second) + " must have one column for each mode", detail::shape(c));
  if (a.rows() != c.rows())
    detail::throw_argument(function, std::string(second) + " must have as many rows as " + first, detail::shape(c));
}

}  // namespace

ModeCovariance::ModeCovariance(const Spectrum& spectrum, ModeCovarianceTerms terms)
    : modes_(spectrum.size()), exchange_(terms.exchange) {
  require_sizes(spectrum, terms);
  const Vector& s = spectrum.eigenvalues();
  if (spectrum.rank() == 0) {
    kernel_ = Matrix::Zero(modes_, modes_);
  } else if (const Panels panels(spectrum); modes_ <= panels.nodes()) {
    kernel_ = direct_kernel(s, terms);
  } else {
    interpolated_ = true;
    kernel_ = direct_kernel(panels.points(), terms);
    first_ = Eigen::VectorXi::Constant(modes_, -1);
    interpolation_ = Matrix::Zero(kPanelNodes, modes_);
    for (Index k = 0; k < modes_; ++k) {
      if (s[k] > 0) first_[k] = panels.weights(s[k], interpolation_.col(k));
    }
  }
  mean_term_ = std::move(terms.mean_term);
  radial_left_ = std::move(terms.radial_left);
  radial_right_ = std::move(terms.radial_right);
}

Matrix ModeCovariance::gather(const Eigen::Ref<const Matrix>& weights) const {
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
  detail::require(weights.cols() == modes_, "ModeCovariance::apply", "weights must have one column for each mode",
                  detail::shape(weights));
  return scatter(gather(weights) * kernel_);
}

Vector ModeCovariance::bilinear(const Eigen::Ref<const Matrix>& a, const Eigen::Ref<const Matrix>& c) const {
  require_pair("ModeCovariance::bilinear", "a", a, "c", c, modes_);
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
  require_pair("ModeCovariance::radial_bilinear", "a", a, "c", c, modes_);
  if (radial_left_.cols() == 0) return Vector::Zero(a.rows());
  return ((a * radial_left_).cwiseProduct(c * radial_right_)).rowwise().sum();
}

Matrix ModeCovariance::between(const Eigen::Ref<const Eigen::VectorXi>& modes) const {
  const Index count = modes.size();
  Matrix result(count, count);
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
  return result;
}

Matrix ModeCovariance::matrix(const Eigen::Ref<const Eigen::VectorXi>& caller_modes) const {
  const Eigen::VectorXi modes =
      caller_modes;  // a copy, which is checked and used: another thread may change the numbers
  const Index count = modes.size();
  for (Index r = 0; r < count; ++r) {
    detail::require(modes[r] >= 0 && modes[r] < modes_, "ModeCovariance::matrix",
                    "modes must lie between 0 and the number of modes - 1", modes[r]);
  }
  Matrix result;
  if (interpolated_) {
    result = between(modes);
  } else {
    result.resize(count, count);
    for (Index c = 0; c < count; ++c) {
      for (Index r = 0; r < count; ++r) result(r, c) = kernel_(modes[r], modes[c]);
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
  require_pair("ModeCovariance::output", "x", x, "y", y, modes_);
  const Matrix products = x.cwiseProduct(y);
  Matrix result = apply(products);
  if (exchange_) result += products * (diagonal() + radial_diagonal()).asDiagonal();
  result.rowwise() += mean_term_.transpose();
  return result;
}

}  // namespace kappaflow
