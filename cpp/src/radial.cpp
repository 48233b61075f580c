#include "kappaflow/radial.hpp"

#include <algorithm>
#include <cmath>

#include "chebyshev.hpp"
#include "checks.hpp"
#include "kappaflow/spectrum.hpp"
#include "products.hpp"

namespace kappaflow {
namespace {

using detail::kBlockRows;
using Index = Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

/// Sums over modes of z^2/(s+u) are analytic in |Im log u| < pi: 12 points a decade leave 5.6^(-12) = 1e-9.
constexpr int kPoints = 12;

}  // namespace

RadialScales::RadialScales(const Vector& sizes) {
  detail::require(sizes.size() > 0, "RadialScales", "sizes must hold at least one entry", sizes.size());
  detail::require_all_not_negative("RadialScales", "sizes", sizes);
  detail::require(sizes.mean() > 0, "RadialScales", "sizes must have a positive mean", sizes.mean());
  // Means of tau delta/(1 + tau delta) and of products of such are sums over a spectrum at 1/delta.
  const Spectrum atoms = Spectrum(sizes / sizes.mean()).compressed();
  given_ = atoms.eigenvalues();
  weights_ = atoms.multiplicity() / static_cast<double>(sizes.size());
}

RadialScales::RadialScales(const Eigen::Map<const Profiles>& profiles, const Vector& eigenvalues,
                           const LinearAlgebra& library)
    : weights_(Vector::Constant(profiles.rows(), 1.0 / static_cast<double>(std::max<Index>(profiles.rows(), 1)))),
      eigenvalues_(eigenvalues),
      library_(library) {
  constexpr const char* here = "RadialScales";
  detail::require(profiles.rows() > 1, here, "profiles must have at least two rows", detail::shape(profiles));
  detail::require(profiles.cols() == eigenvalues.size(), here, "profiles must have one column for each eigenvalue",
                  detail::shape(profiles));
  detail::require_finite(here, "profiles", profiles);
  detail::require((eigenvalues.array() > 0).any(), here, "eigenvalues must hold a positive one", "none");
  new (&profiles_) Eigen::Map<const Profiles>(profiles.data(), profiles.rows(), profiles.cols());
}

/// tau, theory.md (32), at the Chebyshev points of one decade of u: (M, points).
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
  const Index count = size();
  Matrix table(count, kPoints), squares, part;
  for (Index start = 0; start < count; start += kBlockRows) {
    const Index rows = std::min(kBlockRows, count - start);
    squares = profiles_.middleRows(start, rows).transpose().cast<double>().cwiseAbs2();
    part.resize(rows, kPoints);
    detail::multiply(library_, true, false, 1, squares, weights, 0, part);
    table.middleRows(start, rows) = part;
  }
  for (int j = 0; j < kPoints; ++j) table.col(j) /= table.col(j).mean();
  return panels_.emplace(decade, std::move(table)).first->second;
}

Vector RadialScales::at(double shift) const { return some(shift, 1); }

Vector RadialScales::some(double shift, Index stride) const {
  detail::require_positive("RadialScales::at", "shift", shift);
  if (given()) return given_;
  const double position = std::log10(shift);
  const int decade = static_cast<int>(std::floor(position));
  Vector weights(kPoints);
  detail::chebyshev_weights(2 * (position - decade) - 1, weights);
  const Matrix& table = panel(decade);
  if (stride == 1) return table * weights;
  using Strided = Eigen::Map<const Matrix, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>>;
  return Strided(table.data(), (size() + stride - 1) / stride, kPoints, {table.rows(), stride}) * weights;
}

}  // namespace kappaflow
