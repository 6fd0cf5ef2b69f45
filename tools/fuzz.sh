#!/bin/sh
# Runs every fuzz target: tools/fuzz.sh SECONDS JOBS.  Findings lie in build-fuzz/findings/<name>/ afterwards.
set -eu
seconds=${1:-60}
jobs=${2:-1}
# Inputs found on the way are kept in build-fuzz/corpus; only inputs that once failed belong in tests/fuzz/corpus.
export ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1:max_allocation_size_mb=2048"
export UBSAN_OPTIONS="print_stacktrace=1"
export LSAN_OPTIONS="suppressions=$PWD/tools/lsan.supp:print_suppressions=0"
export OMP_NUM_THREADS=1

run_one() {
    target=$1
    name=$(basename "$target" | sed 's/^fuzz_//')
    work=build-fuzz/corpus/$name
    findings=build-fuzz/findings/$name
    mkdir -p "$work" "$findings"
    seeds=""
    [ -d "tests/fuzz/corpus/$name" ] && seeds="tests/fuzz/corpus/$name"
    [ -e "tests/fuzz/$name.dict" ] && seeds="$seeds -dict=tests/fuzz/$name.dict"
    # shellcheck disable=SC2086
    if "$target" -max_total_time="$seconds" -rss_limit_mb=3000 -timeout=20 -print_final_stats=1 \
        -artifact_prefix="$findings/" "$work" $seeds >"$findings/log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$findings/log")
        echo "fuzz $name: clean, $runs runs in $seconds s"
    else
        tail -40 "$findings/log"
        echo "fuzz $name: FAILED, see $findings"
        return 1
    fi
}

if [ "${3:-}" = --one ]; then
    run_one "$4"
    exit
fi
targets=$(find build-fuzz/tests/fuzz -maxdepth 1 -type f -perm -u+x -name 'fuzz_*' | sort)
[ -n "$targets" ] || {
    echo "fuzz: no target was built" >&2
    exit 1
}
echo "$targets" | xargs -P "$jobs" -I{} "$0" "$seconds" "$jobs" --one {}
