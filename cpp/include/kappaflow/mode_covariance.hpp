#pragma once

#include <Eigen/Core>

#include "kappaflow/spectrum.hpp"

namespace kappaflow {

/// The parts of a ModeCovariance of two maps f and g; N_f and N_g are the numbers of their nodes.
struct ModeCovarianceTerms {
  Eigen::VectorXd shift_f, shift_g;  ///< u_i (N_f) and u_j (N_g) of the nodes
  Eigen::MatrixXd weights;           ///< W (N_f, N_g): w_i w_j K_ij c_ij^2
  bool same_map = false;             ///< f is g: the sums over nodes are the same, and only pairs i <= j are formed
  bool exchange = true;              ///< the exchange term doubles the variance of equal modes
  Eigen::VectorXd mean_term;         ///< (modes) covariance that the estimated mean adds to each output mode
  Eigen::MatrixXd radial_left;       ///< (modes, N) and (modes, N), R = left right': the radial term of unequal sizes;
  Eigen::MatrixXd radial_right;      ///< no columns for equal sizes
};

/// Covariance over training sets of two maps f(S), g(S) of the sample covariance S, in the eigenbasis of the
/// population, theory.md (16):
///
///   Cov[v'f(S)x, w'g(S)y] = sum_kl V_kl (v_k w_k x_l y_l + v_k y_k w_l x_l),
///   V_kl = sum_ij W_ij b_k,ij b_l,ij,   b_k,ij = s_k/((s_k+u_i)(s_k+u_j)).
///
/// For a spectrum that is known exactly u is kappa, and W_ij = w_i w_j K_ij with K_ij = kappa_i kappa_j q_ij/(1 - q_ij
/// df2_ij), theory.md (23); q = 1/m for samples of equal size. The second product, the exchange term of real symmetric
/// matrices, is absent from the published law. Samples of unequal size add the radial term, theory.md (29), sum_kl R_kl
/// v_k x_k w_l y_l: the number of large samples moves the gains of all modes together.
///
/// V is a smooth function of (log s_k, log s_l). With many modes it is computed on Chebyshev points, 20 per decade, and
/// interpolated with a relative error below 1e-12. This is an immutable value, created by Splits::covariance:
///
///     const kappaflow::ModeCovariance covariance = splits.covariance(f, f);
///     const Eigen::MatrixXd variances = covariance.matrix();          // Var[u_k'f(S)u_l], exchange included
///     const Eigen::MatrixXd outputs = covariance.output(x, x);        // of the output modes for rows x of inputs
class ModeCovariance {
 public:
  using Matrix = Eigen::MatrixXd;
  using Vector = Eigen::VectorXd;

  /// Throws std::invalid_argument if a size in `terms` does not fit the spectrum or the nodes.
  ModeCovariance(const Spectrum& spectrum, ModeCovarianceTerms terms);

  Eigen::Index modes() const { return modes_; }
  bool has_exchange() const { return exchange_; }
  bool interpolated() const { return interpolated_; }

  /// Covariance of the two output modes k that the estimated mean adds; zeros with a known mean.
  const Vector& mean_term() const { return mean_term_; }

  /// V (rows of `weights`)': each row of modes is multiplied by V. (B, modes) -> (B, modes).
  Matrix apply(const Eigen::Ref<const Matrix>& weights) const;

  /// a_b' V c_b for each pair of rows: (B, modes), (B, modes) -> (B).
  Vector bilinear(const Eigen::Ref<const Matrix>& a, const Eigen::Ref<const Matrix>& c) const;

  /// V_kk without the exchange term.
  Vector diagonal() const;

  /// The radial term of samples of unequal size: R_kk (modes), and a_b' R c_b for each pair of rows. Zero for equal
  /// sizes.
  Vector radial_diagonal() const;
  Vector radial_bilinear(const Eigen::Ref<const Matrix>& a, const Eigen::Ref<const Matrix>& c) const;

  /// Cov[u_k'f(S)u_l, u_k'g(S)u_l] for the chosen modes, theory.md (18), (rows, rows); exchange doubles equal modes.
  Matrix matrix(const Eigen::Ref<const Eigen::VectorXi>& modes) const;
  Matrix matrix() const;

  /// Covariance of output mode k for inputs x and y in mode coordinates (mean removed): (B, modes).
  Matrix output(const Eigen::Ref<const Matrix>& x, const Eigen::Ref<const Matrix>& y) const;

 private:
  Matrix gather(const Eigen::Ref<const Matrix>& weights) const;          // (B, modes) -> (B, nodes)
  Matrix scatter(const Eigen::Ref<const Matrix>& values) const;          // (B, nodes) -> (B, modes)
  Matrix between(const Eigen::Ref<const Eigen::VectorXi>& modes) const;  // V without exchange, interpolated

  Eigen::Index modes_;
  bool exchange_, interpolated_ = false;
  Matrix kernel_;          // V on the modes, or on the nodes if it is interpolated
  Eigen::VectorXi first_;  // first node of each mode's panel, -1 where s = 0
  Matrix interpolation_;   // (nodes of a panel, modes)
  Vector mean_term_;
  Matrix radial_left_, radial_right_;
};

}  // namespace kappaflow
