#pragma once

#include <Eigen/Core>
#include <memory>
#include <vector>

#include "kappaflow/eigensolver.hpp"
#include "kappaflow/mean.hpp"

namespace kappaflow {

namespace detail {
struct GroupForms;
}

/// Settings of EmpiricalLaw.
struct EmpiricalOptions {
  int max_iterations = 500;         ///< iterations of the fixed point, at least 1; 10 to 30 are usual
  double tolerance = 1e-11;         ///< largest relative change of g that counts as converged, in (0, 0.1)
  int history = 5;                  ///< earlier iterates kept by Anderson's acceleration, 1 to 20
  double ladder_tolerance = 1e-10;  ///< relative residual of the ladder's linear systems, in (0, 0.1)
  int ladder_iterations = 500;      ///< conjugate-gradient iterations for the ladder, at least 1; 5 to 50 are usual
  double compression = 1e-8;        ///< relative error of nodes represented in the span of a few, in (0, 0.1)
};

/// Solution of the fixed point at N shifts (infinity allowed), for D coordinates and M profiles. With an estimated mean
/// there is one coordinate more than modes, of value 1 and shift 0. A group of m profiles has m (m+1)/2 pairs of
/// members a <= b, at b (b+1)/2 + a; without groups a profile is its own and only pair, C = M.
struct EmpiricalNodes {
  Eigen::VectorXd shifts;
  Eigen::MatrixXd resolvent;   ///< (D, N) g = E (S+t)^-1, diagonal; 0 at infinity
  Eigen::MatrixXd remaining;   ///< (D, N) t g = 1 - E S(S+t)^-1; 1 at infinity
  Eigen::MatrixXd leverage;    ///< (N, C) R = (1 + (1/n) Z G Z')^-1 of every group: 1/(1 + (1/n) sum_k g_k z_k^2)
  Eigen::VectorXi iterations;  ///< for each shift; 0 at infinity
  Eigen::VectorXd
      residual;  ///< largest relative change of g in the last iteration; NaN at infinity, where there is none
  /// Matrices of mode pairs of groups, computed where they are first used; null without groups.
  std::shared_ptr<detail::GroupForms> forms = nullptr;
  /// The law that solved them, or a copy of it; no other law accepts them.
  std::shared_ptr<const void> law = nullptr;
};

/// The law of any i.i.d. data, Gaussian or not, from samples ("profiles"): leave-one-out with the leverage of each
/// sample kept. The fixed point is theory.md (40),
///
///   g_k = 1/(t + mean_a[z_k^2 r_a]),   r_a = 1/(1 + (1/n) sum_k g_k z_k^2)
///
/// With Q_ij,kl = (1/n) mean_a[z_k^2 z_l^2 r_i r_j], theory.md (41), and gamma_k = g_k(t_i) g_k(t_j), the variance of
/// the mode pair k, l is theory.md (43),
///
///   sum_ij w_i w_j t_i t_j [(1 - diag(gamma) Q)^-1 (gamma gamma' o Q)]_kl.
///
/// On the diagonal the contribution of the inverse counts twice, (1/n) (sum_i w_i t_i g_k^2 mean_a[z_k^2 r_a])^2 is
/// subtracted, and the fluctuation of the sample's own second moment is dressed in the same way, theory.md (45).
/// Samples with equal leverage give the Gaussian law. An immutable value; safe to use from several threads. A method
/// throws std::invalid_argument for nodes that another law has solved, or whose sizes were changed.
///
/// Samples may come in groups (rows Z) that are independent of one another while their members are not; training sets
/// are drawn by whole groups. The leverage of a group is a matrix, and z_k z_l r becomes A_kl = (Z'RZ)_kl, theory.md
/// (49): with the mean size m of a group, g_k = 1/(t + mean[A_kk]/m), Q_ij,kl = mean[A_i,kl A_j,kl]/(n m), and what is
/// subtracted is multiplied by m.
///
///     const kappaflow::EmpiricalLaw law(profiles, eigenvalues, 200, kappaflow::Mean::known);
///     const kappaflow::EmpiricalNodes nodes = law.solve(f.shifts());
///     const Eigen::VectorXd gain = law.expectation(nodes, f.weights(), f.constant());
///     const Eigen::MatrixXd variance = law.mode_covariance(nodes, f.weights(), f.weights());
class EmpiricalLaw {
 public:
  using Profiles = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Matrix = Eigen::MatrixXd;
  using Vector = Eigen::VectorXd;

  /// Profiles (M, modes): mode coordinates of samples, mean removed, mean square of each mode its eigenvalue. `groups`:
  /// first profile of each group, and M at the end; empty if every profile is a group of its own. n counts samples.
  EmpiricalLaw(Profiles profiles, const Vector& eigenvalues, double n, Mean mean, const LinearAlgebra& library = {},
               const EmpiricalOptions& options = {}, std::vector<Eigen::Index> groups = {});

  Eigen::Index modes() const { return modes_; }
  /// Number of groups; that of profiles if they have none.
  Eigen::Index groups() const { return static_cast<Eigen::Index>(first_row_.size()) - 1; }
  /// Mean number of samples in a group.
  double group_size() const { return mean_size_; }

  /// Solves the fixed point at these positive shifts, all at once. Throws ConvergenceError naming the shift and the
  /// residual.
  EmpiricalNodes solve(const Vector& shifts) const;

  /// E f(S) per mode for weights (N) over solved shifts: constant + sum_i w_i (1 - t_i g_k). (modes)
  Vector expectation(const EmpiricalNodes& nodes, const Vector& weights, double constant) const;

  /// Cov[u_k'f(S)u_l, u_k'g(S)u_l] of all mode pairs, (modes, modes), for weights (N) of f and g over the same shifts.
  Matrix mode_covariance(const EmpiricalNodes& nodes, const Vector& f, const Vector& g) const;

  /// Covariance of the outputs of two maps summed over groups of output modes, theory.md (47): (B, K) for inputs x and
  /// y (B, modes) in mode coordinates and groups (modes, K) of weights >= 0. Weights of the node at infinity carry the
  /// estimated mean.
  Matrix output_covariance(const EmpiricalNodes& nodes, const Vector& f, const Vector& g, const Matrix& x,
                           const Matrix& y, const Matrix& groups) const;

  /// Influence of each group on each output mode for one input x (modes), to first order: t g_k z_k sum_i w_i r_i
  /// u_i, u_i = sum_l g_l z_l x_l, summed over its members. (groups, modes). Its covariance over groups / (n m) is the
  /// covariance of the output modes without the ladder.
  Matrix influence(const EmpiricalNodes& nodes, const Vector& f, const Vector& x) const;

  /// Covariance of each output mode (modes) for inputs of independent mode coordinates around the mean, of this
  /// variance (modes): sum_l V_kl variance_l over the mode pairs, without the excess of equal modes (exchange and third
  /// pairing), and the fluctuation of the output at the mean if the mean is estimated.
  Vector spread(const EmpiricalNodes& nodes, const Vector& f, const Vector& g, const Vector& variance) const;

  /// Covariance of each output mode that the ladder adds to that of influence(), (modes) for inputs x and y (modes).
  Vector ladder_covariance(const EmpiricalNodes& nodes, const Vector& f, const Vector& g, const Vector& x,
                           const Vector& y) const;

 private:
  struct Pairs;
  struct Forms;
  struct Dressed;
  struct Outputs;
  /// Groups that are processed at once: their rows and pairs of rows.
  struct Block {
    Eigen::Index group, groups, row, rows, pair, pairs;
  };
  void require_own(const char* function, const EmpiricalNodes& nodes) const;
  void arrange(std::vector<Eigen::Index> first_row);
  void reduce_groups(std::vector<Eigen::Index>& first_row);
  bool grouped() const { return mean_size_ != 1; }
  Eigen::Index members(Eigen::Index group) const {
    const auto at = static_cast<std::size_t>(group);
    return first_row_[at + 1] - first_row_[at];
  }
  bool has_mean() const { return coordinates_ > modes_; }
  void rows(const Block& part, Matrix& transposed) const;
  void products(const Block& part, Matrix& transposed) const;
  void double_mixed(const Block& part, Matrix& by_pair) const;
  Matrix sum_groups(const Block& part, const Matrix& by_pair) const;
  void invert(const Block& part, Matrix& gram) const;
  void sandwich(const Block& part, const EmpiricalNodes& nodes, const Pairs& pairs,
                const std::vector<Eigen::Index>& which, Matrix& inner) const;
  Vector pair_products(const Block& part, const Vector& from, const Vector& to) const;
  Matrix respond(const Block& part, const EmpiricalNodes& nodes, const Matrix& u) const;
  Matrix respond(const EmpiricalNodes& nodes, const Matrix& u) const;
  Matrix iterate(const Vector& shifts, const Matrix& g, Matrix* leverage) const;
  double resolvent_of_mean() const;
  Matrix gaussian_start(const Vector& shifts, const std::vector<Eigen::Index>& which) const;
  void iterate_to_fixed_point(EmpiricalNodes& nodes, std::vector<Eigen::Index> active) const;
  Matrix leverage_matrix(const Vector& resolvent, const Matrix& leverage) const;
  void solve_by_newton(EmpiricalNodes& nodes, Eigen::Index i) const;
  Pairs pairs(const EmpiricalNodes& nodes, const Vector& f, const Vector& g, bool all_equal = false) const;
  Matrix apply_leverage(const EmpiricalNodes& nodes, const Pairs& pairs, const Matrix& vectors,
                        const std::vector<Eigen::Index>& which) const;
  Matrix apply_forms(const EmpiricalNodes& nodes, const Pairs& pairs, const Matrix& vectors) const;
  Matrix ladder(const EmpiricalNodes& nodes, const Pairs& pairs, Matrix right) const;
  template <class Apply>
  void solve_ladder(const EmpiricalNodes& nodes, const Pairs& pairs, Matrix& right, const Apply& apply) const;
  Forms leverage_forms(const EmpiricalNodes& nodes, const Pairs& pairs) const;
  const detail::GroupForms& group_forms(const EmpiricalNodes& nodes) const;
  void sum_forms(detail::GroupForms& result) const;
  Matrix pair_matrices(const EmpiricalNodes& nodes, const Pairs& pairs) const;
  bool uses_forms() const;
  Vector third_pairing(const EmpiricalNodes& nodes, const Vector& f, const Vector& g, const Dressed& dressed) const;
  Matrix projections(const EmpiricalNodes& nodes, const Vector& x) const;  // u (N, M)
  Vector typical_terms(const Matrix& x, const Matrix& y) const;
  Vector centre(const EmpiricalNodes& nodes, const Vector& f) const;

  Profiles profiles_;
  Vector ones_;  // coordinate of the mean of each row: 1, unless the rows of a group were reduced
  std::vector<Eigen::Index> first_row_, first_pair_;  // of each group, and the total at the end
  std::vector<Block> blocks_;
  double images_, mean_size_;  // profiles as they were given, and how many of them form a group on average
  Vector eigenvalues_;
  Eigen::Index modes_, coordinates_;
  double n_;
  LinearAlgebra library_;
  EmpiricalOptions options_;
  std::shared_ptr<const void> identity_ = std::make_shared<char>();  // shared by copies, empty once moved from
};

}  // namespace kappaflow
