// Objects that threads share: moments, sizes of samples, ensembles, the empirical law. ThreadSanitizer watches the run
// (tools/threads.sh); without it, wrong sums fail.
#include <atomic>
#include <cstdio>
#include <kappaflow/empirical.hpp>
#include <kappaflow/moments.hpp>
#include <kappaflow/splits.hpp>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace {

using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;
using Profiles = kappaflow::EmpiricalLaw::Profiles;

constexpr int kThreads = 8, kRounds = 30, kModes = 6, kSamples = 48;

std::atomic<int> failures{0};

void check(bool holds, const char* what) {
  if (holds) return;
  ++failures;
  std::printf("failed: %s\n", what);
}

template <class Job>
void together(const Job& job) {
  std::vector<std::thread> threads;
  for (int number = 0; number < kThreads; ++number) threads.emplace_back([&job, number] { job(number); });
  for (std::thread& thread : threads) thread.join();
}

void share_moments(const Matrix& samples) {
  kappaflow::Moments one(kModes), other(kModes);
  together([&](int) {
    for (int round = 0; round < kRounds; ++round) {
      one.add(samples);
      other.add(samples);
      check(one.count() > 0 && one.mean().allFinite() && one.covariance().allFinite(), "sums while they grow");
    }
  });
  check(one.count() == kThreads * kRounds * kSamples, "count of all blocks");
  together([&](int number) { number % 2 == 0 ? one.merge(other) : other.merge(one); });
  one.merge(one);
  const kappaflow::Moments copy(one);
  check(copy.count() == one.count(), "count of a copy");
}

void share_ensembles(const Profiles& profiles, const Vector& eigenvalues) {
  const auto scales = std::make_shared<const kappaflow::RadialScales>(
      Eigen::Map<const Profiles>(profiles.data(), profiles.rows(), profiles.cols()), eigenvalues);
  const kappaflow::Spectrum spectrum(eigenvalues);
  const kappaflow::Splits gaussian(spectrum, 20), elliptical(spectrum, 20, {.scales = scales});
  together([&](int number) {
    for (int round = 0; round < kRounds; ++round) {
      const auto f = kappaflow::SpectralFunction::denoiser(0.1 * (1 + (number + round) % 7));
      check(gaussian.covariance(f, f).diagonal().minCoeff() > 0, "Gaussian variance");
      check(elliptical.expectation(f).allFinite(), "elliptical expectation");
      check(scales->at(0.001 * (1 + round)).allFinite(), "sizes");
    }
  });
}

void share_empirical_law(const Profiles& profiles, const Vector& eigenvalues, std::vector<Eigen::Index> groups) {
  const kappaflow::EmpiricalLaw law(profiles, eigenvalues, 20, kappaflow::Mean::known, {}, {}, std::move(groups));
  const Vector shifts = Vector::LinSpaced(3, 0.5, 2), ones = Vector::Ones(3), x = Vector::Ones(kModes);
  const kappaflow::EmpiricalNodes nodes = law.solve(shifts);
  together([&](int) {
    check(law.mode_covariance(nodes, ones, ones).allFinite(), "matrix of mode pairs");
    check(law.spread(nodes, ones, ones, x).allFinite(), "spread");
    check(law.expectation(law.solve(shifts), ones, 0).allFinite(), "expectation");
  });
}

}  // namespace

int main() {
  std::mt19937 engine(1);
  std::normal_distribution<double> normal;
  const Matrix samples = Matrix::NullaryExpr(kSamples, kModes, [&]() { return normal(engine); });
  const Profiles profiles = samples.cast<float>();
  const Vector eigenvalues = profiles.cast<double>().cwiseAbs2().colwise().mean();
  share_moments(samples);
  share_ensembles(profiles, eigenvalues);
  share_empirical_law(profiles, eigenvalues, {});
  std::vector<Eigen::Index> groups;
  for (Eigen::Index first = 0; first <= kSamples; first += 3) groups.push_back(first);
  share_empirical_law(profiles, eigenvalues, std::move(groups));
  std::printf("%d failures\n", failures.load());
  return failures == 0 ? 0 : 1;
}
