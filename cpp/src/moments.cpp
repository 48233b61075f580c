#include "kappaflow/moments.hpp"

#include "checks.hpp"

namespace kappaflow {

Moments::Moments(Eigen::Index dimension) : dimension_(dimension) {
  detail::require(dimension > 0, "Moments", "dimension must be positive", dimension);
  mean_ = Eigen::VectorXd::Zero(dimension);
  scatter_ = Eigen::MatrixXd::Zero(dimension, dimension);
}

Moments::Moments(std::int64_t count, const Eigen::Ref<const Eigen::VectorXd>& mean,
                 const Eigen::Ref<const Eigen::MatrixXd>& scatter)
    : dimension_(mean.size()), count_(count), mean_(mean), scatter_(scatter) {
  detail::require(count >= 0, "Moments", "count must not be negative", count);
  detail::require(mean.size() > 0, "Moments", "mean must hold at least one entry", mean.size());
  detail::require(scatter.rows() == mean.size() && scatter.cols() == mean.size(), "Moments",
                  "scatter must be square with the size of the mean", detail::shape(scatter));
}

Moments::Moments(const Moments& other) : dimension_(other.dimension_) {
  const std::lock_guard<std::mutex> lock(other.mutex_);
  count_ = other.count_;
  mean_ = other.mean_;
  scatter_ = other.scatter_;
}

std::int64_t Moments::count() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return count_;
}

Eigen::VectorXd Moments::mean() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return mean_;
}

void Moments::combine(double other_count, const Eigen::VectorXd& other_mean) {
  const double total = static_cast<double>(count_) + other_count;
  const Eigen::VectorXd difference = other_mean - mean_;
  scatter_.selfadjointView<Eigen::Lower>().rankUpdate(difference, static_cast<double>(count_) * other_count / total);
  mean_ += difference * (other_count / total);
}

void Moments::add(const Eigen::Ref<const RowMatrix>& block, const LinearAlgebra& library) {
  detail::require(block.cols() == dimension(), "Moments::add", "block must have one column for each dimension",
                  detail::shape(block));
  if (block.rows() == 0) return;
  RowMatrix centred = block;  // a copy, which is checked and used: another thread may change the caller's numbers
  detail::require_finite("Moments::add", "block", centred);
  const Eigen::VectorXd mean = centred.colwise().mean();
  centred.rowwise() -= mean.transpose();
  const std::lock_guard<std::mutex> lock(mutex_);
  if (library.syrk != nullptr) {
    // a row-major (B, d) block is a column-major (d, B) matrix: scatter += C C'
    char triangle = 'L', plain = 'N';
    int n = static_cast<int>(dimension()), k = static_cast<int>(centred.rows());
    double one = 1;
    library.syrk(&triangle, &plain, &n, &k, &one, centred.data(), &n, &one, scatter_.data(), &n);
  } else {
    scatter_.selfadjointView<Eigen::Lower>().rankUpdate(centred.transpose());
  }
  combine(static_cast<double>(centred.rows()), mean);
  count_ += centred.rows();
}

void Moments::merge(const Moments& other) {
  detail::require(other.dimension() == dimension(), "Moments::merge", "other must have the same dimension",
                  other.dimension());
  if (&other == this) return merge(Moments(other));
  const std::scoped_lock lock(mutex_, other.mutex_);
  if (other.count_ == 0) return;
  scatter_.triangularView<Eigen::Lower>() += other.scatter_;
  combine(static_cast<double>(other.count_), other.mean_);
  count_ += other.count_;
}

Eigen::MatrixXd Moments::scatter() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return scatter_.selfadjointView<Eigen::Lower>();
}

Eigen::MatrixXd Moments::covariance() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  detail::require(count_ > 0, "Moments::covariance", "count must be positive", count_);
  Eigen::MatrixXd result = scatter_.selfadjointView<Eigen::Lower>();
  result /= static_cast<double>(count_);
  return result;
}

}  // namespace kappaflow
