#!/bin/sh
# All static checks: tools/check.sh [JOBS]. One line each when all is well; every check runs even if one fails.
set -eu
jobs=${1:-$(nproc)}
failed=""

run() { # run NAME COMMAND...
    name=$1
    shift
    "$@" || failed="$failed $name"
}

build() { # build PRESET: everything compiles with warnings as errors
    folder=build-$1
    log=$(mktemp)
    if { [ -e "$folder/build.ninja" ] || cmake --preset "$1"; } >"$log" 2>&1 &&
        cmake --build "$folder" -j "$jobs" >>"$log" 2>&1; then
        echo "warnings ($1): ok"
    else
        grep -E -A5 'error|FAILED|warning' "$log" | head -60 || cat "$log"
        echo "warnings ($1): FAILED"
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

static_analysis() {
    mkdir -p build-gcc/cppcheck
    cppcheck --quiet --enable=warning,performance,portability --std=c11 --library=posix --library=tools/cppcheck.cfg --inline-suppr -j "$jobs" \
        --suppressions-list=tools/cppcheck.supp --cppcheck-build-dir=build-gcc/cppcheck -Isrc -Iinclude \
        --error-exitcode=1 --template='{file}:{line}: {severity}: {message} [{id}]' src &&
        echo "cppcheck: ok"
}

run format tools/check-format.sh "$jobs"
run layers tools/check-layers.sh
run banned tools/check-banned.sh
run headers tools/check-headers.sh
run sizes tools/check-sizes.sh
run docs tools/check-docs.sh
run cppcheck static_analysis
run gcc build gcc
run clang build clang

if [ -n "$failed" ]; then
    echo "check: FAILED:$failed"
    exit 1
fi
echo "check: all ok"
