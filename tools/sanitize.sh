#!/usr/bin/env bash
# The core under AddressSanitizer and UndefinedBehaviorSanitizer, with warnings as errors: its C++ tests, and the extension
# through the Python tests of the core. Needs what tests/python/theory needs, and pybind11.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
python=$(command -v python3 || command -v python)
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DKAPPAFLOW_SANITIZE=address -DKAPPAFLOW_WERROR=ON \
  -DKAPPAFLOW_BUILD_TESTS=ON -DKAPPAFLOW_BUILD_PYTHON=ON -DPython_EXECUTABLE="$python" \
  -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)"
cmake --build "$build"
ctest --test-dir "$build" --output-on-failure --no-tests=error

# The package of this tree with the instrumented extension. Leaks are not counted: CPython keeps objects until it ends.
mkdir "$build/package"
cp -r python/kappaflow "$build/package/"
rm -f "$build"/package/kappaflow/_core*.so
cp "$build"/python/bindings/_core*.so "$build/package/kappaflow/"
theory=tests/python/theory
# shellcheck disable=SC2086
LD_PRELOAD="$(c++ -print-file-name=libasan.so) $(c++ -print-file-name=libstdc++.so)" \
  ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 \
  PYTHONPATH="$build/package" OPENBLAS_NUM_THREADS=1 PYTHONMALLOC=malloc \
  "$python" -m pytest -q -p no:cacheprovider ${KAPPAFLOW_SANITIZED_TESTS:-$theory/test_core.py $theory/test_threads.py \
    $theory/test_solver_limits.py $theory/test_errors.py $theory/test_splits.py $theory/test_elliptical.py $theory/test_empirical.py}
