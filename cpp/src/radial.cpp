#include "kappaflow/radial.hpp"

#include <cmath>

#include "chebyshev.hpp"
#include "kappaflow/errors.hpp"
#include "products.hpp"

namespace kappaflow {
namespace {

using Index = Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

/// Sums over modes of z^2/(s+u) are analytic in |Im log u| < pi: 12 points a decade leave 5.6^(-12) = 1e-9.
constexpr int kPoints = 12;
constexpr Index kBlockRows = 1024;

}  // namespace

RadialScales::RadialScales(const Vector& sizes) : size_(sizes.size()), given_(sizes) {
  detail::require(sizes.size() > 0, "RadialScales", "sizes must hold at least one entry; entries", sizes.size());
  for (Index a = 0; a < sizes.size(); ++a) {
    detail::require(std::isfinite(sizes[a]) && sizes[a] >= 0, "RadialScales", "sizes must be finite and not negative",
                    sizes[a]);
  }
  detail::require(sizes.mean() > 0, "RadialScales", "sizes must have a positive mean", sizes.mean());
  given_ /= sizes.mean();
}

RadialScales::RadialScales(const Eigen::Map<const Profiles>& profiles, const Vector& eigenvalues,
                           const LinearAlgebra& library)
    : size_(profiles.rows()), eigenvalues_(eigenvalues), library_(library) {
  detail::require(profiles.rows() > 1, "RadialScales", "at least two profiles are needed; rows", profiles.rows());
  detail::require(profiles.cols() == eigenvalues.size(), "RadialScales",
                  "profiles must have one column for each eigenvalue; columns", profiles.cols());
  detail::require(profiles.allFinite(), "RadialScales", "profiles must be finite; sum", profiles.sum());
  detail::require(eigenvalues.maxCoeff() > 0, "RadialScales", "an eigenvalue must be positive; the largest",
                  eigenvalues.maxCoeff());
  new (&profiles_) Eigen::Map<const Profiles>(profiles.data(), profiles.rows(), profiles.cols());
}

/// tau at the Chebyshev points of one decade of u: (M, points).
const Matrix& RadialScales::panel(int decade) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = panels_.find(decade);
  if (found != panels_.end()) return found->second;
  const Index modes = eigenvalues_.size();
  Matrix weights(modes, kPoints);
  for (int j = 0; j < kPoints; ++j) {
    const double u = std::pow(10.0, decade + 0.5 * (1 + detail::chebyshev_point(j, kPoints)));
    weights.col(j) = (eigenvalues_.array() > 0).select((eigenvalues_.array() + u).inverse(), 0.0);
  }
  Matrix table(size_, kPoints), squares, part;
  for (Index start = 0; start < size_; start += kBlockRows) {
    const Index rows = std::min(kBlockRows, size_ - start);
    squares = profiles_.middleRows(start, rows).transpose().cast<double>().cwiseAbs2();
    part.resize(rows, kPoints);
    detail::multiply(library_, true, false, 1, squares, weights, 0, part);
    table.middleRows(start, rows) = part;
  }
  for (int j = 0; j < kPoints; ++j) table.col(j) /= table.col(j).mean();
  return panels_.emplace(decade, std::move(table)).first->second;
}

Vector RadialScales::at(double shift) const {
  detail::require(std::isfinite(shift) && shift > 0, "RadialScales::at", "shift must be finite and positive", shift);
  if (given()) return given_;
  const double position = std::log10(shift);
  const int decade = static_cast<int>(std::floor(position));
  Vector weights(kPoints);
  detail::chebyshev_weights(2 * (position - decade) - 1, weights);
  return panel(decade) * weights;
}

}  // namespace kappaflow
