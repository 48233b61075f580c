#pragma once

#include <Eigen/Core>

namespace kappaflow {

/// Eigenvalues s_k >= 0 of a population covariance, each with a multiplicity (a positive number, 1 unless given).
///
/// The caller's order of the eigenvalues is kept: every per-mode result has this order. Zeros are allowed.
///
///     const kappaflow::Spectrum spectrum(eigenvalues);          // all multiplicities 1
///     const kappaflow::Spectrum atoms(values, multiplicity);    // for instance 1e9 equal eigenvalues as one atom
class Spectrum {
 public:
  using Vector = Eigen::VectorXd;

  /// Throws std::invalid_argument on an empty, negative or non-finite spectrum, or one with a sum of 1e300 or more, and
  /// on multiplicities that are not positive or have no finite sum.
  explicit Spectrum(const Eigen::Ref<const Vector>& eigenvalues);
  Spectrum(const Eigen::Ref<const Vector>& eigenvalues, const Eigen::Ref<const Vector>& multiplicity);

  const Vector& eigenvalues() const { return eigenvalues_; }
  const Vector& multiplicity() const { return multiplicity_; }
  Eigen::Index size() const { return eigenvalues_.size(); }
  double dimension() const { return dimension_; }  ///< d = sum of multiplicities
  double rank() const { return rank_; }            ///< multiplicities of the non-zero eigenvalues
  double trace() const { return trace_; }          ///< tr Sigma
  double largest() const { return positive_.size() ? positive_[0] : 0.0; }
  double smallest_positive() const { return positive_.size() ? positive_[positive_.size() - 1] : 0.0; }

  /// The non-zero eigenvalues in descending order, their multiplicities, and count_above()[k] = sum of the first k
  /// multiplicities.
  const Vector& positive() const { return positive_; }
  const Vector& positive_multiplicity() const { return positive_multiplicity_; }
  const Vector& count_above() const { return count_above_; }
  /// What rounding left out of count_above(): the sums of multiplicities to twice the precision of a double, up to
  /// count_error(), which is 0 unless multiplicities are far from whole numbers.
  const Vector& count_rest() const { return count_rest_; }
  double count_error() const { return count_error_; }

  /// A spectrum of few atoms with the same sums over modes of s/(s+kappa), and of its derivatives, for every kappa > 0.
  ///
  /// In each decade of s the discrete measure is replaced by its Gauss rule in log s. s/(s+kappa) is analytic in
  /// |Im log s| < pi, so `nodes_per_decade` nodes leave a relative error of about 5.6^(-2 nodes): 12 nodes give full
  /// double precision. The zero eigenvalues become one atom. The cost is O(d nodes^2), once.
  Spectrum compressed(int nodes_per_decade = 12) const;

 private:
  void finish();

  Vector eigenvalues_, multiplicity_, positive_, positive_multiplicity_, count_above_, count_rest_;
  double dimension_ = 0, rank_ = 0, trace_ = 0, count_error_ = 0;
};

}  // namespace kappaflow
