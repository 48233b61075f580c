#!/usr/bin/env bash
# C++ tests under AddressSanitizer and UndefinedBehaviorSanitizer. With the argument `extension` also the
# extension through the Python tests of the core; this needs pybind11 and what tests/python/theory needs.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
options=(-G Ninja -DCMAKE_BUILD_TYPE=Debug -DKAPPAFLOW_SANITIZE=address -DKAPPAFLOW_BUILD_TESTS=ON)
python=$(command -v python3 || command -v python)
if [ "${1:-}" = extension ]; then
  options+=(-DKAPPAFLOW_BUILD_PYTHON=ON "-DPython_EXECUTABLE=$python" "-Dpybind11_DIR=$("$python" -m pybind11 --cmakedir)")
fi
cmake -S . -B "$build" "${options[@]}"
cmake --build "$build"
ctest --test-dir "$build" --output-on-failure --no-tests=error
[ "${1:-}" = extension ] || exit 0

# The package of this tree with the instrumented extension. Leaks are not counted: CPython keeps objects until it ends.
mkdir "$build/package"
cp -r python/kappaflow "$build/package/"
rm -f "$build"/package/kappaflow/_core*.so
cp "$build"/python/bindings/_core*.so "$build/package/kappaflow/"
theory=tests/python/theory
LD_PRELOAD="$(c++ -print-file-name=libasan.so) $(c++ -print-file-name=libstdc++.so)" \
  ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 \
  PYTHONPATH="$build/package" OPENBLAS_NUM_THREADS=1 \
  "$python" -m pytest -q -p no:cacheprovider "$theory/test_core.py" "$theory/test_threads.py" "$theory/test_solver_limits.py" \
  "$theory/test_splits.py" "$theory/test_elliptical.py"
