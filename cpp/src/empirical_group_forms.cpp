#include <algorithm>
#include <vector>

#include "empirical_detail.hpp"
#include "kappaflow/empirical.hpp"
#include "simd.hpp"

namespace kappaflow {

using detail::multiply;
using Index = Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

namespace {

/// Columns of the matrices of mode pairs that are summed over groups at once, and groups whose products are held at
/// once, so that they stay in the cache.
constexpr Index kTile = 16, kGroups = 4, kChunk = 64;

/// With more coordinates than this, or this many times the number of pairs of a group, the ladder is applied to the
/// profiles directly: the matrices of mode pairs would take too much memory, or longer.
constexpr Index kLargestForms = 1024;
constexpr double kWorthwhile = 140;

/// Relative error of the leverages in their span. The law itself is a limit for many samples.
constexpr double kCompression = 1e-6;

/// forms_qr += sum_g b_gq b_gr, elementwise, for q >= r.
KAPPAFLOW_CLONES void add_products(const double* b, Index groups, Index rank, Index length, double* forms) {
  for (Index begin = 0; begin < length; begin += kChunk) {
    const Index end = std::min(begin + kChunk, length);
    for (Index q = 0, form = 0; q < rank; ++q) {
      for (Index r = 0; r <= q; ++r, ++form) {
        double* sum = forms + form * length;
        for (Index g = 0; g < groups; ++g) {
          const double *x = b + (g * rank + q) * length, *y = b + (g * rank + r) * length;
#pragma omp simd
          for (Index e = begin; e < end; ++e) sum[e] += x[e] * y[e];
        }
      }
    }
  }
}

}  // namespace

bool EmpiricalLaw::uses_forms() const {
  return grouped() && coordinates_ <= kLargestForms &&
         static_cast<double>(coordinates_) <= kWorthwhile * mean_size_ * (mean_size_ + 1);
}

const detail::GroupForms& EmpiricalLaw::group_forms(const EmpiricalNodes& nodes) const {
  detail::GroupForms& result = *nodes.forms;
  std::call_once(result.once, [&] {
    const detail::LowRank leverage(nodes.leverage.transpose(), std::max(kCompression, options_.compression));
    result.left = leverage.left;
    result.right = leverage.right;
    sum_forms(result);
  });
  return result;
}

/// Sums over groups, tile by tile of the lower triangle.
void EmpiricalLaw::sum_forms(detail::GroupForms& result) const {
  const Index rank = result.left.cols(), count = rank * (rank + 1) / 2;
  result.forms.resize(coordinates_ * coordinates_, count);
  Matrix samples, weighted, moments;
  for (Index tile = 0; tile < coordinates_; tile += kTile) {
    const Index width = std::min(kTile, coordinates_ - tile), height = coordinates_ - tile, length = height * width;
    Matrix sums = Matrix::Zero(length, count);
    moments.resize(height, kGroups * rank * width);
    for (const Block& part : blocks_) {
      rows(part, samples);
      for (Index start = 0; start < part.groups; start += kGroups) {
        const Index held = std::min(kGroups, part.groups - start);
        for (Index g = 0; g < held; ++g) {
          const auto group = static_cast<std::size_t>(part.group + start + g);
          const Index size = members(part.group + start + g);
          const auto z = samples.middleCols(first_row_[group] - part.row, size);
          weighted.resize(size, rank * width);
          for (Index q = 0; q < rank; ++q) {
            weighted.middleCols(q * width, width) = unpacked(result.left.col(q).data() + first_pair_[group], 1, size)
                                                        .lazyProduct(z.middleRows(tile, width).transpose());
          }
          multiply(library_, false, false, 1, z.bottomRows(height), weighted, 0,
                   moments.middleCols(g * rank * width, rank * width));
        }
        add_products(moments.data(), held, rank, length, sums.data());
      }
    }
    sums /= n_ * images_;
    for (Index form = 0; form < count; ++form) {
      Eigen::Map<Matrix> whole(result.forms.col(form).data(), coordinates_, coordinates_);
      whole.block(tile, tile, height, width) = Eigen::Map<const Matrix>(sums.col(form).data(), height, width);
    }
  }
  for (Index form = 0; form < count; ++form) {
    Eigen::Map<Matrix> whole(result.forms.col(form).data(), coordinates_, coordinates_);
    whole.triangularView<Eigen::StrictlyUpper>() = whole.transpose();
  }
}

/// Q_p of groups, theory.md (49), for all pairs p as columns (D D, P).
Matrix EmpiricalLaw::pair_matrices(const EmpiricalNodes& nodes, const Pairs& pairs) const {
  const detail::GroupForms& from = group_forms(nodes);
  Matrix coefficients(from.forms.cols(), pairs.size());
  for (Index p = 0; p < pairs.size(); ++p) coefficients.col(p) = from.coefficients(pairs.i(p), pairs.j(p));
  Matrix result(from.forms.rows(), pairs.size());
  multiply(library_, false, false, 1, from.forms, coefficients, 0, result);
  return result;
}

}  // namespace kappaflow
