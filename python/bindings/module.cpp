#include <kappaflow/errors.hpp>
#include <kappaflow/version.hpp>

#include "registers.hpp"

PYBIND11_MODULE(_core, module) {
  module.doc() = "C++ core of kappaflow; the public names are in the package above it.";
  module.attr("__version__") = KAPPAFLOW_VERSION;
  pybind11::register_exception<kappaflow::ConvergenceError>(module, "ConvergenceError", PyExc_RuntimeError);
  pybind11::register_exception<kappaflow::UnidentifiedError>(module, "UnidentifiedError", PyExc_ValueError);
  register_linear_algebra(module);
  register_silverstein(module);
  register_splits(module);
}
