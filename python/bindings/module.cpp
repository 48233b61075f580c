#include <kappaflow/errors.hpp>
#include <kappaflow/version.hpp>

#include "registers.hpp"

namespace {

/// Cls.__new__(Cls) alone would give an object whose C++ value is memory that nothing has written. With a tp_new of
/// their own, CPython refuses it ("is not safe") for classes of this module; Cls(...) and results of functions are not
/// affected.
void refuse_bare_new(const pybind11::module_& module) {
  const auto metaclass = reinterpret_cast<PyObject*>(pybind11::detail::get_internals().default_metaclass);
  for (const auto& item : module.attr("__dict__").cast<pybind11::dict>()) {
    if (reinterpret_cast<PyObject*>(Py_TYPE(item.second.ptr())) != metaclass) continue;
    reinterpret_cast<PyTypeObject*>(item.second.ptr())->tp_new = [](PyTypeObject* type, PyObject*, PyObject*) {
      return pybind11::detail::make_new_instance(type);
    };
  }
}

}  // namespace

PYBIND11_MODULE(_core, module) {
  module.doc() = "C++ core of kappaflow; the public names are in the package above it.";
  module.attr("__version__") = KAPPAFLOW_VERSION;
  pybind11::register_exception<kappaflow::ConvergenceError>(module, "ConvergenceError", PyExc_RuntimeError);
  pybind11::register_exception<kappaflow::UnidentifiedError>(module, "UnidentifiedError", PyExc_ValueError);
  register_linear_algebra(module);
  register_silverstein(module);
  register_splits(module);
  refuse_bare_new(module);
}
