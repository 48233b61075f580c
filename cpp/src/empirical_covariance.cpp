#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <vector>

#include "checks.hpp"
#include "empirical_detail.hpp"
#include "kappaflow/empirical.hpp"
#include "kappaflow/errors.hpp"

namespace kappaflow {

using detail::multiply;
using Index = Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

namespace {

/// Eigenvalues of a Gram matrix have rounding errors of 1e-16: below 1e-14 there is nothing to keep.
constexpr double kGramRounding = 1e-14;

}  // namespace

/// The matrices Q, theory.md (41), of all pairs of nodes in the span of a few: Q_p = sum_q back(p, q) form_q.
struct EmpiricalLaw::Forms {
  std::vector<Matrix> forms;  // (D, D) each
  Matrix back;                // (P, rank)

  Matrix leverage(Index p) const {
    Matrix q = Matrix::Zero(forms[0].rows(), forms[0].cols());
    for (Index r = 0; r < back.cols(); ++r) q += back(p, r) * forms[static_cast<std::size_t>(r)];
    return q;
  }
};

/// sum_i f_i r_ai diag(t g) (1 - B_i)^-1 diag(g), B = g Q_ii g, for maps f and g, with r_ai = sum_q left_aq right_qi:
/// the effect of the squares of a sample on equal modes.
struct EmpiricalLaw::Dressed {
  detail::LowRank leverage;
  std::vector<Matrix> f, g;   // (modes, D) for each q
  Vector centre_f, centre_g;  // its mean over samples (modes)

  Dressed(const EmpiricalNodes& nodes, Index modes, double tolerance)
      : leverage(nodes.leverage.transpose(), tolerance),
        f(static_cast<std::size_t>(leverage.right.rows()), Matrix::Zero(modes, nodes.resolvent.rows())),
        g(f),
        centre_f(Vector::Zero(modes)),
        centre_g(centre_f) {}

  /// Adds node i of weights f and g, where `ladder` is (1 - B_i)^-1 B_i.
  void add(const EmpiricalNodes& nodes, Index i, double weight_f, double weight_g, const Matrix& ladder) {
    const Index modes = centre_f.size();
    const Vector resolvent = nodes.resolvent.col(i);
    Matrix inverse = nodes.remaining.col(i).head(modes).asDiagonal() * ladder.topRows(modes);
    inverse.diagonal() += nodes.remaining.col(i).head(modes);
    Vector shrink = Vector::Ones(resolvent.size());  // g mean_a[z^2 r]; 1 for the mean's coordinate, whose shift is 0
    shrink.head(modes) -= nodes.remaining.col(i).head(modes);
    const Vector centre = inverse * shrink;
    centre_f += weight_f * centre;
    centre_g += weight_g * centre;
    inverse = inverse * resolvent.asDiagonal();
    for (std::size_t q = 0; q < f.size(); ++q) {
      const double right = leverage.right(static_cast<Index>(q), i);
      if (weight_f != 0) f[q] += weight_f * right * inverse;
      if (weight_g != 0) g[q] += weight_g * right * inverse;
    }
  }
};

/// r_i r_j of all pairs in the span of a few vectors: eigenvectors of their Gram matrix, columns scaled to length 1.
EmpiricalLaw::Forms EmpiricalLaw::leverage_forms(const EmpiricalNodes& nodes, const Pairs& pair) const {
  const Index count = pair.size();
  Matrix gram = Matrix::Zero(count, count), both;
  const auto leverage_products = [&](const Block& part) {
    both.resize(part.rows, count);
    for (Index p = 0; p < count; ++p) {
      const Index i = pair.i(p), j = pair.j(p);
      both.col(p) = nodes.leverage.row(i)
                        .segment(part.row, part.rows)
                        .cwiseProduct(nodes.leverage.row(j).segment(part.row, part.rows))
                        .transpose();
    }
  };
  for (const Block& part : blocks_) {
    leverage_products(part);
    multiply(library_, true, false, 1, both, both, 1, gram);
  }
  const Vector scale = gram.diagonal().cwiseSqrt();
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(scale.cwiseInverse().asDiagonal() * gram *
                                                    scale.cwiseInverse().asDiagonal());
  const double dropped =
      std::max(options_.compression * options_.compression, kGramRounding) * eigen.eigenvalues()[count - 1];
  Index rank = 1;
  while (rank < count && eigen.eigenvalues()[count - 1 - rank] > dropped) ++rank;
  const Matrix basis = scale.cwiseInverse().asDiagonal() * eigen.eigenvectors().rightCols(rank);  // (P, rank)
  const Matrix back = scale.asDiagonal() * eigen.eigenvectors().rightCols(rank);  // products = span back'

  Forms result{std::vector<Matrix>(static_cast<std::size_t>(rank), Matrix::Zero(coordinates_, coordinates_)), back};
  Matrix squares, scaled, span;
  for (const Block& part : blocks_) {
    leverage_products(part);
    span.resize(part.rows, rank);
    multiply(library_, false, false, 1 / (n_ * images_), both, basis, 0, span);
    products(part, squares);
    for (Index q = 0; q < rank; ++q) {
      scaled = squares * span.col(q).asDiagonal();
      multiply(library_, false, true, 1, scaled, squares, 1, result.forms[static_cast<std::size_t>(q)]);
    }
  }
  return result;
}

Matrix EmpiricalLaw::mode_covariance(const EmpiricalNodes& nodes, const Vector& f, const Vector& g) const {
  require_own("EmpiricalLaw::mode_covariance", nodes);
  const Pairs pair = pairs(nodes, f, g, true);
  Matrix covariance = Matrix::Zero(modes_, modes_);
  if (pair.size() == 0) return covariance;
  Dressed dressed(nodes, modes_, options_.compression);
  const Forms forms = grouped() ? Forms{} : leverage_forms(nodes, pair);
  for (Index p = 0; p < pair.size(); ++p) {
    const Index i = pair.i(p), j = pair.j(p);
    const Vector root = pair.root_gamma.col(p);
    const Matrix q = grouped() ? pair_matrices(nodes, pair.some(p, 1)).reshaped(coordinates_, coordinates_).eval()
                               : forms.leverage(p);
    const Matrix symmetric = root.asDiagonal() * q * root.asDiagonal();
    const Eigen::LLT<Matrix> factor(Matrix::Identity(coordinates_, coordinates_) - symmetric);
    if (factor.info() != Eigen::Success) {
      throw ConvergenceError("EmpiricalLaw: the ladder does not converge at shifts " + detail::text(nodes.shifts[i]) +
                             " and " + detail::text(nodes.shifts[j]));
    }
    const Matrix ladder = factor.solve(symmetric);  // (1 - B)^-1 B
    if (i == j) dressed.add(nodes, i, f[i], g[i], ladder);
    if (pair.weight[p] == 0) continue;
    const Vector outer = pair.eta.col(p).head(modes_).cwiseSqrt();
    Matrix both = ladder.topLeftCorner(modes_, modes_);
    both.diagonal() += (ladder - symmetric).diagonal().head(modes_);  // exchange: what the ladder adds
    covariance += pair.weight[p] * (outer.asDiagonal() * both * outer.asDiagonal());
  }
  const Matrix h = nodes.remaining.topRows(modes_), shrink = h.array() * (1 - h.array());
  covariance.diagonal() -= (shrink * f).cwiseProduct(shrink * g) * mean_size_ / n_;
  covariance.diagonal() += third_pairing(nodes, f, g, dressed);
  return covariance;
}

/// The contribution of the dressing to the third pairing of equal modes, f_kk with g_kk. Sample a changes the second
/// moment of mode k by z_k^2 r - s, s = mean_a[z_k^2 r], and that of all modes through the leverages of the other
/// samples, so
///   phi_k(a) = sum_i f_i t_i gamma_k [(1 - Q_ii diag(gamma))^-1 (z_a^2 r_ai - s_i)]_k,   gamma = g_i^2,
/// theory.md (45); its covariance over samples / n, minus the same without the inverse, which theory.md (43) already
/// contains.
Vector EmpiricalLaw::third_pairing(const EmpiricalNodes& nodes, const Vector& f, const Vector& g,
                                   const Dressed& dressed) const {
  const bool same = f == g;
  const Matrix h = nodes.remaining.topRows(modes_), resolvent = nodes.resolvent.topRows(modes_);
  const Matrix bare_weights_f = h.cwiseProduct(resolvent) * f.asDiagonal(),
               bare_weights_g = h.cwiseProduct(resolvent) * g.asDiagonal();  // t g^2, which is 0 at infinity
  const Matrix shrink = h.array() * (1 - h.array());
  const Vector bare_centre_f = shrink * f, bare_centre_g = shrink * g;
  Vector sum = Vector::Zero(modes_);  // the centres are the means over samples, so products are covariances
  Matrix squares, scaled, phi_f, phi_g, bare_f, bare_g;
  const auto influence = [&](const Block& part, const std::vector<Matrix>& maps, const Vector& centre, Matrix& phi) {
    phi = -mean_size_ * centre.replicate(1, part.groups);
    for (std::size_t q = 0; q < maps.size(); ++q) {
      scaled = squares * dressed.leverage.left.col(static_cast<Index>(q)).segment(part.pair, part.pairs).asDiagonal();
      multiply(library_, false, false, 1, maps[q], sum_groups(part, scaled), 1, phi);
    }
  };
  const auto bare = [&](const Block& part, const Matrix& weights, const Vector& centre, Matrix& phi) {
    phi.resize(modes_, part.pairs);
    multiply(library_, false, false, 1, weights, nodes.leverage.middleCols(part.pair, part.pairs), 0, phi);
    phi = sum_groups(part, phi.cwiseProduct(squares.topRows(modes_))).colwise() - mean_size_ * centre;
  };
  for (const Block& part : blocks_) {
    products(part, squares);
    influence(part, dressed.f, dressed.centre_f, phi_f);
    bare(part, bare_weights_f, bare_centre_f, bare_f);
    if (!same) {
      influence(part, dressed.g, dressed.centre_g, phi_g);
      bare(part, bare_weights_g, bare_centre_g, bare_g);
    }
    const Matrix &other = same ? phi_f : phi_g, &bare_other = same ? bare_f : bare_g;
    sum += (phi_f.cwiseProduct(other) - bare_f.cwiseProduct(bare_other)).rowwise().sum();
  }
  return sum / (n_ * images_);
}

}  // namespace kappaflow
