#pragma once

#include <stdexcept>

namespace kappaflow {

/// An iterative routine did not reach its tolerance. Thrown instead of returning a number that is not certified.
class ConvergenceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The noise is below the level at which N samples determine the population.
class UnidentifiedError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

}  // namespace kappaflow
