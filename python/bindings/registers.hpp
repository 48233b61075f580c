#pragma once

#include <pybind11/pybind11.h>

void register_linear_algebra(pybind11::module_& module);
void register_silverstein(pybind11::module_& module);
void register_splits(pybind11::module_& module);
