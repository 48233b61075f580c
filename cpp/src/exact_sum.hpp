#pragma once

namespace kappaflow::detail {

/// Adds `term` to `total` and returns the rounding error, so that total + error is the exact sum (Knuth's TwoSum).
template <class Real>
inline Real add_exactly(Real& total, Real term) {
  const Real sum = total + term, added = sum - total;
  const Real error = (total - (sum - added)) + (term - added);
  total = sum;
  return error;
}

}  // namespace kappaflow::detail
