#!/usr/bin/env bash
# C++ tests under AddressSanitizer and UndefinedBehaviorSanitizer.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DKAPPAFLOW_SANITIZE=ON -DKAPPAFLOW_BUILD_TESTS=ON
cmake --build "$build"
ctest --test-dir "$build" --output-on-failure --no-tests=error
