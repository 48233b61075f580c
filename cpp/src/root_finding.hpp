#pragma once

#include <algorithm>
#include <cmath>
#include <functional>

namespace kappaflow::detail {

/// 200 halvings shrink a bracket by 2^-200 = 6e-61, which is below the rounding of every root in this library. The
/// loops end earlier by their own tests; the limit only guards against functions that return NaN.
inline constexpr int kMostRootSteps = 200;

/// Root of a function that is negative at `low` and positive at `high`, by bisection to the last bit.
template <class Function>
double bisect(Function&& function, double low, double high) {
  for (int step = 0; step < kMostRootSteps; ++step) {
    const double middle = low + 0.5 * (high - low);
    if (middle == low || middle == high) break;
    (function(middle) > 0 ? high : low) = middle;
  }
  return low + 0.5 * (high - low);
}

/// Root of an increasing function of x between two points of opposite sign, to a bracket of the given width.
/// Chandrupatla's combination of inverse quadratic interpolation and bisection (1997, Advances in Engineering Software
/// 28, 145-149) takes fewer evaluations than bisect(), for functions that cost much.
inline double bracketed_root(const std::function<double(double)>& function, double a, double b, double width) {
  double fa = function(a), fb = function(b), c = a, fc = fa, fraction = 0.5;
  for (int step = 0; step < kMostRootSteps && fa != 0 && fb != 0; ++step) {
    const double x = a + fraction * (b - a);
    // Between neighbouring doubles x is one of the ends, whose value is known. Stopping there would choose the other of
    // two ends with equally large values, and so change last digits.
    const double fx = x == a ? fa : x == b ? fb : function(x);
    if (std::signbit(fx) == std::signbit(fa)) {
      c = a;
      fc = fa;
    } else {
      c = b;
      fc = fb;
      b = a;
      fb = fa;
    }
    a = x;
    fa = fx;
    const double best = std::abs(fa) < std::abs(fb) ? a : b;
    const double least = 0.5 * width / std::abs(b - c);
    if (fa == 0 || std::abs(b - a) <= width) return best;
    const double xi = (a - b) / (c - b), phi = (fa - fb) / (fc - fb);
    fraction = 0.5;
    if (phi * phi < xi && (1 - phi) * (1 - phi) < 1 - xi) {  // where the inverse parabola is monotonic
      fraction = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb);
    }
    fraction = std::clamp(fraction, least, 1 - least);
  }
  return std::abs(fa) < std::abs(fb) ? a : b;
}

}  // namespace kappaflow::detail
