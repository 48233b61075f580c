#include "kappaflow/empirical.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "kappaflow/errors.hpp"
#include "kappaflow/silverstein.hpp"

namespace kappaflow {
namespace {

using Index = Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

/// Doubles in a block of profiles and of what is computed from it: half of a usual second-level cache and 64 MiB.
constexpr Index kBlockRows = 1024;
constexpr Index kBlockDoubles = Index{8} << 20;
constexpr int kLadderIterations = 500;

/// c = alpha op(a) op(b) + beta c, column-major.
void multiply(const LinearAlgebra& library, bool transpose_a, bool transpose_b, double alpha, const Matrix& a,
              const Matrix& b, double beta, Matrix& c) {
  if (library.gemm != nullptr) {
    char ta = transpose_a ? 'T' : 'N', tb = transpose_b ? 'T' : 'N';
    int m = static_cast<int>(c.rows()), n = static_cast<int>(c.cols());
    int k = static_cast<int>(transpose_a ? a.rows() : a.cols());
    int lda = std::max(1, static_cast<int>(a.rows())), ldb = std::max(1, static_cast<int>(b.rows()));
    int ldc = std::max(1, m);
    library.gemm(&ta, &tb, &m, &n, &k, &alpha, const_cast<double*>(a.data()), &lda, const_cast<double*>(b.data()), &ldb,
                 &beta, c.data(), &ldc);
    return;
  }
  if (beta == 0) c.setZero();
  if (beta != 0 && beta != 1) c *= beta;
  if (transpose_a && transpose_b) c.noalias() += alpha * a.transpose() * b.transpose();
  if (transpose_a && !transpose_b) c.noalias() += alpha * a.transpose() * b;
  if (!transpose_a && transpose_b) c.noalias() += alpha * a * b.transpose();
  if (!transpose_a && !transpose_b) c.noalias() += alpha * a * b;
}

/// Anderson's acceleration of one node's fixed point x -> x + f(x), x = log g.
class Anderson {
 public:
  explicit Anderson(int history) : history_(history) {}

  Vector next(const Vector& x, const Vector& f) {
    if (!xs_.empty()) {
      steps_.push_back(x - xs_.back());
      changes_.push_back(f - fs_.back());
      if (static_cast<int>(steps_.size()) > history_) {
        steps_.erase(steps_.begin());
        changes_.erase(changes_.begin());
      }
    }
    xs_.assign(1, x);
    fs_.assign(1, f);
    if (steps_.empty()) return x + f;
    Matrix change(x.size(), static_cast<Index>(steps_.size())), step(x.size(), static_cast<Index>(steps_.size()));
    for (std::size_t h = 0; h < steps_.size(); ++h) {
      change.col(static_cast<Index>(h)) = changes_[h];
      step.col(static_cast<Index>(h)) = steps_[h];
    }
    Eigen::ColPivHouseholderQR<Matrix> qr(change);
    qr.setThreshold(1e-10);  // directions that repeat are left out
    return x + f - (step + change) * qr.solve(f);
  }

  void forget() {
    steps_.clear();
    changes_.clear();
    xs_.clear();
    fs_.clear();
  }

 private:
  int history_;
  std::vector<Vector> xs_, fs_, steps_, changes_;
};

/// a b of a matrix with few independent columns: columns are scaled to length 1, singular values below the tolerance
/// dropped.
struct LowRank {
  Matrix left;   // (rows, p)
  Matrix right;  // (p, columns)

  LowRank(const Matrix& matrix, double tolerance) {
    Vector scale = matrix.colwise().norm().transpose();
    for (Index j = 0; j < scale.size(); ++j) scale[j] = scale[j] > 0 ? scale[j] : 1.0;
    const Eigen::BDCSVD<Matrix> svd(matrix * scale.cwiseInverse().asDiagonal(),
                                    Eigen::ComputeThinU | Eigen::ComputeThinV);
    Index rank = 0;
    while (rank < svd.singularValues().size() && svd.singularValues()[rank] > tolerance * svd.singularValues()[0])
      ++rank;
    rank = std::max<Index>(rank, 1);
    left = svd.matrixU().leftCols(rank) * svd.singularValues().head(rank).asDiagonal();
    right = svd.matrixV().leftCols(rank).transpose() * scale.asDiagonal();
  }
};

}  // namespace

/// Pairs i <= j of nodes with what the law needs of them.
struct EmpiricalLaw::Pairs {
  std::vector<Index> first, second;
  Vector weight;      // f_i g_j + f_j g_i off the diagonal, f_i g_i on it
  Matrix root_gamma;  // (D, P) square root of g_i g_j
  Matrix eta;         // (D, P) t_i t_j g_i g_j
};

EmpiricalLaw::EmpiricalLaw(Profiles profiles, const Vector& eigenvalues, double n, Mean mean,
                           const LinearAlgebra& library, const EmpiricalOptions& options)
    : profiles_(std::move(profiles)),
      eigenvalues_(eigenvalues),
      modes_(eigenvalues.size()),
      coordinates_(eigenvalues.size() + (mean == Mean::estimated ? 1 : 0)),
      n_(n),
      library_(library),
      options_(options) {
  detail::require(modes_ > 0 && profiles_.cols() == modes_, "EmpiricalLaw",
                  "profiles must have one column for each eigenvalue; columns", profiles_.cols());
  detail::require(profiles_.rows() > 1, "EmpiricalLaw", "at least two profiles are needed; rows", profiles_.rows());
  detail::require(std::isfinite(n) && n > (mean == Mean::estimated ? 1 : 0), "EmpiricalLaw",
                  "n must be finite and positive, above 1 with estimated mean", n);
  detail::require(profiles_.allFinite(), "EmpiricalLaw", "profiles must be finite; sum", profiles_.sum());
  detail::require(options.max_iterations > 0, "EmpiricalLaw", "max_iterations must be positive",
                  options.max_iterations);
  detail::require(options.tolerance > 0 && options.tolerance < 0.1, "EmpiricalLaw", "tolerance must be in (0, 0.1)",
                  options.tolerance);
}

/// Profiles start … start + count as columns (D, count), squared or not, with the coordinate of the mean last.
void EmpiricalLaw::block(Index start, Index count, Matrix& transposed, bool squared) const {
  transposed.resize(coordinates_, count);
  transposed.topRows(modes_) = profiles_.middleRows(start, count).transpose().cast<double>();
  if (squared) transposed.topRows(modes_) = transposed.topRows(modes_).cwiseAbs2().eval();
  if (has_mean()) transposed.row(modes_).setOnes();
}

/// One step of the fixed point: g (D, N) -> 1/(t + mean_a[z^2 r]).
Matrix EmpiricalLaw::iterate(const Vector& shifts, const Matrix& g, Matrix* leverage) const {
  const Index total = profiles_.rows(), count = shifts.size();
  Matrix sums = Matrix::Zero(coordinates_, count), squares, inverse;
  if (leverage != nullptr) leverage->resize(count, total);
  for (Index start = 0; start < total; start += kBlockRows) {
    const Index rows = std::min(kBlockRows, total - start);
    block(start, rows, squares, true);
    inverse.resize(count, rows);
    multiply(library_, true, false, 1 / n_, g, squares, 0, inverse);
    inverse = (1 + inverse.array()).inverse();
    if (leverage != nullptr) leverage->middleCols(start, rows) = inverse;
    multiply(library_, false, true, 1 / static_cast<double>(total), squares, inverse, 1, sums);
  }
  for (Index i = 0; i < count; ++i) sums.col(i).head(modes_).array() += shifts[i];
  return sums.cwiseInverse();
}

EmpiricalNodes EmpiricalLaw::solve(const Vector& shifts) const {
  const Index count = shifts.size();
  EmpiricalNodes nodes{shifts,
                       Matrix::Zero(coordinates_, count),
                       Matrix::Ones(coordinates_, count),
                       Matrix(count, profiles_.rows()),
                       Eigen::VectorXi::Zero(count),
                       Vector::Zero(count)};
  std::vector<Index> active;
  for (Index i = 0; i < count; ++i) {
    detail::require(shifts[i] > 0, "EmpiricalLaw::solve", "shifts must be positive", shifts[i]);
    if (std::isfinite(shifts[i]))
      active.push_back(i);
    else if (has_mean())
      nodes.resolvent(modes_, i) = n_ / (n_ - 1);  // r = 1 - 1/n for all samples
  }
  std::vector<Anderson> accelerated(static_cast<std::size_t>(count), Anderson(options_.history));
  Matrix x(coordinates_, count);
  for (const Index i : active) {  // the Gaussian law
    const double kappa = solve_kappa(Vector::Constant(1, shifts[i]), Spectrum(eigenvalues_), n_).kappa[0];
    x.col(i).head(modes_) = (kappa / (shifts[i] * (eigenvalues_.array() + kappa))).log();
    if (has_mean()) x(modes_, i) = std::log(std::max(kappa / shifts[i], 1.0));
  }
  Vector best = Vector::Constant(count, std::numeric_limits<double>::infinity());
  for (int step = 0; !active.empty(); ++step) {
    Matrix g(coordinates_, static_cast<Index>(active.size()));
    Vector t(static_cast<Index>(active.size()));
    for (std::size_t a = 0; a < active.size(); ++a) {
      g.col(static_cast<Index>(a)) = x.col(active[a]).array().exp();
      t[static_cast<Index>(a)] = shifts[active[a]];
    }
    const Matrix updated = iterate(t, g, nullptr);
    std::vector<Index> left;
    for (std::size_t a = 0; a < active.size(); ++a) {
      const Index i = active[a];
      const Vector f = updated.col(static_cast<Index>(a)).array().log() - x.col(i).array();
      nodes.residual[i] = f.cwiseAbs().maxCoeff();
      nodes.iterations[i] = step + 1;
      if (nodes.residual[i] <= options_.tolerance) {
        nodes.resolvent.col(i) = updated.col(static_cast<Index>(a));
        continue;
      }
      if (step + 1 >= options_.max_iterations) {
        throw ConvergenceError("EmpiricalLaw: the fixed point at shift " + detail::text(shifts[i]) +
                               " has not converged after " + std::to_string(step + 1) + " iterations, residual " +
                               detail::text(nodes.residual[i]));
      }
      if (nodes.residual[i] > 100 * best[i]) accelerated[static_cast<std::size_t>(i)].forget();
      best[i] = std::min(best[i], nodes.residual[i]);
      x.col(i) = accelerated[static_cast<std::size_t>(i)].next(x.col(i), f);
      left.push_back(i);
    }
    active = std::move(left);
  }
  for (Index i = 0; i < count; ++i) {
    if (std::isfinite(shifts[i])) nodes.remaining.col(i).head(modes_) = shifts[i] * nodes.resolvent.col(i).head(modes_);
  }
  iterate(Vector::Zero(count), nodes.resolvent, &nodes.leverage);
  return nodes;
}

Vector EmpiricalLaw::expectation(const EmpiricalNodes& nodes, const Vector& weights, double constant) const {
  detail::require(weights.size() == nodes.shifts.size(), "EmpiricalLaw::expectation",
                  "weights must have one entry for each node", weights.size());
  return (constant + ((1 - nodes.remaining.topRows(modes_).array()).matrix() * weights).array()).matrix();
}

EmpiricalLaw::Pairs EmpiricalLaw::pairs(const EmpiricalNodes& nodes, const Vector& f, const Vector& g) const {
  const Index count = nodes.shifts.size();
  detail::require(f.size() == count && g.size() == count, "EmpiricalLaw", "weights must have one entry for each node",
                  f.size());
  Pairs pairs;
  std::vector<double> weight;
  for (Index i = 0; i < count; ++i) {
    for (Index j = i; j < count; ++j) {
      const double both = i == j ? f[i] * g[i] : f[i] * g[j] + f[j] * g[i];
      if (both == 0) continue;
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

/// Q_p v_p for every pair p: (D, P) -> (D, P).
Matrix EmpiricalLaw::apply_leverage(const EmpiricalNodes& nodes, const Pairs& pairs, const Matrix& vectors) const {
  const Index total = profiles_.rows(), count = vectors.cols();
  Matrix result = Matrix::Zero(coordinates_, count), squares, inner;
  const Index rows_at_once = std::clamp<Index>(kBlockDoubles / std::max<Index>(1, count), 64, kBlockRows);
  for (Index start = 0; start < total; start += rows_at_once) {
    const Index rows = std::min(rows_at_once, total - start);
    block(start, rows, squares, true);
    inner.resize(rows, count);
    multiply(library_, true, false, 1 / (n_ * static_cast<double>(total)), squares, vectors, 0, inner);
    const Matrix leverage = nodes.leverage.middleCols(start, rows).transpose();
    for (Index p = 0; p < count; ++p) {
      const Index i = pairs.first[static_cast<std::size_t>(p)], j = pairs.second[static_cast<std::size_t>(p)];
      inner.col(p).array() *= leverage.col(i).array() * leverage.col(j).array();
    }
    multiply(library_, false, false, 1, squares, inner, 1, result);
  }
  return result;
}

/// y = (1 - diag(gamma) Q)^-1 right for every pair, by conjugate gradients on the symmetric form: with v = Q y and w =
/// gamma^(1/2) v, (1 - gamma^(1/2) Q gamma^(1/2)) w = gamma^(1/2) Q right, y = right + gamma^(1/2) w.
Matrix EmpiricalLaw::ladder(const EmpiricalNodes& nodes, const Pairs& pairs, Matrix right) const {
  const Matrix product = apply_leverage(nodes, pairs, right);
  Matrix residual = pairs.root_gamma.cwiseProduct(product);
  Matrix solution = Matrix::Zero(right.rows(), right.cols()), direction = residual;
  Eigen::RowVectorXd norm = residual.colwise().squaredNorm();
  const Eigen::RowVectorXd enough = norm * options_.ladder_tolerance * options_.ladder_tolerance;
  for (int step = 0; (norm.array() > enough.array()).any(); ++step) {
    if (step == kLadderIterations) {
      throw ConvergenceError("EmpiricalLaw: the ladder has not converged after " + std::to_string(step) +
                             " iterations");
    }
    const Matrix image = direction - pairs.root_gamma.cwiseProduct(
                                         apply_leverage(nodes, pairs, pairs.root_gamma.cwiseProduct(direction)));
    const Eigen::RowVectorXd curvature = direction.cwiseProduct(image).colwise().sum();
    Eigen::RowVectorXd length(norm.size()), ratio(norm.size());
    for (Index p = 0; p < norm.size(); ++p)
      length[p] = norm[p] > enough[p] && curvature[p] > 0 ? norm[p] / curvature[p] : 0;
    solution += direction * length.asDiagonal();
    residual -= image * length.asDiagonal();
    const Eigen::RowVectorXd before = norm;
    norm = residual.colwise().squaredNorm();
    for (Index p = 0; p < norm.size(); ++p) ratio[p] = before[p] > 0 ? norm[p] / before[p] : 0;
    direction = residual + direction * ratio.asDiagonal();
  }
  return right + pairs.root_gamma.cwiseProduct(solution);
}

Matrix EmpiricalLaw::mode_covariance(const EmpiricalNodes& nodes, const Vector& f, const Vector& g) const {
  const Pairs pair = pairs(nodes, f, g);
  const Index count = pair.weight.size(), total = profiles_.rows();
  // r_i r_j of all pairs in the span of a few vectors: eigenvectors of their Gram matrix, columns scaled to length 1.
  Matrix gram = Matrix::Zero(count, count), products;
  const auto leverage_products = [&](Index start, Index rows) {
    products.resize(rows, count);
    for (Index p = 0; p < count; ++p) {
      const Index i = pair.first[static_cast<std::size_t>(p)], j = pair.second[static_cast<std::size_t>(p)];
      products.col(p) = nodes.leverage.row(i)
                            .segment(start, rows)
                            .cwiseProduct(nodes.leverage.row(j).segment(start, rows))
                            .transpose();
    }
  };
  for (Index start = 0; start < total; start += kBlockRows) {
    leverage_products(start, std::min(kBlockRows, total - start));
    multiply(library_, true, false, 1, products, products, 1, gram);
  }
  const Vector scale = gram.diagonal().cwiseSqrt();
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(scale.cwiseInverse().asDiagonal() * gram *
                                                    scale.cwiseInverse().asDiagonal());
  const double dropped = options_.compression * options_.compression * eigen.eigenvalues()[count - 1];
  Index rank = 1;
  while (rank < count && eigen.eigenvalues()[count - 1 - rank] > dropped) ++rank;
  const Matrix basis = scale.cwiseInverse().asDiagonal() * eigen.eigenvectors().rightCols(rank);  // (P, rank)
  const Matrix back = scale.asDiagonal() * eigen.eigenvectors().rightCols(rank);  // products = span back'

  std::vector<Matrix> forms(static_cast<std::size_t>(rank), Matrix::Zero(coordinates_, coordinates_));
  Matrix squares, scaled, span;
  for (Index start = 0; start < total; start += kBlockRows) {
    const Index rows = std::min(kBlockRows, total - start);
    leverage_products(start, rows);
    span.resize(rows, rank);
    multiply(library_, false, false, 1 / (n_ * static_cast<double>(total)), products, basis, 0, span);
    block(start, rows, squares, true);
    for (Index q = 0; q < rank; ++q) {
      scaled = squares * span.col(q).asDiagonal();
      multiply(library_, false, true, 1, scaled, squares, 1, forms[static_cast<std::size_t>(q)]);
    }
  }
  Matrix covariance = Matrix::Zero(modes_, modes_);
  for (Index p = 0; p < count; ++p) {
    Matrix q = Matrix::Zero(coordinates_, coordinates_);
    for (Index r = 0; r < rank; ++r) q += back(p, r) * forms[static_cast<std::size_t>(r)];
    const Vector root = pair.root_gamma.col(p);
    q = root.asDiagonal() * q * root.asDiagonal();
    const Vector direct = q.diagonal().head(modes_);
    const Eigen::LLT<Matrix> factor(Matrix::Identity(coordinates_, coordinates_) - q);
    if (factor.info() != Eigen::Success) {
      throw ConvergenceError("EmpiricalLaw: the ladder does not converge at shifts " +
                             detail::text(nodes.shifts[pair.first[static_cast<std::size_t>(p)]]) + " and " +
                             detail::text(nodes.shifts[pair.second[static_cast<std::size_t>(p)]]));
    }
    Matrix inverse = factor.solve(q).topLeftCorner(modes_, modes_);  // (1 - B)^-1 B
    inverse.diagonal() += inverse.diagonal() - direct;               // exchange: what the ladder adds
    const Vector outer = pair.eta.col(p).head(modes_).cwiseSqrt();
    covariance += pair.weight[p] * (outer.asDiagonal() * inverse * outer.asDiagonal());
  }
  const Matrix h = nodes.remaining.topRows(modes_), shrink = h.cwiseProduct(Matrix::Ones(h.rows(), h.cols()) - h);
  covariance.diagonal() -= (shrink * f).cwiseProduct(shrink * g) / n_;
  return covariance;
}

Matrix EmpiricalLaw::output_covariance(const EmpiricalNodes& nodes, const Vector& f, const Vector& g, const Matrix& x,
                                       const Matrix& y, const Matrix& groups) const {
  detail::require(x.cols() == modes_ && y.cols() == modes_ && x.rows() == y.rows(), "EmpiricalLaw::output_covariance",
                  "inputs must have one row each and one column for each mode; columns", x.cols());
  detail::require(groups.rows() == modes_, "EmpiricalLaw::output_covariance", "groups must have one row for each mode",
                  groups.rows());
  const Pairs pair = pairs(nodes, f, g);
  const Index inputs = x.rows(), total = profiles_.rows(), count = nodes.shifts.size(), pair_count = pair.weight.size();
  std::vector<Matrix> ladders;
  for (Index k = 0; k < groups.cols(); ++k) {
    Matrix right = Matrix::Zero(coordinates_, pair_count);
    right.topRows(modes_) = groups.col(k).asDiagonal() * pair.eta.topRows(modes_);
    ladders.push_back(ladder(nodes, pair, std::move(right)));
  }
  const LowRank resolvent(nodes.resolvent, options_.compression);
  const LowRank outer_f(nodes.remaining.topRows(modes_) * f.asDiagonal(), options_.compression);
  const LowRank outer_g(nodes.remaining.topRows(modes_) * g.asDiagonal(), options_.compression);
  const Index rank = resolvent.left.cols();
  const bool same = x == y && f == g;
  const auto expand =
      [&](const Matrix& in) {  // (D, rank B): left columns times inputs, the mean's coordinate with input 1
        Matrix out(coordinates_, rank * inputs);
        for (Index b = 0; b < inputs; ++b) {
          out.middleCols(b * rank, rank) = resolvent.left;
          out.middleCols(b * rank, rank).topRows(modes_).array().colwise() *= in.row(b).transpose().array();
        }
        return out;
      };
  const Matrix wide_x = expand(x), wide_y = same ? Matrix() : expand(y);
  const Index rank_f = outer_f.left.cols(), rank_g = outer_g.left.cols();
  Matrix result = Matrix::Zero(inputs, groups.cols());
  Matrix sums_f = Matrix::Zero(coordinates_, rank_f * inputs),
         sums_g = Matrix::Zero(coordinates_, same ? 0 : rank_g * inputs);
  Matrix samples, squares, ux, uy, inner_f, inner_g;
  std::vector<Matrix> ladder_products(ladders.size());
  const Index rows_at_once = std::max<Index>(16, std::min(kBlockRows, kBlockDoubles / (rank * inputs)));
  for (Index start = 0; start < total; start += rows_at_once) {
    const Index rows = std::min(rows_at_once, total - start);
    block(start, rows, samples, false);
    block(start, rows, squares, true);
    ux.resize(rank * inputs, rows);
    multiply(library_, true, false, 1, wide_x, samples, 0, ux);
    if (!same) {
      uy.resize(rank * inputs, rows);
      multiply(library_, true, false, 1, wide_y, samples, 0, uy);
    }
    for (std::size_t k = 0; k < ladders.size(); ++k) {
      ladder_products[k].resize(pair_count, rows);
      multiply(library_, true, false, 1, ladders[k], squares, 0, ladder_products[k]);
    }
    inner_f.resize(rank_f * inputs, rows);
    if (!same) inner_g.resize(rank_g * inputs, rows);
    for (Index a = 0; a < rows; ++a) {
      const Vector r = nodes.leverage.col(start + a);
      const Eigen::Map<const Matrix> u(ux.col(a).data(), rank, inputs);
      const Eigen::Map<const Matrix> v(same ? ux.col(a).data() : uy.col(a).data(), rank, inputs);
      for (std::size_t k = 0; k < ladders.size(); ++k) {
        Matrix form = Matrix::Zero(count, count);
        for (Index p = 0; p < pair_count; ++p) {
          const Index i = pair.first[static_cast<std::size_t>(p)], j = pair.second[static_cast<std::size_t>(p)];
          const double value = ladder_products[k](p, a) * r[i] * r[j];
          form(i, j) = f[i] * g[j] * value;
          form(j, i) = f[j] * g[i] * value;
        }
        const Matrix small = resolvent.right * form * resolvent.right.transpose();
        result.col(static_cast<Index>(k)) += (small.transpose() * u).cwiseProduct(v).colwise().sum().transpose();
      }
      const Matrix weighted = r.asDiagonal() * resolvent.right.transpose();
      Eigen::Map<Matrix>(inner_f.col(a).data(), rank_f, inputs).noalias() = (outer_f.right * weighted) * u;
      if (!same) Eigen::Map<Matrix>(inner_g.col(a).data(), rank_g, inputs).noalias() = (outer_g.right * weighted) * v;
    }
    multiply(library_, false, true, 1 / static_cast<double>(total), samples, inner_f, 1, sums_f);
    if (!same) multiply(library_, false, true, 1 / static_cast<double>(total), samples, inner_g, 1, sums_g);
  }
  result /= n_ * static_cast<double>(total);
  const auto contract = [&](const Matrix& sums, const LowRank& outer) {  // (modes, B)
    Matrix out(modes_, inputs);
    const Index rank_of = outer.left.cols();
    for (Index b = 0; b < inputs; ++b) {
      out.col(b) = outer.left.cwiseProduct(sums.middleCols(b * rank_of, rank_of).topRows(modes_)).rowwise().sum();
    }
    return out;
  };
  const Matrix first = contract(sums_f, outer_f), second = same ? first : contract(sums_g, outer_g);
  result -= first.cwiseProduct(second).transpose() * groups / n_;
  return result;
}

/// u_i = sum_l g_l(t_i) z_l x_l of every profile, (N, M); the mean's coordinate has input 1.
Matrix EmpiricalLaw::projections(const EmpiricalNodes& nodes, const Vector& x) const {
  detail::require(x.size() == modes_, "EmpiricalLaw", "an input must have one entry for each mode", x.size());
  Matrix weighted = nodes.resolvent, samples, result(nodes.shifts.size(), profiles_.rows()), part;
  weighted.topRows(modes_) = x.asDiagonal() * weighted.topRows(modes_);
  for (Index start = 0; start < profiles_.rows(); start += kBlockRows) {
    const Index rows = std::min(kBlockRows, profiles_.rows() - start);
    block(start, rows, samples, false);
    part.resize(result.rows(), rows);
    multiply(library_, true, false, 1, weighted, samples, 0, part);
    result.middleCols(start, rows) = part;
  }
  return result;
}

Matrix EmpiricalLaw::influence(const EmpiricalNodes& nodes, const Vector& f, const Vector& x) const {
  detail::require(f.size() == nodes.shifts.size(), "EmpiricalLaw::influence",
                  "weights must have one entry for each node", f.size());
  const Matrix weighted = f.asDiagonal() * nodes.leverage.cwiseProduct(projections(nodes, x));  // (N, M)
  const Matrix outer = nodes.remaining.topRows(modes_);
  Matrix result(profiles_.rows(), modes_);
  multiply(library_, true, true, 1, weighted, outer, 0, result);
  return result.cwiseProduct(profiles_.cast<double>());
}

Vector EmpiricalLaw::ladder_covariance(const EmpiricalNodes& nodes, const Vector& f, const Vector& g, const Vector& x,
                                       const Vector& y) const {
  const Pairs pair = pairs(nodes, f, g);
  const Index count = pair.weight.size(), total = profiles_.rows();
  const Matrix u = nodes.leverage.cwiseProduct(projections(nodes, x));
  const Matrix v = x == y ? u : Matrix(nodes.leverage.cwiseProduct(projections(nodes, y)));
  Matrix right = Matrix::Zero(coordinates_, count), squares, products;
  for (Index start = 0; start < total; start += kBlockRows) {
    const Index rows = std::min(kBlockRows, total - start);
    const Matrix from = u.middleCols(start, rows).transpose(), to = v.middleCols(start, rows).transpose();
    products.resize(rows, count);
    for (Index p = 0; p < count; ++p) {
      const Index i = pair.first[static_cast<std::size_t>(p)], j = pair.second[static_cast<std::size_t>(p)];
      products.col(p) = f[i] * g[j] * from.col(i).cwiseProduct(to.col(j));
      if (i != j) products.col(p) += f[j] * g[i] * from.col(j).cwiseProduct(to.col(i));
    }
    block(start, rows, squares, true);
    multiply(library_, false, false, 1 / (n_ * static_cast<double>(total)), squares, products, 1, right);
  }
  right = right.cwiseProduct(pair.root_gamma).cwiseProduct(pair.root_gamma);
  const Matrix added = apply_leverage(nodes, pair, ladder(nodes, pair, std::move(right)));
  return pair.eta.cwiseProduct(added).topRows(modes_).rowwise().sum();
}

}  // namespace kappaflow
