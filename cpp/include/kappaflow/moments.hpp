#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <mutex>

#include "kappaflow/eigensolver.hpp"

namespace kappaflow {

/// Mean and covariance of a stream of samples in one pass over blocks, mergeable (Chan, Golub and LeVeque 1983).
///
/// Safe to use from several threads: each call sees whole blocks. Each block is centred on its own mean before its
/// products are summed, so a large common mean costs no accuracy.
///
///     kappaflow::Moments moments(samples.cols());
///     moments.add(samples);
///     const Eigen::MatrixXd covariance = moments.covariance();
class Moments {
 public:
  using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

  /// Throws std::invalid_argument unless dimension > 0.
  explicit Moments(Eigen::Index dimension);
  /// Restores saved sums: scatter (dimension, dimension) = sum of (x - mean)(x - mean)', lower triangle.
  Moments(std::int64_t count, const Eigen::Ref<const Eigen::VectorXd>& mean,
          const Eigen::Ref<const Eigen::MatrixXd>& scatter);

  /// Adds the rows of a block (B, dimension). A block with NaN or infinity throws and leaves the sums unchanged.
  void add(const Eigen::Ref<const RowMatrix>& block, const LinearAlgebra& library = {});
  /// Adds the samples of `other`. Throws std::invalid_argument unless both have the same dimension.
  void merge(const Moments& other);

  Moments(const Moments& other);
  Moments& operator=(const Moments& other) = delete;

  std::int64_t count() const;
  Eigen::Index dimension() const { return dimension_; }
  Eigen::VectorXd mean() const;
  /// Full symmetric sum of (x - mean)(x - mean)'.
  Eigen::MatrixXd scatter() const;
  /// scatter / count: the divisor n of the sample covariance everywhere in this library. Throws before the first
  /// sample.
  Eigen::MatrixXd covariance() const;

 private:
  void combine(double other_count, const Eigen::VectorXd& other_mean);

  mutable std::mutex mutex_;  // of everything below it but the dimension, which never changes
  Eigen::Index dimension_ = 0;
  std::int64_t count_ = 0;
  Eigen::VectorXd mean_;
  Eigen::MatrixXd scatter_;  // lower triangle
};

}  // namespace kappaflow
