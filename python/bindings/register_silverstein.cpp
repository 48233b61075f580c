#include <pybind11/eigen.h>
#include <pybind11/stl.h>

#include <kappaflow/silverstein.hpp>
#include <kappaflow/spectrum.hpp>

#include "registers.hpp"

namespace py = pybind11;
using namespace py::literals;
using kappaflow::KappaResult;
using kappaflow::Spectrum;
using ConstVector = Eigen::Ref<const Eigen::VectorXd>;

void register_silverstein(py::module_& module) {
  py::class_<Spectrum>(module, "Spectrum", "Eigenvalues with multiplicities, in the caller's order.")
      .def(py::init<const ConstVector&, const ConstVector&>(), "eigenvalues"_a, "multiplicity"_a)
      .def("compressed", &Spectrum::compressed, "nodes_per_decade"_a = 12, py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("eigenvalues", [](const Spectrum& self) { return Eigen::VectorXd(self.eigenvalues()); })
      .def_property_readonly("multiplicity", [](const Spectrum& self) { return Eigen::VectorXd(self.multiplicity()); })
      .def_property_readonly("dimension", &Spectrum::dimension)
      .def_property_readonly("rank", &Spectrum::rank)
      .def_property_readonly("trace", &Spectrum::trace)
      .def("__reduce__", [](const py::object& self) {
        const auto& spectrum = self.cast<const Spectrum&>();
        return py::make_tuple(py::type::of(self), py::make_tuple(Eigen::VectorXd(spectrum.eigenvalues()),
                                                                 Eigen::VectorXd(spectrum.multiplicity())));
      });
  py::class_<KappaResult>(module, "KappaResult", "Solution of the Silverstein equation, one entry per noise variance.")
      .def_readonly("kappa", &KappaResult::kappa)
      .def_readonly("derivative", &KappaResult::derivative)
      .def_readonly("df1", &KappaResult::df1)
      .def_readonly("residual", &KappaResult::residual)
      .def_readonly("iterations", &KappaResult::iterations)
      .def_readonly("certified", &KappaResult::certified)
      .def_readonly("total_terms", &KappaResult::total_terms)
      .def_property_readonly("good", &KappaResult::good);

  module.def(
      "solve_kappa",
      [](const ConstVector& noise_variance, const Spectrum& spectrum, double m, int max_iterations) {
        return kappaflow::solve_kappa(noise_variance, spectrum, m, {.max_iterations = max_iterations});
      },
      "noise_variance"_a, "spectrum"_a, "m"_a, "max_iterations"_a = 500, py::call_guard<py::gil_scoped_release>());
  module.def("df1", &kappaflow::df1, "kappa"_a, "spectrum"_a);
  module.def("df2", &kappaflow::df2, "kappa"_a, "kappa2"_a, "spectrum"_a);
  module.def(
      "spectral_support",
      [](const Spectrum& spectrum, double m) {
        const kappaflow::Support support = kappaflow::spectral_support(spectrum, m);
        return py::make_tuple(Eigen::MatrixXd(support.intervals), support.zero_atom);
      },
      "spectrum"_a, "m"_a);
  module.def(
      "spectral_density",
      [](const ConstVector& x, const Spectrum& spectrum, double m) {
        kappaflow::DensityResult result;
        {
          py::gil_scoped_release release;
          result = kappaflow::spectral_density(x, spectrum, m);
        }
        return py::make_tuple(std::move(result.density), std::move(result.residual));
      },
      "x"_a, "spectrum"_a, "m"_a);
}
