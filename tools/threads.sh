#!/usr/bin/env bash
# ThreadSanitizer over a C++ driver whose threads share every object that may be shared.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DKAPPAFLOW_SANITIZE=thread -DKAPPAFLOW_BUILD_TESTS=ON
cmake --build "$build" --target kappaflow_threads
TSAN_OPTIONS=halt_on_error=1 "$build/tests/cpp/kappaflow_threads"
