#!/usr/bin/env bash
# Writes python/kappaflow/_core.pyi from the installed extension; with --check, fails if the file in the tree differs.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
(cd "$out" && python -m pybind11_stubgen kappaflow._core -o "$out" --numpy-array-use-type-var >/dev/null 2>&1)
stub="$out/kappaflow/_core.pyi"
ruff format --quiet --config pyproject.toml "$stub"
if [ "${1:-}" = --check ]; then
  diff -u python/kappaflow/_core.pyi "$stub" || { echo "stubs differ: run tools/stubs.sh"; exit 1; }
else
  cp "$stub" python/kappaflow/_core.pyi
fi
