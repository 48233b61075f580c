#include <pybind11/eigen.h>

#include <kappaflow/eigensolver.hpp>
#include <kappaflow/moments.hpp>
#include <memory>
#include <string>

#include "registers.hpp"

namespace py = pybind11;
using namespace py::literals;
using kappaflow::LinearAlgebra;
using kappaflow::Moments;

namespace {

/// The function pointer in one of SciPy's Cython capsules, whose name is the C signature and is checked.
template <class Function>
Function from_capsule(const py::object& object, const std::string& signature) {
  if (object.is_none()) return nullptr;
  const auto capsule = py::cast<py::capsule>(object);
  const std::string name = capsule.name() != nullptr ? capsule.name() : "";
  std::string plain = name;
  for (const char* type : {"__pyx_t_5scipy_6linalg_13cython_lapack_d", "__pyx_t_5scipy_6linalg_11cython_blas_d"}) {
    for (std::size_t at; (at = plain.find(type)) != std::string::npos;)
      plain.replace(at, std::string(type).size(), "double");
  }
  if (plain != signature)
    throw py::type_error("LinearAlgebra: capsule must have the signature '" + signature + "', got '" + name + "'");
  return reinterpret_cast<Function>(capsule.get_pointer<void>());
}

LinearAlgebra library(const py::object& syevd, const py::object& syrk, const py::object& gemm) {
  return {
      from_capsule<kappaflow::SyevdFunction>(
          syevd, "void (char *, char *, int *, double *, int *, double *, double *, int *, int *, int *, int *)"),
      from_capsule<kappaflow::SyrkFunction>(
          syrk, "void (char *, char *, int *, int *, double *, double *, int *, double *, double *, int *)"),
      from_capsule<kappaflow::GemmFunction>(
          gemm,
          "void (char *, char *, int *, int *, int *, double *, double *, int *, double *, int *, double *, double *, "
          "int *)")};
}

}  // namespace

void register_linear_algebra(py::module_& module) {
  py::class_<LinearAlgebra>(module, "LinearAlgebra", "BLAS and LAPACK routines taken from SciPy's Cython capsules.")
      .def(py::init(&library), "syevd"_a = py::none(), "syrk"_a = py::none(), "gemm"_a = py::none());

  module.def(
      "symmetric_eigensystem",
      [](Eigen::MatrixXd matrix, bool vectors, const LinearAlgebra& routines) {
        kappaflow::Eigensystem system;
        {
          py::gil_scoped_release release;
          system = kappaflow::symmetric_eigensystem(std::move(matrix), vectors, routines);
        }
        return py::make_tuple(std::move(system.values), std::move(system.vectors));
      },
      "matrix"_a, "vectors"_a, "library"_a,
      "Descending eigenvalues (d,) and eigenvectors (d, d) of a symmetric matrix.");

  module.def(
      "gram_eigensystem",
      [](const Eigen::Ref<const Eigen::MatrixXd>& samples, double divisor, bool vectors,
         const LinearAlgebra& routines) {
        kappaflow::Eigensystem system;
        {
          py::gil_scoped_release release;
          system = kappaflow::gram_eigensystem(samples, divisor, vectors, routines);
        }
        return py::make_tuple(std::move(system.values), std::move(system.vectors));
      },
      "samples"_a, "divisor"_a, "vectors"_a, "library"_a,
      "Non-zero eigenvalues and eigenvectors of X'X/divisor through the Gram matrix of N < d centred samples.");

  py::class_<Moments>(module, "Moments", "Mean and covariance of a stream of samples, one pass, mergeable.")
      .def(py::init<Eigen::Index>(), "dimension"_a)
      .def(py::init<std::int64_t, const Eigen::Ref<const Eigen::VectorXd>&, const Eigen::Ref<const Eigen::MatrixXd>&>(),
           "count"_a, "mean"_a, "scatter"_a)
      .def("add", &Moments::add, "block"_a, "library"_a, py::call_guard<py::gil_scoped_release>())
      .def("merge", &Moments::merge, "other"_a, py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("count", py::cpp_function(&Moments::count, py::call_guard<py::gil_scoped_release>()))
      .def_property_readonly("dimension", &Moments::dimension)
      .def_property_readonly("mean", py::cpp_function(&Moments::mean, py::call_guard<py::gil_scoped_release>()))
      .def("scatter", &Moments::scatter, py::call_guard<py::gil_scoped_release>())
      .def("covariance", &Moments::covariance, py::call_guard<py::gil_scoped_release>())
      .def("__copy__", [](const Moments& self) { return std::make_unique<Moments>(self); })
      .def(
          "__deepcopy__", [](const Moments& self, const py::object&) { return std::make_unique<Moments>(self); },
          "memo"_a);
}
