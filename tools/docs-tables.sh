#!/bin/sh
# Prints a table of the documentation from the header that it documents: tools/docs-tables.sh errors|limits
# shellcheck disable=SC2016
set -eu
case ${1:-} in
errors)
    echo '| code | value | exit code | HTTP status | meaning |'
    echo '|---|---|---|---|---|'
    echo '| `OK` | 0 | 0 | 200 | ok |'
    sed -n 's/^ *X(\(KN_E[A-Z]*\), *\(-[0-9]*\), *\([0-9]*\), *\([0-9]*\), *"\([^"]*\)").*/| `\1` | \2 | \4 | \3 | \5 |/p' \
        src/base/err.h
    ;;
limits)
    echo '| limit | value | why |'
    echo '|---|---|---|'
    awk '
    /^\/\*/ { why = "" ; open = 1 }
    open {
        line = $0
        gsub(/^ *\/\* ?|^ *\* ?| *\*\/ *$/, "", line)
        why = why (why == "" ? "" : " ") line
        if (/\*\//)
            open = 0
        next
    }
    /^#define KN_LIMIT_/ {
        value = $0
        sub(/^#define [A-Z_]+ +/, "", value)
        value = readable(value)
        printf "| `%s` | %s | %s |\n", $2, value, why
    }
    # C suffixes and outer parentheses mean nothing to a reader.
    function readable(v)
    {
        gsub(/(ull|ll|u)/, "", v)
        sub(/^\(/, "", v)
        sub(/\)$/, "", v)
        gsub(/ << 30/, " GiB", v)
        gsub(/ << 20/, " MiB", v)
        gsub(/ << 10/, " KiB", v)
        return v
    }' src/base/limits.h
    ;;
*)
    echo "docs-tables: unknown table '${1:-}', expected errors or limits" >&2
    exit 2
    ;;
esac
