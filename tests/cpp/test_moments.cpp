#include <kappaflow/moments.hpp>

#include "helpers.hpp"

using namespace helpers;
using kappaflow::Moments;

namespace {

Matrix direct_covariance(const Matrix& samples) {
  const Matrix centred = samples.rowwise() - samples.colwise().mean();
  return centred.transpose() * centred / static_cast<double>(samples.rows());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(moments)

BOOST_AUTO_TEST_CASE(blocks_and_merging_equal_one_pass) {
  const Matrix samples = gaussian(101, 7, 3);
  Moments whole(7), blocks(7), first(7), second(7);
  whole.add(samples);
  for (const auto& [start, count] : {std::pair{0, 1}, {1, 40}, {41, 0}, {41, 60}}) {
    blocks.add(samples.middleRows(start, count));
  }
  first.add(samples.topRows(30));
  second.add(samples.bottomRows(71));
  first.merge(second);
  first.merge(Moments(7));
  Moments empty(7);
  empty.merge(first);
  for (const Moments* each : {&whole, &blocks, &first, &empty}) {
    BOOST_CHECK_EQUAL(each->count(), 101);
    BOOST_CHECK_EQUAL(each->dimension(), 7);
    BOOST_CHECK_LE(distance(each->mean(), samples.colwise().mean().transpose()), 1e-14);
    BOOST_CHECK_LE(distance(each->covariance(), direct_covariance(samples)), 1e-14);
  }
  BOOST_CHECK_LE(distance(whole.scatter(), whole.scatter().transpose()), 0);
}

BOOST_AUTO_TEST_CASE(a_large_mean_costs_no_accuracy) {
  const Matrix samples = gaussian(500, 5, 4);
  const Matrix shifted = (samples.array() + 1e6).matrix();
  const Matrix exact = direct_covariance((shifted.array() - 1e6).matrix());
  Moments moments(5);
  for (int block = 0; block < 10; ++block) moments.add(shifted.middleRows(50 * block, 50));
  BOOST_CHECK_LE(distance(moments.covariance(), exact), 1e-9);
}

BOOST_AUTO_TEST_CASE(a_refused_block_changes_nothing) {
  Moments moments(3);
  moments.add(gaussian(10, 3, 5));
  const Matrix scatter = moments.scatter();
  const Vector mean = moments.mean();
  Matrix bad = gaussian(4, 3, 6);
  bad(2, 1) = kNaN;
  check_rejects([&] { moments.add(bad); }, "Moments::add: block must be finite, got ");
  bad(2, 1) = kInfinity;
  check_rejects([&] { moments.add(bad); }, "Moments::add: block must be finite, got ");
  check_rejects([&] { moments.add(Matrix::Zero(2, 4)); },
                "Moments::add: block must have one column for each dimension, got shape (2, 4)");
  BOOST_CHECK_EQUAL(moments.count(), 10);
  BOOST_CHECK(moments.scatter() == scatter);
  BOOST_CHECK(moments.mean() == mean);
}

BOOST_AUTO_TEST_CASE(restores_saved_sums) {
  const Matrix samples = gaussian(60, 4, 7);
  Moments first(4), whole(4);
  first.add(samples.topRows(20));
  Moments restored(first.count(), first.mean(), first.scatter());
  restored.add(samples.bottomRows(40));
  whole.add(samples);
  BOOST_CHECK_LE(distance(restored.covariance(), whole.covariance()), 1e-14);
}

BOOST_AUTO_TEST_CASE(refuses_bad_input) {
  check_rejects([] { Moments(0); }, "Moments: dimension must be positive, got 0");
  check_rejects([] { Moments(-1, Vector::Zero(2), Matrix::Zero(2, 2)); }, "count must not be negative, got -1");
  check_rejects([] { Moments(1, Vector::Zero(2), Matrix::Zero(3, 3)); },
                "scatter must be square with the size of the mean, got shape (3, 3)");
  check_rejects([] { Moments(2).covariance(); }, "Moments::covariance: count must be positive, got 0");
  check_rejects([] { Moments(2).merge(Moments(3)); }, "Moments::merge: other must have the same dimension, got 3");
}

BOOST_AUTO_TEST_SUITE_END()
