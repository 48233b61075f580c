// Quantities of the nodes and of pairs of nodes once their shifts are known: derivatives along the curve kappa(u), and
// 1 - q df2 as sums of positive terms.
#include <algorithm>
#include <cmath>

#include "kappaflow/renormalization.hpp"
#include "products.hpp"

namespace kappaflow {
namespace {

using Index = Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

/// For shifts closer than this in log u, the derivative of kappa replaces the quotient of differences. It is a central
/// difference of this width, with an error of the square of the width.
constexpr double kClose = 1e-3;

/// Differences start at this part of the smallest eigenvalue if the shift itself is smaller: kappa is linear there.
constexpr double kLeastOfEigenvalue = 1e-9;

}  // namespace

/// du/dkappa. For samples of equal size its inverse is a sum of positive terms, theory.md (35) at equal nodes:
/// [M - rank + sum (u/(s+u))^2]/(M phi^2), phi = 1 - df1/M.
double Renormalization::stretch(double u) const {
  if (exact() || u == 0) return 1;
  const double degrees = known_.degrees();
  if (equal_sizes()) {
    const auto s = spectrum().positive().array();
    const double shared =
        (spectrum().positive_multiplicity().array() * (u / (s + u)).square()).sum() + (degrees - spectrum().rank());
    const double phi = sample_retained(u);
    return degrees * phi * phi / shared;
  }
  const double centre = std::max(u, edge() * std::exp(kClose));  // both ends above the edge
  const double above = centre * std::exp(0.5 * kClose), below = centre * std::exp(-0.5 * kClose);
  return (above - below) / (above / sample_retained(above) - below / sample_retained(below));
}

/// Stretch and capacity of the nodes: theory.md (25) with both indices those of one node.
void Renormalization::complete(RenormalizedNodes& nodes) const {
  const Index count = nodes.kappa.size();
  nodes.stretch = nodes.shift.unaryExpr([&](double u) { return stretch(u); });
  nodes.capacity.resize(count);
  for (Index i = 0; i < count; ++i) {
    double coupling = 1 / degrees_, first = nodes.retained[i];
    if (!equal_sizes()) {
      const Eigen::ArrayXd large = nodes.sizes.col(i).array() * nodes.kept.col(i).array();
      const double h = sizes_.weights().dot(large.matrix());
      coupling = sizes_.weights().dot(large.square().matrix()) / (h * h * degrees_);
      first = sizes_.weights().dot((large * nodes.kept.col(i).array()).matrix()) / h;
    }
    const double u = nodes.shift[i], spread = nodes.kappa[i] > 0 ? known_.spread(u, u) : 0.0;
    nodes.capacity[i] = first + coupling * nodes.kappa[i] * nodes.stretch[i] * spread;
  }
}

/// c between two nodes, theory.md (34): (u - v)/(kappa - kappa'). For samples of equal size its inverse is a sum of
/// positive terms, theory.md (35): [M - rank + sum u v/((s+u)(s+v))]/(M phi phi').
double Renormalization::stretch_between(const RenormalizedNodes& f, Index i, const RenormalizedNodes& g,
                                        Index j) const {
  const double u = f.shift[i], v = g.shift[j];
  if (exact() || u == 0 || v == 0) return 1;
  if (!equal_sizes()) {
    if (std::abs(std::log(u / v)) < kClose || std::max(u, v) < 2 * edge())
      return std::sqrt(f.stretch[i] * g.stretch[j]);
    return (u - v) / (f.kappa[i] - g.kappa[j]);
  }
  const auto s = spectrum().positive().array();
  const double shared = (spectrum().positive_multiplicity().array() * (u / (s + u)) * (v / (s + v))).sum() +
                        (known_.degrees() - spectrum().rank());
  return known_.degrees() * (u / f.kappa[i]) * (v / g.kappa[j]) / shared;
}

RenormalizedPairs Renormalization::pairs(const RenormalizedNodes& f, const RenormalizedNodes& g) const {
  const Index rows = f.kappa.size(), columns = g.kappa.size();
  const auto& s = spectrum().positive();
  const auto halves = [&](const Vector& shift) {  // sqrt(multiplicity s)/(s+u)
    Matrix half(s.size(), shift.size());
    for (Index i = 0; i < shift.size(); ++i)
      half.col(i) = (spectrum().positive_multiplicity().array() * s.array()).sqrt() / (s.array() + shift[i]);
    return half;
  };
  RenormalizedPairs pair;
  pair.coupling = Matrix::Constant(rows, columns, 1 / degrees_);
  pair.mean = Matrix::Ones(rows, columns);
  pair.stretch.resize(rows, columns);
  Matrix first = f.retained.replicate(1, columns);  // E[tau_j r_i r_j]/h_j = 1 - q df1_i, theory.md (24)
  if (!equal_sizes()) first = coupled(f, g, pair);
  const Matrix spread = halves(f.shift).transpose() * halves(g.shift);  // sum of s/((s+u_i)(s+u_j))
  pair.capacity.resize(rows, columns);
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < columns; ++j) {  // theory.md (25)
      pair.stretch(i, j) = stretch_between(f, i, g, j);
      pair.capacity(i, j) = first(i, j) + pair.coupling(i, j) * g.kappa[j] * pair.stretch(i, j) * spread(i, j);
    }
  }
  return pair;
}

/// Means over unequal sizes of pairs of nodes: coupling and mean of `pair`, and E[tau_j r_i r_j]/h_j.
Matrix Renormalization::coupled(const RenormalizedNodes& f, const RenormalizedNodes& g, RenormalizedPairs& pair) const {
  const Index rows = f.kappa.size(), columns = g.kappa.size();
  const bool same = &f == &g;
  const Vector& weights = sizes_.weights();
  const auto weighted = [&](const Matrix& values) { return Matrix(weights.asDiagonal() * values); };
  const Matrix tf = f.sizes.cwiseProduct(f.kept), tg = same ? tf : Matrix(g.sizes.cwiseProduct(g.kept));
  const Matrix wf = weighted(tf);
  const Vector inverse_f = wf.colwise().sum().cwiseInverse().transpose();
  const Vector inverse_g = same ? inverse_f : Vector((weights.transpose() * tg).cwiseInverse().transpose());
  Matrix both(rows, columns), other(rows, columns);  // E[tau_i tau_j r_i r_j], E[tau_i r_i r_j]
  detail::multiply(sizes_.library(), true, false, 1, wf, tg, 0, both);
  detail::multiply(sizes_.library(), true, false, 1, wf, g.kept, 0, other);
  Matrix one = other.transpose();  // E[tau_j r_i r_j]
  if (!same) detail::multiply(sizes_.library(), true, false, 1, f.kept, weighted(tg), 0, one = Matrix(rows, columns));
  pair.coupling = (inverse_f.asDiagonal() * both * inverse_g.asDiagonal()) / degrees_;  // theory.md (23)
  const Vector rf = (weights.transpose() * f.kept).cwiseInverse().transpose();
  const Vector rg = (weights.transpose() * g.kept).cwiseInverse().transpose();
  pair.mean = rf.asDiagonal() * (0.5 * (one + other)) * rg.asDiagonal();
  return one * inverse_g.asDiagonal();
}

Vector Renormalization::derivative(const RenormalizedNodes& nodes) const {
  Vector result(nodes.shift.size());
  for (Index i = 0; i < nodes.shift.size(); ++i) {
    const double u = std::max(nodes.shift[i], kLeastOfEigenvalue * spectrum().smallest_positive()), step = u * kClose;
    result[i] = 2 * step / (nodes.stretch[i] * (noise_at(u + step) - noise_at(u - step)));
  }
  return result;
}

Matrix Renormalization::df2(const RenormalizedNodes& nodes) const {
  const auto value = [&](double u) {  // df1 - kappa c sum s/(s+u)^2
    return kappaflow::df1(u, spectrum()) - u / sample_retained(u) * stretch(u) * known_.spread(u, u);
  };
  Matrix result(nodes.shift.size(), 2);
  for (Index i = 0; i < nodes.shift.size(); ++i) {
    const double u = nodes.shift[i], step = u * kClose;
    result(i, 0) = value(u);
    if (exact()) {
      const auto s = spectrum().positive().array();
      result(i, 1) = -2 * (spectrum().positive_multiplicity().array() * (s / (s + u)).square() / (s + u)).sum();
    } else {
      result(i, 1) = u > 0 ? nodes.stretch[i] * (value(u + step) - value(u - step)) / (2 * step) : 0.0;
    }
  }
  return result;
}

}  // namespace kappaflow
