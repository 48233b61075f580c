#include <algorithm>
#include <vector>

#include "checks.hpp"
#include "empirical_detail.hpp"
#include "kappaflow/empirical.hpp"
#include "kappaflow/errors.hpp"

namespace kappaflow {

using detail::LowRank;
using detail::multiply;
using Index = Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

namespace {

/// Number of inputs whose projections are held at once, and of groups whose ladders are. The memory beside the profiles
/// is then about half of that of 20 000 profiles of 768 modes. Larger products are not faster.
constexpr Index kInputsAtOnce = 64;
constexpr Index kGroupsAtOnce = 8;

/// Coordinates whose importance is below this part of the largest one are given this part of it. This keeps the weights
/// of the compression within the range of the singular values of its matrix.
constexpr double kLeastImportance = 1e-8;

}  // namespace

/// One pass over the profiles for given inputs, theory.md (46) and (47). Projections u_i = sum_l g_l(t_i) z_l x_l of a
/// sample are represented in the span of a few (rank) combinations of nodes: u = resolvent.right' w for w (rank). A
/// sample then has one small matrix
///   [S_1; ...; S_K; C],   second moments w' S_k w of group k,   influence C w on the outputs in the span of outer,
/// which meets the inputs in one product.
struct EmpiricalLaw::Outputs {
  const EmpiricalLaw& law;
  const EmpiricalNodes& nodes;
  const Pairs& pair;
  const Vector &f, &g;
  const Matrix &x, &y;
  const bool same;
  LowRank resolvent, outer_f, outer_g;
  Matrix second;          // (B, K) sums over profiles
  Matrix mean_f, mean_g;  // (modes, B) sums over profiles, by the first pass
  bool means = true;      // whether this pass takes them

  Outputs(const EmpiricalLaw& of, const EmpiricalNodes& solved, const Pairs& pairs, const Vector& first,
          const Vector& other, const Matrix& inputs, const Matrix& others)
      : law(of),
        nodes(solved),
        pair(pairs),
        f(first),
        g(other),
        x(inputs),
        y(others),
        same(inputs == others && first == other),
        resolvent(solved.resolvent, of.options_.compression, of.typical_terms(inputs, others)),
        outer_f(weighted_outer(of, solved, first)),
        outer_g(weighted_outer(of, solved, other)) {}

  /// t g of all nodes times weights; every output mode to the same relative error.
  static LowRank weighted_outer(const EmpiricalLaw& law, const EmpiricalNodes& nodes, const Vector& weights) {
    const Matrix outer = nodes.remaining.topRows(law.modes_) * weights.asDiagonal();
    const Vector largest = outer.rowwise().lpNorm<Eigen::Infinity>();
    return {outer, law.options_.compression, (largest.array() > 0).select(largest.cwiseInverse(), 1.0)};
  }

  Index rank() const { return resolvent.left.cols(); }

  /// Columns of the resolvent's span times inputs start … start + count: (D, rank count), the mean's input is 1.
  Matrix expand(const Matrix& inputs, Index start, Index count) const {
    Matrix wide(law.coordinates_, rank() * count);
    for (Index b = 0; b < count; ++b) {
      wide.middleCols(b * rank(), rank()) = resolvent.left;
      wide.middleCols(b * rank(), rank()).topRows(law.modes_).array().colwise() *=
          inputs.row(start + b).transpose().array();
    }
    return wide;
  }

  /// Numbers in the small matrix of a group with this many rows, for K groups of outputs: (K m rank + m outer, m rank).
  Index height(Index members, Index groups, const LowRank& outer) const {
    return members * (groups * rank() + outer.left.cols());
  }

  /// The small matrices of the groups of a block, one after the other, for ladder products (P, pairs) of each group of
  /// outputs.
  std::vector<double> small(const std::vector<Matrix>& ladder_products, const LowRank& outer, const Block& part) const {
    const Index groups = static_cast<Index>(ladder_products.size());
    Index length = 0;
    for (Index group = part.group; group < part.group + part.groups; ++group)
      length += height(law.members(group), groups, outer) * law.members(group) * rank();
    std::vector<double> result(static_cast<std::size_t>(length));
    double* place = result.data();
    for (Index group = part.group; group < part.group + part.groups; ++group) {
      const Index members = law.members(group), rows = height(members, groups, outer);
      Eigen::Map<Matrix> matrix(place, rows, members * rank());
      if (members == 1)
        fill_single(ladder_products, outer, part, group, matrix);
      else
        fill_group(ladder_products, outer, part, group, matrix);
      place += matrix.size();
    }
    return result;
  }

  void fill_single(const std::vector<Matrix>& ladder_products, const LowRank& outer, const Block& part, Index group,
                   Eigen::Map<Matrix>& matrix) const {
    const Index groups = static_cast<Index>(ladder_products.size()), count = nodes.shifts.size();
    const Index column = law.first_pair_[static_cast<std::size_t>(group)];
    const Vector r = nodes.leverage.col(column);
    Matrix form = Matrix::Zero(count, count);
    for (Index k = 0; k < groups; ++k) {
      const double* product = ladder_products[static_cast<std::size_t>(k)].col(column - part.pair).data();
      for (Index p = 0; p < pair.size(); ++p) {
        const Index i = pair.i(p), j = pair.j(p);
        const double value = product[p] * r[i] * r[j];
        form(i, j) = f[j] * g[i] * value;
        form(j, i) = f[i] * g[j] * value;
      }
      matrix.middleRows(k * rank(), rank()).noalias() = resolvent.right * form * resolvent.right.transpose();
    }
    matrix.bottomRows(outer.left.cols()).noalias() = outer.right * r.asDiagonal() * resolvent.right.transpose();
  }

  /// Rows and columns (member, element of the span): with H_ij = Z diag(ladder) Z', the sum over nodes of R_i H_ij R_j.
  void fill_group(const std::vector<Matrix>& ladder_products, const LowRank& outer, const Block& part, Index group,
                  Eigen::Map<Matrix>& matrix) const {
    const Index groups = static_cast<Index>(ladder_products.size()), count = nodes.shifts.size();
    const Index size = law.members(group), column = law.first_pair_[static_cast<std::size_t>(group)];
    const Index entries = size * size, width = outer.left.cols(), last = groups * size * rank();
    std::vector<Matrix> r;
    for (Index i = 0; i < count; ++i)
      r.push_back(unpacked(nodes.leverage.col(column).data() + i, nodes.leverage.rows(), size));
    // Columns (j, b, a): one product with the span for the nodes i, and one for the nodes j.
    Matrix forms = Matrix::Zero(count, entries * count), half(rank(), entries * count), whole(rank() * entries, rank());
    for (Index k = 0; k < groups; ++k) {
      const double* product = ladder_products[static_cast<std::size_t>(k)].col(column - part.pair).data();
      switch (size) {
        case 2:
          fill_forms<2>(r, product, size, forms);
          break;
        case 3:
          fill_forms<3>(r, product, size, forms);
          break;
        case 4:
          fill_forms<4>(r, product, size, forms);
          break;
        case 5:
          fill_forms<5>(r, product, size, forms);
          break;
        case 6:
          fill_forms<6>(r, product, size, forms);
          break;
        case 7:
          fill_forms<7>(r, product, size, forms);
          break;
        case 8:
          fill_forms<8>(r, product, size, forms);
          break;
        default:
          fill_forms<Eigen::Dynamic>(r, product, size, forms);
      }
      multiply(law.library_, false, false, 1, resolvent.right, forms, 0, half);
      multiply(law.library_, false, true, 1, Eigen::Map<const Matrix>(half.data(), rank() * entries, count),
               resolvent.right, 0, whole);
      for (Index a = 0; a < size; ++a) {
        for (Index b = 0; b < size; ++b) {
          matrix.block((k * size + a) * rank(), b * rank(), rank(), rank()) =
              whole.middleRows((b * size + a) * rank(), rank());
        }
      }
    }
    Vector entry(count);
    for (Index a = 0; a < size; ++a) {
      for (Index b = 0; b < size; ++b) {
        for (Index i = 0; i < count; ++i) entry[i] = r[static_cast<std::size_t>(i)](a, b);
        matrix.block(last + a * width, b * rank(), width, rank()).noalias() =
            outer.right * entry.asDiagonal() * resolvent.right.transpose();
      }
    }
  }

  /// (i; j, b, a): f_j g_i (R_i H_ij R_j)_ab, and the transpose for the nodes the other way round.
  template <int Size>
  void fill_forms(const std::vector<Matrix>& leverage, const double* product, Index size, Matrix& forms) const {
    using Small = Eigen::Matrix<double, Size, Size>;
    const std::vector<Small> r(leverage.begin(), leverage.end());
    Small h(size, size), value(size, size), half(size, size);
    for (Index p = 0; p < pair.size(); ++p) {
      const Index i = pair.i(p), j = pair.j(p);
      const double* place = product + p;
      for (Index b = 0; b < size; ++b) {
        for (Index a = 0; a <= b; ++a, place += pair.size()) h(a, b) = h(b, a) = *place;
      }
      half.noalias() = r[static_cast<std::size_t>(i)] * h;
      value.noalias() = half * r[static_cast<std::size_t>(j)];
      double *there = &forms(i, j * size * size), *back = &forms(j, i * size * size);
      const double from = f[j] * g[i], to = f[i] * g[j];
      const Index stride = forms.rows();
      for (Index b = 0; b < size; ++b) {
        for (Index a = 0; a < size; ++a, there += stride, back += stride) {
          *there = from * value(a, b);
          *back = to * value(b, a);
        }
      }
    }
  }

  /// Adds mean_a sums of influences (outer count, rows) to (modes, B).
  void add_means(const Matrix& samples, const Matrix& influences, const LowRank& outer, Index start, Index count,
                 Matrix& mean) const {
    Matrix sums(law.coordinates_, influences.rows());
    multiply(law.library_, false, true, 1, samples, influences, 0, sums);
    const Index width = outer.left.cols();
    for (Index b = 0; b < count; ++b) {
      mean.col(start + b) +=
          outer.left.cwiseProduct(sums.middleCols(b * width, width).topRows(law.modes_)).rowwise().sum();
    }
  }

  /// Projections (m rank, count) of the members first … first + m from those of all rows of a block, in `scratch`
  /// unless they are there already.
  Eigen::Map<const Matrix> stacked(const Matrix& u, Index first, Index members, Index count, Matrix& scratch) const {
    if (members == 1) return {u.col(first).data(), rank(), count};
    scratch.resize(members * rank(), count);
    for (Index a = 0; a < members; ++a)
      scratch.middleRows(a * rank(), rank()) = Eigen::Map<const Matrix>(u.col(first + a).data(), rank(), count);
    return {scratch.data(), scratch.rows(), count};
  }

  /// Products of one batch of inputs with one block of profiles.
  void add(const Block& part, const Matrix& samples, const std::vector<double>& small_f,
           const std::vector<double>& small_g, Index start, Index count) {
    const Index rows = samples.cols(), width_f = outer_f.left.cols(), width_g = outer_g.left.cols();
    const Index groups = second.cols();
    Matrix u(rank() * count, rows), v, influences_f(width_f * count, rows), influences_g, image, stacked_u, stacked_v;
    multiply(law.library_, true, false, 1, expand(x, start, count), samples, 0, u);
    if (!same) {
      v.resize(rank() * count, rows);
      multiply(law.library_, true, false, 1, expand(y, start, count), samples, 0, v);
      influences_g.resize(width_g * count, rows);
    }
    const auto influences = [&](Index first, Index members, Index width, Matrix& all) {
      for (Index a = 0; a < members; ++a) {
        Eigen::Map<Matrix>(all.col(first + a).data(), width, count) =
            image.bottomRows(members * width).middleRows(a * width, width);
      }
    };
    const double *place_f = small_f.data(), *place_g = small_g.data();
    for (Index group = part.group; group < part.group + part.groups; ++group) {
      const Index members = law.members(group), first = law.first_row_[static_cast<std::size_t>(group)] - part.row;
      const Index inner = members * rank(), high_f = height(members, groups, outer_f);
      const Eigen::Map<const Matrix> from = stacked(u, first, members, count, stacked_u);
      const Eigen::Map<const Matrix> to = same ? from : stacked(v, first, members, count, stacked_v);
      image.resize(high_f, count);
      multiply(law.library_, false, false, 1, Eigen::Map<const Matrix>(place_f, high_f, inner), from, 0, image);
      place_f += high_f * inner;
      for (Index k = 0; k < groups; ++k) {
        second.col(k).segment(start, count) +=
            image.middleRows(k * inner, inner).cwiseProduct(to).colwise().sum().transpose();
      }
      influences(first, members, width_f, influences_f);
      if (same) continue;
      const Index high_g = height(members, 0, outer_g);
      image.resize(high_g, count);
      multiply(law.library_, false, false, 1, Eigen::Map<const Matrix>(place_g, high_g, inner), to, 0, image);
      place_g += high_g * inner;
      influences(first, members, width_g, influences_g);
    }
    if (means) add_means(samples, influences_f, outer_f, start, count, mean_f);
    if (means && !same) add_means(samples, influences_g, outer_g, start, count, mean_g);
  }

  /// Sums over all profiles for the groups of these ladders.
  void run(const std::vector<Matrix>& ladders) {
    second = Matrix::Zero(x.rows(), static_cast<Index>(ladders.size()));
    means = mean_f.size() == 0;
    if (means) {
      mean_f = Matrix::Zero(law.modes_, x.rows());
      mean_g = Matrix::Zero(same ? 0 : law.modes_, same ? 0 : y.rows());
    }
    Matrix samples, squares;
    std::vector<Matrix> products(ladders.size());
    for (const Block& part : law.blocks_) {
      law.products(part, squares);
      for (std::size_t k = 0; k < ladders.size(); ++k) {
        products[k].resize(pair.size(), part.pairs);
        multiply(law.library_, true, false, 1, ladders[k], squares, 0, products[k]);
      }
      const std::vector<double> small_f = small(products, outer_f, part);
      const std::vector<double> small_g = same ? std::vector<double>() : small({}, outer_g, part);
      law.rows(part, samples);
      for (Index b = 0; b < x.rows(); b += kInputsAtOnce)
        add(part, samples, small_f, small_g, b, std::min(kInputsAtOnce, x.rows() - b));
    }
  }
};

/// Size of the terms z_l x_l by which an error in the resolvent of coordinate l is multiplied, above 0. Without it,
/// strong modes, whose resolvent is small, would be lost beside the weak ones, and, for large inputs, all modes beside
/// the mean.
Vector EmpiricalLaw::typical_terms(const Matrix& x, const Matrix& y) const {
  Vector size = Vector::Ones(coordinates_);
  const Vector square = (x.cwiseAbs2().colwise().mean() + y.cwiseAbs2().colwise().mean()).transpose();
  size.head(modes_) = eigenvalues_.cwiseMax(0).cwiseProduct(square).cwiseSqrt();
  const double largest = size.maxCoeff();
  return largest > 0 ? Vector(size.cwiseMax(kLeastImportance * largest)) : Vector::Ones(coordinates_);
}

Matrix EmpiricalLaw::output_covariance(const EmpiricalNodes& nodes, const Vector& f, const Vector& g, const Matrix& x,
                                       const Matrix& y, const Matrix& groups) const {
  constexpr const char* here = "EmpiricalLaw::output_covariance";
  require_own(here, nodes);
  detail::require(x.cols() == modes_, here, "x must have one column for each mode", detail::shape(x));
  detail::require(y.cols() == modes_, here, "y must have one column for each mode", detail::shape(y));
  detail::require(y.rows() == x.rows(), here, "y must have as many rows as x", detail::shape(y));
  detail::require(groups.rows() == modes_, here, "groups must have one row for each mode", detail::shape(groups));
  const Pairs pair = pairs(nodes, f, g);
  if (x.rows() == 0) return Matrix::Zero(0, groups.cols());
  Outputs outputs(*this, nodes, pair, f, g, x, y);
  const double total = images_;
  Matrix result(x.rows(), groups.cols());
  for (Index first = 0; first < groups.cols(); first += kGroupsAtOnce) {
    const Index count = std::min(kGroupsAtOnce, groups.cols() - first);
    std::vector<Matrix> ladders;
    for (Index k = first; k < first + count; ++k) {
      Matrix right = Matrix::Zero(coordinates_, pair.size());
      right.topRows(modes_) = groups.col(k).asDiagonal() * pair.eta.topRows(modes_);
      ladders.push_back(ladder(nodes, pair, std::move(right)));
    }
    outputs.run(ladders);
    const Matrix& other = outputs.same ? outputs.mean_f : outputs.mean_g;
    result.middleCols(first, count) = outputs.second / total;
    result.middleCols(first, count) -= (outputs.mean_f.cwiseProduct(other) * mean_size_ / (total * total)).transpose() *
                                       groups.middleCols(first, count);
  }
  return result / n_;
}

/// u_i = sum_l g_l(t_i) z_l x_l of every profile, (N, M); the mean's coordinate has input 1.
Matrix EmpiricalLaw::projections(const EmpiricalNodes& nodes, const Vector& x) const {
  Matrix weighted = nodes.resolvent, samples, result(nodes.shifts.size(), profiles_.rows()), part;
  weighted.topRows(modes_) = x.asDiagonal() * weighted.topRows(modes_);
  for (const Block& block : blocks_) {
    rows(block, samples);
    part.resize(result.rows(), block.rows);
    multiply(library_, true, false, 1, weighted, samples, 0, part);
    result.middleCols(block.row, block.rows) = part;
  }
  return result;
}

Matrix EmpiricalLaw::influence(const EmpiricalNodes& nodes, const Vector& f, const Vector& x) const {
  require_own("EmpiricalLaw::influence", nodes);
  detail::require(f.size() == nodes.shifts.size(), "EmpiricalLaw::influence", "f must have one entry for each node",
                  f.size());
  detail::require(x.size() == modes_, "EmpiricalLaw::influence", "x must have one entry for each mode", x.size());
  const Matrix weighted = f.asDiagonal() * respond(nodes, projections(nodes, x));  // (N, M)
  const Matrix outer = nodes.remaining.topRows(modes_);
  Matrix result(profiles_.rows(), modes_);
  multiply(library_, true, true, 1, weighted, outer, 0, result);
  result = result.cwiseProduct(profiles_.cast<double>());
  if (!grouped()) return result;
  Matrix sums(groups(), modes_);
  for (Index group = 0; group < groups(); ++group)
    sums.row(group) = result.middleRows(first_row_[static_cast<std::size_t>(group)], members(group)).colwise().sum();
  return sums;
}

}  // namespace kappaflow
