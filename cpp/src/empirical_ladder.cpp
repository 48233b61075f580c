#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
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

std::vector<Index> all_columns(Index count) {
  std::vector<Index> columns(static_cast<std::size_t>(count));
  std::iota(columns.begin(), columns.end(), Index{0});
  return columns;
}

Matrix columns_of(const Matrix& matrix, const std::vector<Index>& which) {
  Matrix chosen(matrix.rows(), static_cast<Index>(which.size()));
  for (std::size_t c = 0; c < which.size(); ++c) chosen.col(static_cast<Index>(c)) = matrix.col(which[c]);
  return chosen;
}

/// Pairs of nodes whose matrices (D, D) are held at once.
Index pairs_at_once(Index coordinates) {
  constexpr Index kNumbers = 1 << 22;
  return std::max<Index>(1, kNumbers / (coordinates * coordinates));
}

/// q_p v_p for the columns p = which[c] of q, symmetric matrices (D D), and columns c of v.
Matrix products_of(const Matrix& q, const Matrix& vectors, const std::vector<Index>& which) {
  const Index size = vectors.rows();
  Matrix result(size, vectors.cols());
  for (Index c = 0; c < vectors.cols(); ++c) {
    const Eigen::Map<const Matrix> matrix(q.col(which[static_cast<std::size_t>(c)]).data(), size, size);
    result.col(c).noalias() = matrix * vectors.col(c);
  }
  return result;
}

/// Conjugate gradients for (1 - root Q root) w = begun, one system for each pair of nodes that is still active.
struct ConjugateGradients {
  std::vector<Index> active;  // the pair of each column
  Matrix residual, direction, root;
  Vector norm;         // squared residuals of the active
  const Vector begun;  // those at the start, of all pairs

  ConjugateGradients(const Matrix& start, const Matrix& root_gamma)
      : active(all_columns(start.cols())),
        residual(start),
        direction(start),
        root(root_gamma),
        norm(start.colwise().squaredNorm().transpose()),
        begun(norm) {}

  double relative(Index column) const { return norm[column] / begun[active[static_cast<std::size_t>(column)]]; }

  /// Active columns whose residual is above the tolerance. A NaN counts as active, to be reported by the next step.
  std::vector<Index> unfinished(double tolerance) const {
    std::vector<Index> columns;
    for (std::size_t c = 0; c < active.size(); ++c) {
      const double enough = tolerance * tolerance * begun[active[c]];
      if (!(norm[static_cast<Index>(c)] <= enough)) columns.push_back(static_cast<Index>(c));
    }
    return columns;
  }

  /// The column of these with the largest relative residual.
  Index slowest(const std::vector<Index>& columns) const {
    Index worst = columns.front();
    for (const Index column : columns) {
      if (relative(column) > relative(worst)) worst = column;
    }
    return worst;
  }

  void keep(const std::vector<Index>& columns) {
    if (columns.size() == active.size()) return;
    residual = columns_of(residual, columns);
    direction = columns_of(direction, columns);
    root = columns_of(root, columns);
    norm = columns_of(norm.transpose(), columns).transpose();
    std::vector<Index> pairs;
    for (const Index column : columns) pairs.push_back(active[static_cast<std::size_t>(column)]);
    active = std::move(pairs);
  }

  /// One step of a column along its direction, whose image is (1 - root Q root) direction; adds root w to `solution`.
  void step(Index c, const Matrix& image, double curvature, Matrix& solution) {
    const double length = norm[c] / curvature;
    solution.col(active[static_cast<std::size_t>(c)]) += length * root.col(c).cwiseProduct(direction.col(c));
    residual.col(c) -= length * image.col(c);
    const double next = residual.col(c).squaredNorm();
    direction.col(c) = residual.col(c) + next / norm[c] * direction.col(c);
    norm[c] = next;
  }
};

}  // namespace

/// Pairs of nodes whose weight is not zero; `all_equal` adds the pair of each node of f or g with itself.
EmpiricalLaw::Pairs EmpiricalLaw::pairs(const EmpiricalNodes& nodes, const Vector& f, const Vector& g,
                                        bool all_equal) const {
  const Index count = nodes.shifts.size();
  detail::require(f.size() == count, "EmpiricalLaw", "f must have one entry for each node", f.size());
  detail::require(g.size() == count, "EmpiricalLaw", "g must have one entry for each node", g.size());
  Pairs pairs;
  std::vector<double> weight;
  for (Index i = 0; i < count; ++i) {
    for (Index j = i; j < count; ++j) {
      const double both = i == j ? f[i] * g[i] : f[i] * g[j] + f[j] * g[i];
      const bool wanted = all_equal && i == j && (f[i] != 0 || g[i] != 0);
      if (both == 0 && !wanted) continue;
      pairs.first.push_back(i);
      pairs.second.push_back(j);
      weight.push_back(both);
    }
  }
  pairs.weight = Eigen::Map<const Vector>(weight.data(), static_cast<Index>(weight.size()));
  pairs.root_gamma.resize(coordinates_, pairs.weight.size());
  pairs.eta.resize(coordinates_, pairs.weight.size());
  for (Index p = 0; p < pairs.weight.size(); ++p) {
    const Index i = pairs.first[static_cast<std::size_t>(p)], j = pairs.second[static_cast<std::size_t>(p)];
    pairs.root_gamma.col(p) = nodes.resolvent.col(i).cwiseProduct(nodes.resolvent.col(j)).cwiseSqrt();
    pairs.eta.col(p) = nodes.remaining.col(i).cwiseProduct(nodes.remaining.col(j));
  }
  return pairs;
}

/// Q_p v_p, theory.md (41), for the pairs p = which[c] of the columns c: (D, C) -> (D, C).
Matrix EmpiricalLaw::apply_leverage(const EmpiricalNodes& nodes, const Pairs& pairs, const Matrix& vectors,
                                    const std::vector<Index>& which) const {
  const Index count = vectors.cols();
  if (uses_forms()) return apply_forms(nodes, pairs, vectors);
  Matrix result = Matrix::Zero(coordinates_, count), squares, inner;
  for (const Block& part : blocks_) {
    products(part, squares);
    inner.resize(part.pairs, count);
    multiply(library_, true, false, 1 / (n_ * images_), squares, vectors, 0, inner);
    sandwich(part, nodes, pairs, which, inner);
    multiply(library_, false, false, 1, squares, inner, 1, result);
  }
  return result;
}

/// y = (1 - diag(gamma) Q)^-1 right for every pair, theory.md (42), by conjugate gradients on the symmetric form: with
/// v = Q y and w = gamma^(1/2) v, (1 - gamma^(1/2) Q gamma^(1/2)) w = gamma^(1/2) Q right, y = right + gamma^(1/2) w.
/// Converged pairs are dropped from the products.
Matrix EmpiricalLaw::ladder(const EmpiricalNodes& nodes, const Pairs& pairs, Matrix right) const {
  if (!uses_forms()) {
    solve_ladder(nodes, pairs, right, [&](const Matrix& vectors, const std::vector<Index>& which) {
      return apply_leverage(nodes, pairs, vectors, which);
    });
    return right;
  }
  const Index at_once = pairs_at_once(coordinates_);
  for (Index start = 0; start < pairs.size(); start += at_once) {
    const Pairs some = pairs.some(start, std::min(at_once, pairs.size() - start));
    const Matrix q = pair_matrices(nodes, some);
    Matrix solution = right.middleCols(start, some.size());
    solve_ladder(nodes, some, solution, [&](const Matrix& vectors, const std::vector<Index>& which) {
      return products_of(q, vectors, which);
    });
    right.middleCols(start, some.size()) = solution;
  }
  return right;
}

/// Q_p v_p of groups for all pairs p, through their matrices: (D, P) -> (D, P).
Matrix EmpiricalLaw::apply_forms(const EmpiricalNodes& nodes, const Pairs& pairs, const Matrix& vectors) const {
  Matrix result(vectors.rows(), vectors.cols());
  const Index at_once = pairs_at_once(coordinates_);
  for (Index start = 0; start < pairs.size(); start += at_once) {
    const Index count = std::min(at_once, pairs.size() - start);
    result.middleCols(start, count) = products_of(pair_matrices(nodes, pairs.some(start, count)),
                                                  vectors.middleCols(start, count), all_columns(count));
  }
  return result;
}

/// The conjugate gradients of ladder(), in place, for Q_p v_p = apply(v, p).
template <class Apply>
void EmpiricalLaw::solve_ladder(const EmpiricalNodes& nodes, const Pairs& pairs, Matrix& right,
                                const Apply& apply) const {
  ConjugateGradients solver(pairs.root_gamma.cwiseProduct(apply(right, all_columns(right.cols()))), pairs.root_gamma);
  for (int step = 0;; ++step) {
    const auto fail = [&](Index column, const std::string& what) {
      const Index p = solver.active[static_cast<std::size_t>(column)];
      throw ConvergenceError("EmpiricalLaw: the ladder at shifts " + detail::text(nodes.shifts[pairs.i(p)]) + " and " +
                             detail::text(nodes.shifts[pairs.j(p)]) + " (nodes " + std::to_string(pairs.i(p)) +
                             " and " + std::to_string(pairs.j(p)) + ") " + what + " after " + std::to_string(step) +
                             " iterations, residual " + detail::text(std::sqrt(solver.relative(column))));
    };
    const std::vector<Index> columns = solver.unfinished(options_.ladder_tolerance);
    if (columns.empty()) return;
    if (step >= options_.ladder_iterations) fail(solver.slowest(columns), "has not converged");
    solver.keep(columns);
    Matrix image = apply(solver.root.cwiseProduct(solver.direction), solver.active);
    image = solver.direction - solver.root.cwiseProduct(image);
    for (Index c = 0; c < image.cols(); ++c) {
      const double curvature = solver.direction.col(c).dot(image.col(c));
      if (!(curvature > 0)) fail(c, "has no positive definite system");
      solver.step(c, image, curvature, right);
    }
  }
}

Vector EmpiricalLaw::ladder_covariance(const EmpiricalNodes& nodes, const Vector& f, const Vector& g, const Vector& x,
                                       const Vector& y) const {
  constexpr const char* here = "EmpiricalLaw::ladder_covariance";
  require_own(here, nodes);
  detail::require(x.size() == modes_, here, "x must have one entry for each mode", x.size());
  detail::require(y.size() == modes_, here, "y must have one entry for each mode", y.size());
  const Pairs pair = pairs(nodes, f, g);
  const Index count = pair.weight.size();
  const Matrix u = respond(nodes, projections(nodes, x));
  const Matrix v = x == y ? u : respond(nodes, projections(nodes, y));
  Matrix right = Matrix::Zero(coordinates_, count), squares, outer;
  for (const Block& part : blocks_) {
    const Matrix from = u.middleCols(part.row, part.rows).transpose(),
                 to = v.middleCols(part.row, part.rows).transpose();
    outer.resize(part.pairs, count);
    for (Index p = 0; p < count; ++p) {
      const Index i = pair.i(p), j = pair.j(p);
      outer.col(p) = f[i] * g[j] * pair_products(part, from.col(i), to.col(j));
      if (i != j) outer.col(p) += f[j] * g[i] * pair_products(part, from.col(j), to.col(i));
    }
    products(part, squares);
    multiply(library_, false, false, 1 / (n_ * images_), squares, outer, 1, right);
  }
  right = right.cwiseProduct(pair.root_gamma).cwiseProduct(pair.root_gamma);
  const Matrix added = apply_leverage(nodes, pair, ladder(nodes, pair, std::move(right)), all_columns(count));
  return pair.eta.cwiseProduct(added).topRows(modes_).rowwise().sum();
}

/// sum_i f_i t_i g_k mean_a[z_k r_ai u_i], theory.md (46), for the input at the mean, u_i = g_i of the mean's
/// coordinate: (modes).
Vector EmpiricalLaw::centre(const EmpiricalNodes& nodes, const Vector& f) const {
  Matrix sums = Matrix::Zero(coordinates_, nodes.shifts.size()), samples;
  for (const Block& part : blocks_) {
    rows(part, samples);
    const Matrix u = ones_.segment(part.row, part.rows).transpose().replicate(nodes.shifts.size(), 1);
    multiply(library_, false, true, 1 / images_, samples, respond(part, nodes, u), 1, sums);
  }
  const Vector weights = nodes.resolvent.row(modes_).transpose().cwiseProduct(f);
  return nodes.remaining.cwiseProduct(sums).topRows(modes_) * weights;
}

Vector EmpiricalLaw::spread(const EmpiricalNodes& nodes, const Vector& f, const Vector& g,
                            const Vector& variance) const {
  require_own("EmpiricalLaw::spread", nodes);
  detail::require(variance.size() == modes_, "EmpiricalLaw::spread", "variance must have one entry for each mode",
                  variance.size());
  detail::require_all_not_negative("EmpiricalLaw::spread", "variance", variance);
  const Pairs pair = pairs(nodes, f, g);
  Vector second = Vector::Ones(coordinates_);  // of the input; that of the mean's coordinate is 1
  second.head(modes_) = variance;
  Matrix right = second.asDiagonal() * pair.root_gamma.cwiseAbs2();
  right = ladder(nodes, pair, std::move(right));
  const Matrix added = apply_leverage(nodes, pair, right, all_columns(pair.size()));
  const Matrix h = nodes.remaining.topRows(modes_), shrink = h.array() * (1 - h.array());
  Vector result = pair.eta.cwiseProduct(added).topRows(modes_) * pair.weight;
  result -= (shrink * f).cwiseProduct(shrink * g).cwiseProduct(variance) * mean_size_ / n_;
  if (has_mean()) result -= centre(nodes, f).cwiseProduct(centre(nodes, g)) * mean_size_ / n_;
  return result;
}

}  // namespace kappaflow
