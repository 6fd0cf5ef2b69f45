#!/bin/sh
# Runs the comparison tool over one fixture or a folder of fixtures: tools/test-fixtures.sh DIR [DTYPE]
# Fixtures of a family that the tool does not know yet are skipped by name.
set -eu
dir=${1:-}
dtype=${2:-f32}
[ -d "$dir" ] || {
    echo "test-fixtures: '$dir' is not a folder; use: make test-fixtures FIXTURES=DIR [DTYPE=f32|bf16|int8]" >&2
    exit 2
}
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

run_one() {
    rc=0
    build/tests/parity "$1" --dtype "$dtype" >"$log" 2>&1 || rc=$?
    totals=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed.*/\1 \2/p' "$log" | tail -1)
    name=$(basename "$1")
    if grep -q 'is a family this tool does not know' "$log"; then
        skipped=$((skipped + 1))
        echo "skip $name: not a family this tool knows"
    elif [ -z "$totals" ]; then
        failed=$((failed + 1))
        echo "FAIL $name: exit code $rc: $(tail -1 "$log")"
    else
        passed=$((passed + ${totals% *})) failed=$((failed + ${totals#* }))
        if [ "$rc" = 0 ]; then
            echo "ok   $name: ${totals% *} passed"
        else
            cat "$log"
            echo "FAIL $name: ${totals% *} passed, ${totals#* } failed"
        fi
    fi
}

if [ -e "$dir/fixture.json" ]; then
    run_one "$dir"
else
    for fixture in "$dir"/*/; do
        [ -e "$fixture/fixture.json" ] && run_one "${fixture%/}"
    done
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ $((passed + skipped)) -gt 0 ]
