#include "kappaflow/spectrum.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "kappaflow/errors.hpp"

namespace kappaflow {
namespace {

using Vector = Eigen::VectorXd;

struct Atoms {
  std::vector<double> values, multiplicity;
};

/// Gauss rule of the discrete measure sum_k w_k delta(u_k) by the Lanczos process with full reorthogonalisation.
void append_gauss_rule(const Eigen::Ref<const Vector>& u, const Eigen::Ref<const Vector>& w, int nodes, Atoms& atoms) {
  const double mass = w.sum();
  const double centre = u.dot(w) / mass;
  const Vector x = u.array() - centre;
  const double spread = std::max(x.cwiseAbs().maxCoeff(), 1e-300);
  Eigen::MatrixXd basis(u.size(), nodes);
  Vector alpha(nodes), beta(nodes);
  Vector q = (w / mass).cwiseSqrt();
  int used = 0;
  for (; used < nodes; ++used) {
    basis.col(used) = q;
    Vector r = x.cwiseProduct(q);
    alpha[used] = q.dot(r);
    for (int pass = 0; pass < 2; ++pass) {
      r -= basis.leftCols(used + 1) * (basis.leftCols(used + 1).transpose() * r);
    }
    beta[used] = r.norm();
    if (beta[used] <= 1e-13 * spread) {  // the measure has no more than used + 1 distinguishable points
      ++used;
      break;
    }
    q = r / beta[used];
  }
  Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver;
  solver.computeFromTridiagonal(alpha.head(used), beta.head(used - 1));
  for (int k = used - 1; k >= 0; --k) {
    atoms.values.push_back(std::exp(centre + solver.eigenvalues()[k]));
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
    detail::require(std::isfinite(eigenvalues_[k]) && eigenvalues_[k] >= 0, here,
                    "eigenvalues must be finite and not negative", eigenvalues_[k]);
    detail::require(std::isfinite(multiplicity_[k]) && multiplicity_[k] > 0, here,
                    "multiplicity must be finite and positive", multiplicity_[k]);
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
  count_above_[0] = 0;
  for (Eigen::Index k = 0; k < count; ++k) {
    positive_[k] = eigenvalues_[order[k]];
    positive_multiplicity_[k] = multiplicity_[order[k]];
    count_above_[k + 1] = count_above_[k] + positive_multiplicity_[k];
  }
  dimension_ = multiplicity_.sum();
  rank_ = count_above_[count];
  trace_ = positive_.dot(positive_multiplicity_);
  detail::require(std::isfinite(trace_) && trace_ < 1e300, here, "the sum of eigenvalues must be below 1e300", trace_);
}

Spectrum Spectrum::compressed(int nodes_per_decade) const {
  detail::require(nodes_per_decade >= 2, "Spectrum::compressed", "nodes_per_decade must be at least 2",
                  nodes_per_decade);
  Atoms atoms;
  const Eigen::Index count = positive_.size();
  for (Eigen::Index first = 0; first < count;) {
    const double* begin = positive_.data() + first;
    const double* end = std::upper_bound(begin, positive_.data() + count, positive_[first] / 10, std::greater<>());
    const Eigen::Index length = std::max<Eigen::Index>(end - begin, 1);
    if (length <= nodes_per_decade) {
      atoms.values.insert(atoms.values.end(), begin, begin + length);
      const double* mult = positive_multiplicity_.data() + first;
      atoms.multiplicity.insert(atoms.multiplicity.end(), mult, mult + length);
    } else {
      append_gauss_rule(positive_.segment(first, length).array().log().matrix(),
                        positive_multiplicity_.segment(first, length), nodes_per_decade, atoms);
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
