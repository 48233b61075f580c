#pragma once

#include <Eigen/Core>
#include <map>
#include <mutex>

#include "kappaflow/eigensolver.hpp"

namespace kappaflow {

/// Sizes tau_a of samples x = mu + sqrt(tau) Sigma^(1/2) z, of mean 1, which the elliptical law uses in addition to the
/// covariance. They are given, or estimated from samples in the metric of the resolvent at each shift u, theory.md
/// (32),
///
///   tau_a(u) = sum_k z_ak^2/(s_k+u) / mean of the same.
///
/// Their sums over modes are tabulated on Chebyshev points in log u, for each decade of u on its first use. Safe to use
/// from several threads.
///
///     const auto scales = std::make_shared<const kappaflow::RadialScales>(sizes);
///     const kappaflow::Splits splits(spectrum, 1000, {.scales = scales});
class RadialScales {
 public:
  using Profiles = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Vector = Eigen::VectorXd;

  /// Given sizes (M), not negative, with a positive mean, by which they are divided. Many sizes are compressed to the
  /// few atoms that give their means to full precision.
  explicit RadialScales(const Vector& sizes);

  /// Profiles: mode coordinates (M, modes) of at least two samples, mean removed, mean square of each mode its
  /// eigenvalue. The map's memory must outlive this object.
  RadialScales(const Eigen::Map<const Profiles>& profiles, const Vector& eigenvalues,
               const LinearAlgebra& library = {});

  /// Entries of at(): profiles, or atoms of given sizes.
  Eigen::Index size() const { return weights_.size(); }
  bool given() const { return given_.size() > 0; }

  /// Weights of the entries in means; their sum is 1.
  const Vector& weights() const { return weights_; }

  const LinearAlgebra& library() const { return library_; }

  /// tau at the shift u > 0.
  Vector at(double shift) const;

  /// The same for every `stride`-th profile only; its mean is not 1.
  Vector some(double shift, Eigen::Index stride) const;

 private:
  const Eigen::MatrixXd& panel(int decade) const;

  Vector weights_, given_;
  Eigen::Map<const Profiles> profiles_{nullptr, 0, 0};
  Vector eigenvalues_;
  LinearAlgebra library_;
  mutable std::mutex mutex_;
  mutable std::map<int, Eigen::MatrixXd> panels_;
};

}  // namespace kappaflow
