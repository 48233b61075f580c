#include "kappaflow/empirical.hpp"

#include <Eigen/LU>
#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "checks.hpp"
#include "empirical_detail.hpp"
#include "kappaflow/errors.hpp"
#include "kappaflow/silverstein.hpp"

namespace kappaflow {
namespace {

using detail::kBlockRows;
using detail::multiply;
using Index = Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

/// Directions of Anderson's acceleration that agree to this count as one direction: the solution along their difference
/// would be rounding error.
constexpr double kRepeated = 1e-10;

/// Anderson's acceleration drops its history if the residual exceeds the smallest so far by this factor: the linear
/// model has then failed, and the plain iteration is safe.
constexpr double kWorse = 100;

/// Bounds of the options, see EmpiricalOptions.
constexpr int kLongestHistory = 20;
constexpr double kLargestTolerance = 0.1;

/// Coordinates up to which Newton's method is tried: each of its steps takes a matrix of this size.
constexpr Index kLargestNewton = 1024;
/// No step of Newton's method reduces a coordinate by more than this part, so all stay positive.
constexpr double kNewtonShrink = 1e-3;
/// The start of Newton's method lies above an upper bound of the mean's coordinate by this factor.
constexpr double kAboveBound = 2;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Anderson's acceleration of one node's fixed point x -> x + f(x), x = log g.
class Anderson {
 public:
  explicit Anderson(int history) : history_(history) {}

  Vector next(const Vector& x, const Vector& f) {
    if (!f.allFinite()) return restart(x);
    if (!xs_.empty()) {
      steps_.push_back(x - xs_.back());
      changes_.push_back(f - fs_.back());
      if (static_cast<int>(steps_.size()) > history_) {
        steps_.erase(steps_.begin());
        changes_.erase(changes_.begin());
      }
    }
    xs_.assign(1, x);
    fs_.assign(1, f);
    if (steps_.empty()) return x + f;
    Matrix change(x.size(), static_cast<Index>(steps_.size())), step(x.size(), static_cast<Index>(steps_.size()));
    for (std::size_t h = 0; h < steps_.size(); ++h) {
      change.col(static_cast<Index>(h)) = changes_[h];
      step.col(static_cast<Index>(h)) = steps_[h];
    }
    Eigen::ColPivHouseholderQR<Matrix> qr(change);
    qr.setThreshold(kRepeated);
    return x + f - (step + change) * qr.solve(f);
  }

  /// After a step to an `x` where the map is not finite: half of the last plain step, from the last point before it;
  /// a quarter, an eighth, and so on if that is still too far.
  Vector restart(const Vector& x) {
    if (xs_.empty()) return x;
    damping_ /= 2;
    steps_.clear();
    changes_.clear();
    return xs_.back() + damping_ * fs_.back();
  }

  void forget() {
    steps_.clear();
    changes_.clear();
    xs_.clear();
    fs_.clear();
  }

 private:
  int history_;
  double damping_ = 1;
  std::vector<Vector> xs_, fs_, steps_, changes_;
};

}  // namespace

EmpiricalLaw::EmpiricalLaw(Profiles profiles, const Vector& eigenvalues, double n, Mean mean,
                           const LinearAlgebra& library, const EmpiricalOptions& options, std::vector<Index> groups)
    : profiles_(std::move(profiles)),
      images_(static_cast<double>(profiles_.rows())),
      mean_size_(1),
      eigenvalues_(eigenvalues),
      modes_(eigenvalues.size()),
      coordinates_(eigenvalues.size() + (mean == Mean::estimated ? 1 : 0)),
      n_(n),
      library_(library),
      options_(options) {
  constexpr const char* here = "EmpiricalLaw";
  detail::require(modes_ > 0, here, "eigenvalues must hold at least one value", modes_);
  detail::require(profiles_.cols() == modes_, here, "profiles must have one column for each eigenvalue",
                  detail::shape(profiles_));
  detail::require(profiles_.rows() > 1, here, "profiles must have at least two rows", detail::shape(profiles_));
  detail::require(std::isfinite(n) && n > (mean == Mean::estimated ? 1 : 0), here,
                  "n must be finite and positive, above 1 with estimated mean", n);
  detail::require_finite(here, "profiles", profiles_);
  detail::require(options.max_iterations > 0, here, "options.max_iterations must be positive", options.max_iterations);
  detail::require(options.ladder_iterations > 0, here, "options.ladder_iterations must be positive",
                  options.ladder_iterations);
  detail::require(options.history >= 1 && options.history <= kLongestHistory, here,
                  "options.history must be from 1 to 20", options.history);
  const auto fraction = [](double value) { return value > 0 && value < kLargestTolerance; };
  detail::require(fraction(options.tolerance), here, "options.tolerance must be in (0, 0.1)", options.tolerance);
  detail::require(fraction(options.ladder_tolerance), here, "options.ladder_tolerance must be in (0, 0.1)",
                  options.ladder_tolerance);
  detail::require(fraction(options.compression), here, "options.compression must be in (0, 0.1)", options.compression);
  arrange(std::move(groups));
  detail::require(mean == Mean::known || n > mean_size_, here,
                  "n must exceed the mean size of a group with estimated mean", n);
}

/// One step of the fixed point, theory.md (40): g (D, N) -> 1/(t + mean_a[z^2 r]); with groups theory.md (49).
Matrix EmpiricalLaw::iterate(const Vector& shifts, const Matrix& g, Matrix* leverage) const {
  const Index count = shifts.size();
  Matrix sums = Matrix::Zero(coordinates_, count), squares, inverse;
  if (leverage != nullptr) leverage->resize(count, first_pair_.back());
  for (const Block& part : blocks_) {
    products(part, squares);
    inverse.resize(count, part.pairs);
    multiply(library_, true, false, 1 / n_, g, squares, 0, inverse);
    invert(part, inverse);
    if (leverage != nullptr) leverage->middleCols(part.pair, part.pairs) = inverse;
    double_mixed(part, inverse);
    multiply(library_, false, true, 1 / images_, squares, inverse, 1, sums);
  }
  for (Index i = 0; i < count; ++i) sums.col(i).head(modes_).array() += shifts[i];
  return sums.cwiseInverse();
}

/// log g at the start of the fixed point: that of the Gaussian law, at these shifts.
Matrix EmpiricalLaw::gaussian_start(const Vector& shifts, const std::vector<Index>& which) const {
  Matrix x(coordinates_, shifts.size());
  for (const Index i : which) {
    const double kappa = solve_kappa(Vector::Constant(1, shifts[i]), Spectrum(eigenvalues_), n_).kappa[0];
    x.col(i).head(modes_) = (kappa / (shifts[i] * (eigenvalues_.array() + kappa))).log();
    if (has_mean()) x(modes_, i) = std::log(std::max(kappa / shifts[i], 1.0));
  }
  return x;
}

/// Q_ii of one node, theory.md (41), for its resolvent and leverage: (D, D).
Matrix EmpiricalLaw::leverage_matrix(const Vector& resolvent, const Matrix& leverage) const {
  if (grouped()) {
    EmpiricalNodes node{Vector::Ones(1),          resolvent,       Matrix::Ones(coordinates_, 1),         leverage,
                        Eigen::VectorXi::Zero(1), Vector::Zero(1), std::make_shared<detail::GroupForms>()};
    return pair_matrices(node, pairs(node, Vector::Ones(1), Vector::Ones(1))).reshaped(coordinates_, coordinates_);
  }
  Matrix result = Matrix::Zero(coordinates_, coordinates_), squares, scaled;
  for (const Block& part : blocks_) {
    products(part, squares);
    scaled = squares * leverage.row(0).segment(part.pair, part.pairs).cwiseAbs2().asDiagonal();
    multiply(library_, false, true, 1 / (n_ * images_), scaled, squares, 1, result);
  }
  return result;
}

/// Node i by Newton's method for g - G(g) = 0, where the plain iteration is too slow: with n at the rank and little
/// noise its rate tends to 1 as the square root of the shift. G is increasing and concave (a parallel sum of affine
/// functions), so Newton descends monotonically to the solution from an upper bound, g = 1/t.
void EmpiricalLaw::solve_by_newton(EmpiricalNodes& nodes, Index i) const {
  const double t = nodes.shifts[i];
  const int before = nodes.iterations[i];
  const Vector shift = Vector::Constant(1, t);
  Vector g = Vector::Constant(coordinates_, 1 / t);
  if (has_mean()) g[modes_] = kAboveBound * (1 + eigenvalues_.sum() / (n_ * t)) / (1 - mean_size_ / n_);
  Matrix leverage;
  for (int step = 0; step < options_.max_iterations && coordinates_ <= kLargestNewton && g.allFinite(); ++step) {
    const Vector updated = iterate(shift, g, &leverage);
    nodes.residual[i] = (updated.array() / g.array()).log().abs().maxCoeff();
    nodes.iterations[i] = before + step + 1;
    if (nodes.residual[i] <= options_.tolerance) {
      nodes.resolvent.col(i) = updated;
      return;
    }
    const Vector slope = updated.cwiseAbs2().cwiseQuotient(g);
    Matrix system = -(slope.asDiagonal() * leverage_matrix(g, leverage) * g.asDiagonal());
    system.diagonal().array() += 1;
    const Vector change = system.partialPivLu().solve(updated.cwiseQuotient(g) - Vector::Ones(coordinates_));
    g = g.cwiseProduct((1 + change.array()).max(kNewtonShrink).matrix());
  }
  throw ConvergenceError("EmpiricalLaw: the fixed point at shift " + detail::text(t) + " (node " + std::to_string(i) +
                         ") has not converged after " + std::to_string(before) + " iterations, residual " +
                         detail::text(nodes.residual[i]) + ", nor by Newton's method");
}

/// Iterates x = log g of the active shifts until each has converged, and writes resolvents, residuals and iterations.
void EmpiricalLaw::iterate_to_fixed_point(EmpiricalNodes& nodes, std::vector<Index> active) const {
  const Vector& shifts = nodes.shifts;
  std::vector<Anderson> accelerated(static_cast<std::size_t>(shifts.size()), Anderson(options_.history));
  Vector best = Vector::Constant(shifts.size(), std::numeric_limits<double>::infinity());
  Matrix x = gaussian_start(shifts, active);
  for (int step = 0; !active.empty(); ++step) {
    Matrix g(coordinates_, static_cast<Index>(active.size()));
    Vector t(static_cast<Index>(active.size()));
    for (std::size_t a = 0; a < active.size(); ++a) {
      g.col(static_cast<Index>(a)) = x.col(active[a]).array().exp();
      t[static_cast<Index>(a)] = shifts[active[a]];
    }
    const Matrix updated = iterate(t, g, nullptr);
    std::vector<Index> left;
    for (std::size_t a = 0; a < active.size(); ++a) {
      const Index i = active[a];
      const Vector f = updated.col(static_cast<Index>(a)).array().log() - x.col(i).array();
      const bool finite = f.allFinite();
      nodes.residual[i] = finite ? f.cwiseAbs().maxCoeff() : kNaN;
      nodes.iterations[i] = step + 1;
      if (finite && nodes.residual[i] <= options_.tolerance) {
        nodes.resolvent.col(i) = updated.col(static_cast<Index>(a));
        continue;
      }
      if (step + 1 >= options_.max_iterations) {
        solve_by_newton(nodes, i);
        continue;
      }
      if (finite && nodes.residual[i] > kWorse * best[i]) accelerated[static_cast<std::size_t>(i)].forget();
      if (finite) best[i] = std::min(best[i], nodes.residual[i]);
      x.col(i) = accelerated[static_cast<std::size_t>(i)].next(x.col(i), f);
      left.push_back(i);
    }
    active = std::move(left);
  }
}

/// Nodes that this law has solved, with the sizes that they had: no other can be used without reading beyond a matrix.
void EmpiricalLaw::require_own(const char* function, const EmpiricalNodes& nodes) const {
  const Index count = nodes.shifts.size();
  const auto fits = [count](const Matrix& matrix, Index rows) {
    return matrix.rows() == rows && matrix.cols() == count;
  };
  const bool own = identity_ != nullptr && nodes.law == identity_ && fits(nodes.resolvent, coordinates_) &&
                   fits(nodes.remaining, coordinates_) && nodes.leverage.rows() == count &&
                   nodes.leverage.cols() == first_pair_.back() && grouped() == (nodes.forms != nullptr);
  detail::require(own, function, "nodes must be a solution of this law", "those of another");
}

EmpiricalNodes EmpiricalLaw::solve(const Vector& shifts) const {
  detail::require(identity_ != nullptr, "EmpiricalLaw::solve", "the law must not have been moved from", "an empty one");
  const Index count = shifts.size();
  EmpiricalNodes nodes{shifts,
                       Matrix::Zero(coordinates_, count),
                       Matrix::Ones(coordinates_, count),
                       Matrix(count, first_pair_.back()),
                       Eigen::VectorXi::Zero(count),
                       Vector::Constant(count, kNaN),
                       grouped() ? std::make_shared<detail::GroupForms>() : nullptr,
                       identity_};
  std::vector<Index> finite;
  for (Index i = 0; i < count; ++i) {
    detail::require(shifts[i] > 0, "EmpiricalLaw::solve", "shifts must be positive", shifts[i]);
    if (std::isfinite(shifts[i]))
      finite.push_back(i);
    else if (has_mean())
      nodes.resolvent(modes_, i) = resolvent_of_mean();
  }
  iterate_to_fixed_point(nodes, finite);
  for (const Index i : finite) nodes.remaining.col(i).head(modes_) = shifts[i] * nodes.resolvent.col(i).head(modes_);
  iterate(Vector::Zero(count), nodes.resolvent, &nodes.leverage);
  return nodes;
}

Vector EmpiricalLaw::expectation(const EmpiricalNodes& nodes, const Vector& weights, double constant) const {
  require_own("EmpiricalLaw::expectation", nodes);
  detail::require(weights.size() == nodes.shifts.size(), "EmpiricalLaw::expectation",
                  "weights must have one entry for each node", weights.size());
  return (constant + ((1 - nodes.remaining.topRows(modes_).array()).matrix() * weights).array()).matrix();
}

}  // namespace kappaflow
