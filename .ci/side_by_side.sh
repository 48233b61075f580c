# shellcheck shell=bash
# Sourced by .ci/run: runs independent steps side by side, one on each core, and fails if any of them fails.

# side_by_side DIRECTORY STEP...: each STEP is a function, run in a shell of its own as `step_STEP` would be with `set -euo pipefail`.
# Its output goes to DIRECTORY/STEP.log and is printed whole when the step ends. A step keeps to one core, so that libraries that
# count cores start one thread. After a failure no further step starts; those that run are waited for. Give the longest steps first.
side_by_side() {
  local logs="$1" step pid status core began failed=()
  local -a free waiting
  local -A core_of step_of began_at
  shift
  waiting=("$@")
  mkdir -p "$logs"
  read -r -a free <<<"$(python3 -c 'import os; print(*sorted(os.sched_getaffinity(0)))')"
  began=$SECONDS
  while [ ${#waiting[@]} -gt 0 ] || [ ${#step_of[@]} -gt 0 ]; do
    if [ ${#failed[@]} -eq 0 ] && [ ${#waiting[@]} -gt 0 ] && [ ${#free[@]} -gt 0 ]; then
      step=${waiting[0]} core=${free[0]}
      waiting=("${waiting[@]:1}") free=("${free[@]:1}")
      (
        set -euo pipefail
        taskset -cp "$core" "$BASHPID" >/dev/null
        "step_$step"
      ) >"$logs/$step.log" 2>&1 </dev/null &
      pid=$!
      step_of[$pid]=$step core_of[$pid]=$core began_at[$pid]=$SECONDS
      continue
    fi
    [ ${#step_of[@]} -gt 0 ] || break # a step failed, and no other runs
    status=0
    wait -n -p pid "${!step_of[@]}" || status=$?
    step=${step_of[$pid]}
    printf '\n=== %s: %s (took %ss, ended at %ss)\n' "$step" \
      "$([ "$status" -eq 0 ] && echo passed || echo "FAILED with exit status $status")" $((SECONDS - began_at[$pid])) "$SECONDS"
    cat "$logs/$step.log"
    [ "$status" -eq 0 ] || failed+=("$step")
    free+=("${core_of[$pid]}")
    unset "step_of[$pid]" "core_of[$pid]" "began_at[$pid]"
  done
  printf '\n=== side by side: %ss\n' $((SECONDS - began))
  if [ ${#failed[@]} -gt 0 ]; then
    printf 'failed: %s\n' "${failed[*]}" >&2
    [ ${#waiting[@]} -eq 0 ] || printf 'not started: %s\n' "${waiting[*]}" >&2
    return 1
  fi
}
