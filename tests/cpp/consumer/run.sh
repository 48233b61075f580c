#!/usr/bin/env bash
# Installs the library into a temporary prefix and builds and runs the consumer both ways: find_package, add_subdirectory.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../../.." && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# Eigen as cmake/KappaflowDependencies.cmake finds it: the system's, else that of the cmeel-eigen wheel
python="${PYTHON:-$(command -v python3 || command -v python || true)}"
eigen_prefix=""
if [ -n "$python" ]; then
  eigen_prefix="$("$python" -c "import importlib.metadata as m; print(m.distribution('cmeel-eigen').locate_file('cmeel.prefix'))" \
    2>/dev/null || true)"
fi
options=(-G Ninja -DCMAKE_BUILD_TYPE=Release)
if [ -n "$python" ]; then options+=("-DPython_EXECUTABLE=$python"); fi

cmake -S "$root" -B "$work/library" "${options[@]}" "-DCMAKE_INSTALL_PREFIX=$work/prefix"
cmake --build "$work/library"
cmake --install "$work/library" --component dev

package="$(dirname "$(find "$work/prefix" -name kappaflowConfig.cmake)")"
if grep -nF -e "$work" -e "$root" -r "$package"; then
  echo "the exported package holds absolute paths of the build" >&2
  exit 1
fi
mv "$work/prefix" "$work/moved" # an installed package may be moved
rm -rf "$work/library"

cmake -S "$here" -B "$work/installed" "${options[@]}" "-DCMAKE_PREFIX_PATH=$work/moved;$eigen_prefix"
cmake --build "$work/installed"
installed="$("$work/installed/consumer")"

cmake -S "$here" -B "$work/embedded" "${options[@]}" "-DKAPPAFLOW_SOURCE=$root"
cmake --build "$work/embedded"
embedded="$("$work/embedded/consumer")"

echo "find_package:     $installed"
echo "add_subdirectory: $embedded"
[ "$installed" = "$embedded" ]
