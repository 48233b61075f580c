#include <cstdio>
#include <kappaflow/splits.hpp>
#include <vector>

int main() {
  const std::vector<double> eigenvalues{4.0, 1.0, 0.25, 0.0625};
  const kappaflow::Splits splits(kappaflow::Spectrum(Eigen::Map<const Eigen::VectorXd>(eigenvalues.data(), 4)), 100);
  const auto denoiser = splits.denoiser(0.5);
  const auto kappa = splits.kappa(denoiser.shifts());
  const double variance = splits.covariance(denoiser, denoiser).matrix()(0, 0);
  std::printf("kappa %.15g, variance of the first mode %.15g\n", kappa.kappa[0], variance);
  return kappa.good() && variance > 0 ? 0 : 1;
}
