#include "kappaflow/spectrum.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "checks.hpp"
#include "exact_sum.hpp"

namespace kappaflow {
namespace {

using Vector = Eigen::VectorXd;

/// The largest sum of eigenvalues: products with numbers of modes and of samples up to 1e8 stay within double's range.
constexpr double kLargestTrace = 1e300;

/// Atoms are computed decade by decade: the convergence of compressed() is that of an interval with this ratio of its
/// ends.
constexpr double kPanelRatio = 10;

/// A second pass of Gram-Schmidt makes vectors orthogonal to rounding; a third adds nothing ("twice is enough",
/// Parlett, The Symmetric Eigenvalue Problem, section 6.9).
constexpr int kOrthogonalisations = 2;

/// A new direction below this part of the spread is rounding error (1e-16 times the length of the sums, with a margin):
/// the measure has no further points.
constexpr double kNoNewPoint = 1e-13;

/// Replaces the spread of points that are all equal, so that the test against it is never 0 <= 0 by chance.
constexpr double kLeastSpread = 1e-300;

struct Atoms {
  std::vector<double> values, multiplicity;
};

/// Gauss rule of the discrete measure sum_k w_k delta(u_k) by the Lanczos process with full reorthogonalisation.
/// `u` are logarithms in units of `unit`, which is one of the eigenvalues: log s itself would lose digits far from 1.
void append_gauss_rule(const Eigen::Ref<const Vector>& u, const Eigen::Ref<const Vector>& w, double unit, int nodes,
                       Atoms& atoms) {
  const double mass = w.sum();
  const double centre = u.dot(w) / mass;
  const Vector x = u.array() - centre;
  const double spread = std::max(x.cwiseAbs().maxCoeff(), kLeastSpread);
  Eigen::MatrixXd basis(u.size(), nodes);
  Vector alpha(nodes), beta(nodes);
  Vector q = (w / mass).cwiseSqrt();
  int used = 0;
  for (; used < nodes; ++used) {
    basis.col(used) = q;
    Vector r = x.cwiseProduct(q);
    alpha[used] = q.dot(r);
    for (int pass = 0; pass < kOrthogonalisations; ++pass) {
      r -= basis.leftCols(used + 1) * (basis.leftCols(used + 1).transpose() * r);
    }
    beta[used] = r.norm();
    if (beta[used] <= kNoNewPoint * spread) {  // the measure has no more than used + 1 distinguishable points
      ++used;
      break;
    }
    q = r / beta[used];
  }
  Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver;
  solver.computeFromTridiagonal(alpha.head(used), beta.head(used - 1));
  for (int k = used - 1; k >= 0; --k) {
    atoms.values.push_back(unit * std::exp(centre + solver.eigenvalues()[k]));
    atoms.multiplicity.push_back(mass * std::pow(solver.eigenvectors()(0, k), 2));
  }
}

}  // namespace

Spectrum::Spectrum(const Eigen::Ref<const Vector>& eigenvalues)
    : eigenvalues_(eigenvalues), multiplicity_(Vector::Ones(eigenvalues.size())) {
  finish();
}

Spectrum::Spectrum(const Eigen::Ref<const Vector>& eigenvalues, const Eigen::Ref<const Vector>& multiplicity)
    : eigenvalues_(eigenvalues), multiplicity_(multiplicity) {
  finish();
}

void Spectrum::finish() {
  constexpr const char* here = "Spectrum";
  detail::require(size() > 0, here, "eigenvalues must hold at least one value", size());
  detail::require(multiplicity_.size() == size(), here, "multiplicity must have one entry for each eigenvalue",
                  multiplicity_.size());
  for (Eigen::Index k = 0; k < size(); ++k) {
    detail::require_not_negative(here, "eigenvalues", eigenvalues_[k]);
    detail::require_positive(here, "multiplicity", multiplicity_[k]);
  }
  std::vector<Eigen::Index> order;
  for (Eigen::Index k = 0; k < size(); ++k) {
    if (eigenvalues_[k] > 0) order.push_back(k);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](Eigen::Index a, Eigen::Index b) { return eigenvalues_[a] > eigenvalues_[b]; });
  const auto count = static_cast<Eigen::Index>(order.size());
  positive_.resize(count);
  positive_multiplicity_.resize(count);
  count_above_.resize(count + 1);
  count_rest_.resize(count + 1);
  count_above_[0] = count_rest_[0] = 0;
  double total = 0, rest = 0, left_out = 0;
  for (Eigen::Index k = 0; k < count; ++k) {
    const Eigen::Index place = order[static_cast<std::size_t>(k)];
    positive_[k] = eigenvalues_[place];
    positive_multiplicity_[k] = multiplicity_[place];
    left_out += std::abs(detail::add_exactly(rest, detail::add_exactly(total, positive_multiplicity_[k])));
    count_above_[k + 1] = total + rest;
    count_rest_[k + 1] = rest - (count_above_[k + 1] - total);
  }
  count_error_ = 2 * left_out;  // twice, for the rounding errors of this sum itself
  rank_ = count_above_[count];
  dimension_ = rank_ + (eigenvalues_.array() > 0).select(0.0, multiplicity_.array()).sum();
  detail::require(std::isfinite(dimension_), here, "multiplicity must have a finite sum", dimension_);
  trace_ = positive_.dot(positive_multiplicity_);
  detail::require(std::isfinite(trace_) && trace_ < kLargestTrace, here, "eigenvalues must have a sum below 1e300",
                  trace_);
}

Spectrum Spectrum::compressed(int nodes_per_decade) const {
  detail::require(nodes_per_decade >= 2, "Spectrum::compressed", "nodes_per_decade must be at least 2",
                  nodes_per_decade);
  Atoms atoms;
  const Eigen::Index count = positive_.size();
  for (Eigen::Index first = 0; first < count;) {
    const double* begin = positive_.data() + first;
    const double* end =
        std::upper_bound(begin, positive_.data() + count, positive_[first] / kPanelRatio, std::greater<>());
    const Eigen::Index length = std::max<Eigen::Index>(end - begin, 1);
    if (length <= nodes_per_decade) {
      atoms.values.insert(atoms.values.end(), begin, begin + length);
      const double* mult = positive_multiplicity_.data() + first;
      atoms.multiplicity.insert(atoms.multiplicity.end(), mult, mult + length);
    } else {
      const double unit = positive_[first];
      append_gauss_rule((positive_.segment(first, length).array() / unit).log().matrix(),
                        positive_multiplicity_.segment(first, length), unit, nodes_per_decade, atoms);
    }
    first += length;
  }
  if (rank_ < dimension_) {
    atoms.values.push_back(0);
    atoms.multiplicity.push_back(dimension_ - rank_);
  }
  const auto total = static_cast<Eigen::Index>(atoms.values.size());
  return Spectrum(Eigen::Map<const Vector>(atoms.values.data(), total),
                  Eigen::Map<const Vector>(atoms.multiplicity.data(), total));
}

}  // namespace kappaflow
