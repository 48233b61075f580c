#pragma once

#include <Eigen/Core>
#include <map>
#include <mutex>

#include "kappaflow/eigensolver.hpp"

namespace kappaflow {

/// Sizes tau_a of samples x = mu + sqrt(tau) Sigma^(1/2) z, of mean 1: what the elliptical law knows beyond the
/// covariance. They are given, or estimated from samples in the metric of the resolvent at each shift u,
///
///     tau_a(u) = sum_k z_ak^2/(s_k+u) / mean of the same,
///
/// for which sums over modes are tabulated once, on Chebyshev points in log u, decade by decade where they are asked.
/// Safe to use from several threads.
class RadialScales {
 public:
  using Profiles = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Vector = Eigen::VectorXd;

  /// Given sizes (M), not negative; divided by their mean.
  explicit RadialScales(const Vector& sizes);

  /// Mode coordinates (M, modes) of samples, mean removed, mean square of each mode its eigenvalue. The map's memory
  /// must outlive this object.
  RadialScales(const Eigen::Map<const Profiles>& profiles, const Vector& eigenvalues,
               const LinearAlgebra& library = {});

  Eigen::Index size() const { return size_; }
  bool given() const { return given_.size() > 0; }

  /// tau (M) at the shift u > 0.
  Vector at(double shift) const;

 private:
  const Eigen::MatrixXd& panel(int decade) const;

  Eigen::Index size_;
  Vector given_;
  Eigen::Map<const Profiles> profiles_{nullptr, 0, 0};
  Vector eigenvalues_;
  LinearAlgebra library_;
  mutable std::mutex mutex_;
  mutable std::map<int, Eigen::MatrixXd> panels_;
};

}  // namespace kappaflow
