#!/usr/bin/env bash
# Runs fuzzers: run.sh DIRECTORY SEEDS CORPUS SECONDS [NAME...]; each keeps what it learns in CORPUS/name. Fails when one finds something.
set -u
fuzzers=$1 seeds=$2 corpus=$3 seconds=$4
shift 4
if [ $# = 0 ]; then set -- "$fuzzers"/fuzz_*; fi
failed=0
for name in "$@"; do
  name=$(basename "$name")
  case $name in *.*) continue ;; esac # not a program: .o, .d
  mkdir -p "$corpus/$name" "$seeds/$name"
  if "$fuzzers/$name" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=60 -verbosity=0 -print_final_stats=1 \
    -artifact_prefix="$corpus/$name-" "$corpus/$name" "$seeds/$name" >"$corpus/$name.log" 2>&1; then
    awk -v name="$name" '/number_of_executed_units/ { printf "%-18s %d executions, nothing found\n", name, $2 }' "$corpus/$name.log"
  else
    failed=1
    echo "$name: FOUND SOMETHING; $corpus/$name.log ends:"
    tail -n 60 "$corpus/$name.log"
  fi
done
exit $failed
