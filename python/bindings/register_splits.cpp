#include <pybind11/eigen.h>
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <kappaflow/empirical.hpp>
#include <kappaflow/radial.hpp>
#include <kappaflow/spectral_function.hpp>
#include <kappaflow/splits.hpp>

#include "registers.hpp"

namespace py = pybind11;
using namespace py::literals;
using kappaflow::EmpiricalLaw;
using kappaflow::EmpiricalNodes;
using kappaflow::ModeCovariance;
using kappaflow::RadialScales;
using kappaflow::SpectralFunction;
using kappaflow::Splits;
using ConstVector = Eigen::Ref<const Eigen::VectorXd>;

namespace {

void register_spectral_function(py::module_& module) {
  py::class_<SpectralFunction>(module, "SpectralFunction", "f(x) = c + sum_i w_i x/(x + t_i), an immutable value.")
      .def(py::init<double, const ConstVector&, const ConstVector&, double>(), "constant"_a, "weights"_a, "shifts"_a,
           "error_bound"_a = 0.0)
      .def_static("denoiser", &SpectralFunction::denoiser, "sigma"_a)
      .def_static(
          "sampling_map",
          [](double sigma, double sigma_max, double low, double high, double tolerance) {
            return SpectralFunction::sampling_map(sigma, sigma_max, {low, high}, tolerance);
          },
          "sigma"_a, "sigma_max"_a, "low"_a, "high"_a, "tolerance"_a)
      .def_static(
          "matrix_power",
          [](double alpha, double low, double high, double tolerance) {
            return SpectralFunction::matrix_power(alpha, {low, high}, tolerance);
          },
          "alpha"_a, "low"_a, "high"_a, "tolerance"_a)
      .def_property_readonly("constant", &SpectralFunction::constant, "c = f(0)")
      .def_property_readonly("weights", [](const SpectralFunction& self) { return Eigen::VectorXd(self.weights()); })
      .def_property_readonly("shifts", [](const SpectralFunction& self) { return Eigen::VectorXd(self.shifts()); })
      .def_property_readonly("error_bound", &SpectralFunction::error_bound,
                             "bound on the relative error on the support")
      .def("__call__", py::vectorize([](const SpectralFunction* self, double x) { return (*self)(x); }), "x"_a)
      .def("__repr__",
           [](const SpectralFunction& self) {
             return "SpectralFunction(" + std::to_string(self.shifts().size()) + " nodes, constant " +
                    std::to_string(self.constant()) + ")";
           })
      .def("__reduce__", [](const py::object& self) {
        const auto& f = self.cast<const SpectralFunction&>();
        return py::make_tuple(py::type::of(self), py::make_tuple(f.constant(), Eigen::VectorXd(f.weights()),
                                                                 Eigen::VectorXd(f.shifts()), f.error_bound()));
      });
}

void register_mode_covariance(py::module_& module) {
  const auto release = py::call_guard<py::gil_scoped_release>();
  py::class_<ModeCovariance>(module, "ModeCovariance", "Covariance of two maps over training sets, in the eigenbasis.")
      .def_property_readonly("modes", &ModeCovariance::modes)
      .def_property_readonly("has_exchange", &ModeCovariance::has_exchange)
      .def_property_readonly("interpolated", &ModeCovariance::interpolated)
      .def_property_readonly("mean_term", [](const ModeCovariance& self) { return Eigen::VectorXd(self.mean_term()); })
      .def("apply", &ModeCovariance::apply, "weights"_a, release)
      .def("bilinear", &ModeCovariance::bilinear, "a"_a, "c"_a, release)
      .def("diagonal", &ModeCovariance::diagonal, release)
      .def("radial_diagonal", &ModeCovariance::radial_diagonal, release)
      .def("radial_bilinear", &ModeCovariance::radial_bilinear, "a"_a, "c"_a, release)
      .def("matrix", py::overload_cast<const Eigen::Ref<const Eigen::VectorXi>&>(&ModeCovariance::matrix, py::const_),
           "modes"_a, release)
      .def("matrix", py::overload_cast<>(&ModeCovariance::matrix, py::const_), release)
      .def("output", &ModeCovariance::output, "x"_a, "y"_a, release);
}

void register_radial_scales(py::module_& module) {
  const auto release = py::call_guard<py::gil_scoped_release>();
  py::class_<RadialScales, std::shared_ptr<RadialScales>>(module, "RadialScales", "Sizes of samples, of mean 1.")
      .def(py::init([](const ConstVector& sizes) { return std::make_shared<RadialScales>(Eigen::VectorXd(sizes)); }),
           "sizes"_a)
      .def(py::init([](const py::array_t<float, py::array::c_style>& profiles, const ConstVector& eigenvalues,
                       const kappaflow::LinearAlgebra& library) {
             if (profiles.ndim() != 2) {
               throw std::invalid_argument("RadialScales: profiles must have two axes, got " +
                                           std::to_string(profiles.ndim()));
             }
             return std::make_shared<RadialScales>(
                 Eigen::Map<const RadialScales::Profiles>(profiles.data(), profiles.shape(0), profiles.shape(1)),
                 Eigen::VectorXd(eigenvalues), library);
           }),
           py::arg("profiles").noconvert(), "eigenvalues"_a, "library"_a, py::keep_alive<1, 2>())
      .def_property_readonly("size", &RadialScales::size)
      .def("at", &RadialScales::at, "shift"_a, release);
}

void register_ensemble(py::module_& module) {
  const auto release = py::call_guard<py::gil_scoped_release>();
  py::enum_<kappaflow::Mean>(module, "Mean")
      .value("known", kappaflow::Mean::known)
      .value("estimated", kappaflow::Mean::estimated);
  py::enum_<kappaflow::Terms>(module, "Terms")
      .value("full", kappaflow::Terms::full)
      .value("published", kappaflow::Terms::published);
  py::class_<Splits>(module, "Splits", "The ensemble of training sets of n samples.")
      .def(py::init([](const kappaflow::Spectrum& spectrum, double n, kappaflow::Mean mean, kappaflow::Terms terms,
                       double sample_size, std::optional<std::shared_ptr<RadialScales>> scales) {
             return Splits(spectrum, n, {mean, terms, sample_size, scales.value_or(nullptr)});
           }),
           "spectrum"_a, "n"_a, "mean"_a, "terms"_a, "sample_size"_a = kappaflow::Renormalization::kExact,
           "scales"_a = py::none())
      .def_property_readonly("degrees", &Splits::degrees)
      .def("kappa", &Splits::kappa, "noise_variance"_a, release)
      .def("sampling_map", &Splits::sampling_map, "sigma"_a, "sigma_max"_a, "tolerance"_a, release)
      .def("support",
           [](const Splits& self) {
             const kappaflow::Interval interval = self.support();
             return py::make_tuple(interval.low, interval.high);
           })
      .def("expectation", &Splits::expectation, "f"_a, release)
      .def("expectation_correction", &Splits::expectation_correction, "f"_a, release)
      .def("kappa_correction", &Splits::kappa_correction, "noise_variance"_a, release)
      .def("covariance", &Splits::covariance, "f"_a, "g"_a, release)
      .def("equal_mode_variance", &Splits::equal_mode_variance, "f"_a, release)
      .def("equal_mode_excess", &Splits::equal_mode_excess, "f"_a, "g"_a, release);
}

void register_empirical(py::module_& module) {
  const auto release = py::call_guard<py::gil_scoped_release>();
  py::class_<EmpiricalNodes>(module, "EmpiricalNodes", "Solution of the empirical law's fixed point at some shifts.")
      .def_property_readonly("shifts", [](const EmpiricalNodes& self) { return Eigen::VectorXd(self.shifts); })
      .def_property_readonly("remaining", [](const EmpiricalNodes& self) { return Eigen::MatrixXd(self.remaining); })
      .def_property_readonly("leverage", [](const EmpiricalNodes& self) { return Eigen::MatrixXd(self.leverage); })
      .def_property_readonly("iterations", [](const EmpiricalNodes& self) { return Eigen::VectorXi(self.iterations); })
      .def_property_readonly("residual", [](const EmpiricalNodes& self) { return Eigen::VectorXd(self.residual); });
  py::class_<EmpiricalLaw>(module, "EmpiricalLaw", "The law of any i.i.d. data, from samples in mode coordinates.")
      // A reference to NumPy's own memory, so that the law's copy is the only one.
      .def(py::init([](const Eigen::Ref<const EmpiricalLaw::Profiles>& profiles, const ConstVector& eigenvalues,
                       double n, kappaflow::Mean mean, const kappaflow::LinearAlgebra& library,
                       std::vector<Eigen::Index> groups) {
             return EmpiricalLaw(profiles, eigenvalues, n, mean, library, {}, std::move(groups));
           }),
           "profiles"_a, "eigenvalues"_a, "n"_a, "mean"_a, "library"_a, "groups"_a = std::vector<Eigen::Index>())
      .def_property_readonly("groups", &EmpiricalLaw::groups)
      .def_property_readonly("group_size", &EmpiricalLaw::group_size)
      .def("solve", &EmpiricalLaw::solve, "shifts"_a, release)
      .def("expectation", &EmpiricalLaw::expectation, "nodes"_a, "weights"_a, "constant"_a, release)
      .def("mode_covariance", &EmpiricalLaw::mode_covariance, "nodes"_a, "f"_a, "g"_a, release)
      .def("output_covariance", &EmpiricalLaw::output_covariance, "nodes"_a, "f"_a, "g"_a, "x"_a, "y"_a, "groups"_a,
           release)
      .def("spread", &EmpiricalLaw::spread, "nodes"_a, "f"_a, "g"_a, "variance"_a, release)
      .def("influence", &EmpiricalLaw::influence, "nodes"_a, "f"_a, "x"_a, release)
      .def("ladder_covariance", &EmpiricalLaw::ladder_covariance, "nodes"_a, "f"_a, "g"_a, "x"_a, "y"_a, release);
}

}  // namespace

void register_splits(py::module_& module) {
  register_spectral_function(module);
  register_mode_covariance(module);
  register_radial_scales(module);
  register_ensemble(module);
  register_empirical(module);
}
