#!/usr/bin/env bash
# The one lint gate, for developers and CI: formats, lint, types, and stubs that match the built extension.
set -euo pipefail
cd "$(dirname "$0")/.."
ruff check .
ruff format --check .
git ls-files '*.cpp' '*.hpp' | xargs clang-format --dry-run --Werror
git ls-files "*.md" "*.py" "*.cpp" "*.hpp" "*.toml" "*.j2" | xargs codespell
git ls-files "*.sh" .ci/run | xargs shellcheck -x
mypy
bash tools/stubs.sh --check
