#pragma once

#include <Eigen/Core>

namespace kappaflow {

/// Interval of positive eigenvalues on which a rational rule must hold; zero eigenvalues are exact in any case.
struct Interval {
  double low = 0;   ///< > 0
  double high = 0;  ///< > low
};

/// f(x) = c + sum_i w_i x/(x + t_i), theory.md (3): a spectral function as a mixture of resolvents. An immutable value.
///
///     const auto f = kappaflow::SpectralFunction::denoiser(0.5);                           // x/(x + 0.25), exact
///     const auto g = kappaflow::SpectralFunction::sampling_map(0.0, 80.0, {1e-6, 40.0});   // sqrt(x/(x + 6400))
///     const double gain = g(1.0);
class SpectralFunction {
 public:
  /// Any mixture; throws std::invalid_argument unless all shifts are finite and not negative, weights finite, sizes
  /// equal.
  SpectralFunction(double constant, const Eigen::Ref<const Eigen::VectorXd>& weights,
                   const Eigen::Ref<const Eigen::VectorXd>& shifts, double error_bound = 0);

  /// Optimal linear denoiser x/(x + sigma^2), sigma >= 0: one node, exact.
  static SpectralFunction denoiser(double sigma);

  /// Probability-flow map sqrt((x + sigma^2)/(x + sigma_max^2)), theory.md (6), from sigma_max down to 0 <= sigma <
  /// sigma_max. The relative error of the rule on `support` is at most `tolerance`, in [1e-15, 0.1]; that of rounding,
  /// a unit for each node and 64 more, is added to error_bound(). Throws std::invalid_argument unless the square of
  /// each noise level is 0 or a normal number.
  static SpectralFunction sampling_map(double sigma, double sigma_max, Interval support, double tolerance = 1e-13);

  /// x^alpha, 0 < alpha < 1, to the same errors: the optimal rule for alpha = 1/2, else the trapezoid rule in log t.
  static SpectralFunction matrix_power(double alpha, Interval support, double tolerance = 1e-13);

  double constant() const { return constant_; }
  const Eigen::VectorXd& weights() const { return weights_; }
  const Eigen::VectorXd& shifts() const { return shifts_; }
  double error_bound() const { return error_bound_; }  ///< bound on the relative error at 0 and on the support

  double operator()(double x) const;  ///< value of the mixture at x >= 0

 private:
  double constant_;
  Eigen::VectorXd weights_, shifts_;
  double error_bound_;
};

/// The optimal rational rule sqrt(y) = sum_j v_j y/(y + y_j), theory.md (4), on [low, high] with `nodes` >= 1 terms.
struct SquareRootRule {
  Eigen::VectorXd shifts, weights;  ///< y_j and v_j
  double error_bound = 0;           ///< sup of the relative error on [low, high], without rounding
};
SquareRootRule square_root_rule(Interval interval, int nodes);

/// Smallest number of nodes whose error bound, theory.md (5), meets `tolerance` on [low, high].
int square_root_nodes(Interval interval, double tolerance);

}  // namespace kappaflow
