#!/usr/bin/env bash
# Other compilers and other machines: warnings of clang as errors where there is a clang, vector instructions beyond baseline x86-64
# in functions that are dispatched at run time and nowhere else, and the C++ tests with scalar loops.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

echo "scalar loops: the C++ tests"
cmake -S . -B "$build/scalar" -G Ninja -DCMAKE_BUILD_TYPE=Release -DKAPPAFLOW_SCALAR=ON -DKAPPAFLOW_BUILD_TESTS=ON
cmake --build "$build/scalar"
ctest --test-dir "$build/scalar" --output-on-failure --no-tests=error

if [ "$(uname -m)" = x86_64 ]; then
  echo "baseline x86-64: by disassembly"
  cmake -S . -B "$build/release" -G Ninja -DCMAKE_BUILD_TYPE=Release
  cmake --build "$build/release"
  objdump -d --no-show-raw-insn "$build/release/libkappaflow.a" | python3 tools/baseline.py
  objdump -d --no-show-raw-insn "$build/scalar/libkappaflow.a" | python3 tools/baseline.py --no-dispatch
fi

if command -v clang++ >/dev/null; then
  echo "clang: warnings are errors"
  eigen=$(sed -n 's/^Eigen3_DIR:PATH=//p' "$build/scalar/CMakeCache.txt")
  include=$(cd "$eigen/../../../include/eigen3" && pwd)
  for source in cpp/src/*.cpp; do
    clang++ -std=c++20 -fsyntax-only -Wall -Wextra -Wconversion -Wshadow -Werror -fopenmp-simd \
      -Icpp/include -I"$build/scalar/include" -isystem "$include" "$source"
  done
else
  echo "clang++ is not installed: its warnings were not looked at"
fi
