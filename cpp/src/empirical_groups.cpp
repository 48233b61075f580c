#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "checks.hpp"
#include "empirical_detail.hpp"
#include "kappaflow/empirical.hpp"

namespace kappaflow {

using detail::kBlockRows;
using Index = Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

namespace {

/// Squared size of a row, as a part of the largest in its group, below which it is a rounding error of single
/// precision: the group has fewer directions than members, as with copies.
constexpr double kNoRow = 1e-13;

Index pairs_of(Index members) { return members * (members + 1) / 2; }

/// For each (symmetric) H of columns of `inner`, H -> R_i H R_j + its transpose off the diagonal, in pairs a <= b.
template <int Size>
void sandwich_group(const std::vector<Matrix>& leverage, Index size, const std::vector<Index>& first,
                    const std::vector<Index>& second, Index pair, Matrix& inner) {
  using Small = Eigen::Matrix<double, Size, Size>;
  Small h(size, size), half(size, size), both(size, size);
  std::vector<Small> r(leverage.begin(), leverage.end());
  for (Index c = 0; c < inner.cols(); ++c) {
    double* place = inner.col(c).data() + pair;
    const double* read = place;
    for (Index b = 0; b < size; ++b) {
      for (Index a = 0; a <= b; ++a) h(a, b) = h(b, a) = *read++;
    }
    half.noalias() = r[static_cast<std::size_t>(first[static_cast<std::size_t>(c)])] * h;
    both.noalias() = half * r[static_cast<std::size_t>(second[static_cast<std::size_t>(c)])];
    for (Index b = 0; b < size; ++b) {
      for (Index a = 0; a < b; ++a) *place++ = both(a, b) + both(b, a);
      *place++ = both(b, b);
    }
  }
}

}  // namespace

/// Sets the groups, the rows of each and the blocks in which they are processed.
void EmpiricalLaw::arrange(std::vector<Index> first_row) {
  constexpr const char* here = "EmpiricalLaw";
  const Index total = profiles_.rows();
  ones_ = Vector::Ones(total);
  if (first_row.empty()) {
    first_row.resize(static_cast<std::size_t>(total) + 1);
    std::iota(first_row.begin(), first_row.end(), Index{0});
  }
  detail::require(first_row.size() > 2, here, "groups must hold at least two groups", first_row.size() - 1);
  detail::require(first_row.front() == 0, here, "groups must begin with 0", first_row.front());
  detail::require(first_row.back() == total, here, "groups must end with the number of profiles", first_row.back());
  for (std::size_t group = 1; group < first_row.size(); ++group)
    detail::require(first_row[group] > first_row[group - 1], here, "groups must be ascending", first_row[group]);
  mean_size_ = static_cast<double>(total) / static_cast<double>(first_row.size() - 1);
  if (grouped()) reduce_groups(first_row);
  first_row_ = std::move(first_row);
  first_pair_.assign(1, 0);
  for (Index group = 0; group < groups(); ++group) first_pair_.push_back(first_pair_.back() + pairs_of(members(group)));
  for (Index group = 0; group < groups(); ++group) {
    const Index pairs = pairs_of(members(group));
    if (blocks_.empty() || blocks_.back().pairs + pairs > kBlockRows) {
      const auto at = static_cast<std::size_t>(group);
      blocks_.push_back({group, 0, first_row_[at], 0, first_pair_[at], 0});
    }
    blocks_.back().groups += 1;
    blocks_.back().rows += members(group);
    blocks_.back().pairs += pairs;
  }
}

/// Replaces the rows of groups that span fewer directions than they have rows by as many orthogonal ones: only Z'Z of a
/// group, with the coordinate of the mean, matters. Groups of more rows than coordinates are among them.
void EmpiricalLaw::reduce_groups(std::vector<Index>& first_row) {
  Profiles kept(profiles_.rows(), modes_);
  Vector ones(profiles_.rows());
  std::vector<Index> first(1, 0);
  for (std::size_t group = 0; group + 1 < first_row.size(); ++group) {
    const Index start = first_row[group], size = first_row[group + 1] - start, place = first.back();
    Matrix rows = Matrix::Ones(size, coordinates_);
    rows.leftCols(modes_) = profiles_.middleRows(start, size).cast<double>();
    if (size > coordinates_) {
      rows = Eigen::HouseholderQR<Matrix>(rows)
                 .matrixQR()
                 .topRows(coordinates_)
                 .triangularView<Eigen::Upper>()
                 .toDenseMatrix()
                 .eval();
    }
    Index rank = rows.rows();
    if (size > 1) {
      const Eigen::SelfAdjointEigenSolver<Matrix> eigen(rows * rows.transpose());
      const Vector& values = eigen.eigenvalues();
      rank = std::max<Index>(1, (values.array() > kNoRow * values[values.size() - 1]).count());
      if (rank < rows.rows()) rows = (eigen.eigenvectors().rightCols(rank).transpose() * rows).eval();
    }
    if (rank == size) {
      kept.middleRows(place, rank) = profiles_.middleRows(start, size);
      ones.segment(place, rank).setOnes();
    } else {
      kept.middleRows(place, rank) = rows.leftCols(modes_).cast<float>();
      ones.segment(place, rank) = has_mean() ? Vector(rows.col(modes_)) : Vector::Ones(rank);
    }
    first.push_back(place + rank);
  }
  if (first.back() < profiles_.rows()) {
    profiles_ = Profiles(kept.topRows(first.back()));
    ones_ = ones.head(first.back()).eval();
  }
  first_row = std::move(first);
}

/// The rows of a block as columns (D, rows), with the coordinate of the mean last.
void EmpiricalLaw::rows(const Block& part, Matrix& transposed) const {
  transposed.resize(coordinates_, part.rows);
  transposed.topRows(modes_) = profiles_.middleRows(part.row, part.rows).transpose().cast<double>();
  if (has_mean()) transposed.row(modes_) = ones_.segment(part.row, part.rows).transpose();
}

/// Products of the members a <= b of each group of a block as columns (D, pairs): squares of profiles without groups.
void EmpiricalLaw::products(const Block& part, Matrix& transposed) const {
  if (part.pairs == part.groups) {
    transposed.resize(coordinates_, part.rows);
    transposed.topRows(modes_) = profiles_.middleRows(part.row, part.rows).transpose().cast<double>().cwiseAbs2();
    if (has_mean()) transposed.row(modes_) = ones_.segment(part.row, part.rows).cwiseAbs2().transpose();
    return;
  }
  Matrix samples;
  rows(part, samples);
  transposed.resize(coordinates_, part.pairs);
  Index column = 0;
  for (Index group = part.group; group < part.group + part.groups; ++group) {
    const Index first = first_row_[static_cast<std::size_t>(group)] - part.row;
    for (Index b = 0; b < members(group); ++b) {
      for (Index a = 0; a <= b; ++a)
        transposed.col(column++) = samples.col(first + a).cwiseProduct(samples.col(first + b));
    }
  }
}

/// Doubles the columns of pairs a < b, which stand for (b, a) as well.
void EmpiricalLaw::double_mixed(const Block& part, Matrix& by_pair) const {
  if (part.pairs == part.groups) return;
  Index column = 0;
  for (Index group = part.group; group < part.group + part.groups; ++group) {
    for (Index b = 0; b < members(group); ++b) {
      for (Index a = 0; a < b; ++a) by_pair.col(column++) *= 2;
      ++column;
    }
  }
}

/// Sums over the members a, b of each group, (K, groups), of a symmetric quantity of its pairs a <= b, (K, pairs).
Matrix EmpiricalLaw::sum_groups(const Block& part, const Matrix& by_pair) const {
  if (part.pairs == part.groups) return by_pair;
  Matrix result = Matrix::Zero(by_pair.rows(), part.groups);
  Index column = 0;
  for (Index group = 0; group < part.groups; ++group) {
    for (Index b = 0; b < members(part.group + group); ++b) {
      for (Index a = 0; a < b; ++a) result.col(group) += 2 * by_pair.col(column++);
      result.col(group) += by_pair.col(column++);
    }
  }
  return result;
}

/// The inverse of 1 + `gram` of each group and node, (N, pairs) in place, by sweeps over the members for all nodes at
/// once. Eigenvalues are at least 1, so no pivoting is needed.
void EmpiricalLaw::invert(const Block& part, Matrix& gram) const {
  if (part.pairs == part.groups) {
    gram = (1 + gram.array()).inverse();
    return;
  }
  Eigen::ArrayXXd column;
  Eigen::ArrayXd inverse;
  for (Index group = part.group; group < part.group + part.groups; ++group) {
    const Index size = members(group), first = first_pair_[static_cast<std::size_t>(group)] - part.pair;
    const auto entry = [&](Index a, Index b) {
      return gram.col(first + pairs_of(std::max(a, b)) + std::min(a, b)).array();
    };
    for (Index k = 0; k < size; ++k) entry(k, k) += 1;
    column.resize(gram.rows(), size);
    for (Index k = 0; k < size; ++k) {
      inverse = entry(k, k).inverse();
      for (Index j = 0; j < size; ++j) column.col(j) = entry(j, k);
      for (Index j = 0; j < size; ++j) {
        if (j == k) continue;
        entry(j, k) = column.col(j) * inverse;
        for (Index i = 0; i <= j; ++i) {
          if (i != k) entry(i, j) -= column.col(i) * column.col(j) * inverse;
        }
      }
      entry(k, k) = -inverse;
    }
    gram.middleCols(first, pairs_of(size)) *= -1;
  }
}

/// H -> R_i H R_j of each group of a block for the pairs of nodes p = which[c] of the columns c, (pairs, C) in place;
/// off the diagonal the sum of both entries, so that the product with products() is the diagonal of Z' R_i H R_j Z.
void EmpiricalLaw::sandwich(const Block& part, const EmpiricalNodes& nodes, const Pairs& pairs,
                            const std::vector<Index>& which, Matrix& inner) const {
  const Matrix leverage = nodes.leverage.middleCols(part.pair, part.pairs).transpose();
  if (part.pairs == part.groups) {
    for (Index c = 0; c < inner.cols(); ++c) {
      const Index p = which[static_cast<std::size_t>(c)];
      inner.col(c).array() *= leverage.col(pairs.i(p)).array() * leverage.col(pairs.j(p)).array();
    }
    return;
  }
  std::vector<Index> first, second;
  for (const Index p : which) {
    first.push_back(pairs.i(p));
    second.push_back(pairs.j(p));
  }
  std::vector<Matrix> r(static_cast<std::size_t>(leverage.cols()));
  for (Index group = part.group; group < part.group + part.groups; ++group) {
    const Index size = members(group), pair = first_pair_[static_cast<std::size_t>(group)] - part.pair;
    for (Index i = 0; i < leverage.cols(); ++i)
      r[static_cast<std::size_t>(i)] = unpacked(leverage.col(i).data() + pair, 1, size);
    switch (size) {
      case 1:
        sandwich_group<1>(r, size, first, second, pair, inner);
        break;
      case 2:
        sandwich_group<2>(r, size, first, second, pair, inner);
        break;
      case 3:
        sandwich_group<3>(r, size, first, second, pair, inner);
        break;
      case 4:
        sandwich_group<4>(r, size, first, second, pair, inner);
        break;
      case 5:
        sandwich_group<5>(r, size, first, second, pair, inner);
        break;
      case 6:
        sandwich_group<6>(r, size, first, second, pair, inner);
        break;
      case 7:
        sandwich_group<7>(r, size, first, second, pair, inner);
        break;
      case 8:
        sandwich_group<8>(r, size, first, second, pair, inner);
        break;
      default:
        sandwich_group<Eigen::Dynamic>(r, size, first, second, pair, inner);
    }
  }
}

/// Products of the numbers (rows) of members a <= b of each group of a block, off the diagonal the sum of both orders:
/// (pairs).
Vector EmpiricalLaw::pair_products(const Block& part, const Vector& from, const Vector& to) const {
  if (part.pairs == part.groups) return from.cwiseProduct(to);
  Vector result(part.pairs);
  Index place = 0;
  for (Index group = part.group; group < part.group + part.groups; ++group) {
    const Index first = first_row_[static_cast<std::size_t>(group)] - part.row;
    for (Index b = first; b < first + members(group); ++b) {
      for (Index a = first; a < b; ++a) result[place++] = from[a] * to[b] + from[b] * to[a];
      result[place++] = from[b] * to[b];
    }
  }
  return result;
}

/// R_i u_i of each group of a block and each node, (N, rows).
Matrix EmpiricalLaw::respond(const Block& part, const EmpiricalNodes& nodes, const Matrix& u) const {
  const auto leverage = nodes.leverage.middleCols(part.pair, part.pairs);
  if (part.pairs == part.groups) return leverage.cwiseProduct(u);
  Matrix result = Matrix::Zero(u.rows(), u.cols());
  Index column = 0;
  for (Index group = part.group; group < part.group + part.groups; ++group) {
    const Index first = first_row_[static_cast<std::size_t>(group)] - part.row;
    for (Index b = first; b < first + members(group); ++b) {
      for (Index a = first; a < b; ++a, ++column) {
        result.col(a) += leverage.col(column).cwiseProduct(u.col(b));
        result.col(b) += leverage.col(column).cwiseProduct(u.col(a));
      }
      result.col(b) += leverage.col(column++).cwiseProduct(u.col(b));
    }
  }
  return result;
}

/// The same of all groups, (N, rows).
Matrix EmpiricalLaw::respond(const EmpiricalNodes& nodes, const Matrix& u) const {
  Matrix result(u.rows(), u.cols());
  for (const Block& part : blocks_)
    result.middleCols(part.row, part.rows) = respond(part, nodes, u.middleCols(part.row, part.rows));
  return result;
}

/// g of the coordinate of the mean at infinite shift, where all others are 0: 1/g = mean[c/(1 + g c/n)]/m for groups
/// with the sum of squares c in this coordinate, n/(n - m) for groups of equal size. By Newton's iteration for x = 1/g,
/// whose equation 1 = mean[c/(x + c/n)]/m is convex and decreasing in x, from x = 0.
double EmpiricalLaw::resolvent_of_mean() const {
  if (!grouped()) return n_ / (n_ - 1);  // r = 1 - 1/n for all samples
  Vector sizes(groups());
  for (Index group = 0; group < groups(); ++group)
    sizes[group] = ones_.segment(first_row_[static_cast<std::size_t>(group)], members(group)).squaredNorm();
  double x = 0;
  constexpr int kSteps = 200;
  for (int step = 0; step < kSteps; ++step) {
    const Eigen::ArrayXd terms = (x + sizes.array() / n_).inverse();
    const double value = (sizes.array() * terms).mean() / mean_size_ - 1;
    const double slope = (sizes.array() * terms.square()).mean() / mean_size_;
    const double next = x + value / slope;
    if (!(next > x * (1 + 1e-15))) break;
    x = next;
  }
  return 1 / x;
}

}  // namespace kappaflow
