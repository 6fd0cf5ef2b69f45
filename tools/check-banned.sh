#!/bin/sh
# No call of a function in tools/banned.txt outside the places it names. Comments and strings do not count.
set -eu

# shellcheck disable=SC2016
git ls-files -co --exclude-standard 'src/*.[ch]' 'include/*.h' 'tests/*.[ch]' | xargs awk '
BEGIN {
    while ((getline line < "tools/banned.txt") > 0) {
        if (line ~ /^#/ || line == "")
            continue
        split(line, field, /[ \t]+/)
        why = line
        sub(/^[^ \t]+[ \t]+[^ \t]+[ \t]+/, "", why)
        place[field[1]] = field[2]
        reason[field[1]] = why
    }
}
FNR == 1 { comment = 0 }
{
    text = $0
    gsub(/\\./, "", text)
    gsub(/"[^"]*"/, "\"\"", text)
    out = ""
    while (text != "") {
        if (comment) {
            if (!(i = index(text, "*/")))
                break
            text = substr(text, i + 2)
            comment = 0
        } else if ((i = index(text, "/*"))) {
            out = out substr(text, 1, i - 1)
            text = substr(text, i + 2)
            comment = 1
        } else {
            out = out text
            break
        }
    }
    while (match(out, /[A-Za-z_][A-Za-z0-9_]*[ \t]*\(/)) {
        name = substr(out, RSTART, RLENGTH - 1)
        sub(/[ \t]+$/, "", name)
        before = RSTART > 1 ? substr(out, RSTART - 1, 1) : ""
        # A member (x->printf, x.printf) is no library function.
        if (name in place && before != "." && before != ">" && (place[name] == "-" || FILENAME !~ place[name])) {
            printf "%s:%d: %s() is banned: %s\n", FILENAME, FNR, name, reason[name]
            bad++
        }
        out = substr(out, RSTART + RLENGTH)
    }
}
END {
    if (bad)
        exit 1
    for (name in place)
        n++
    printf "banned functions: ok, none of %d\n", n
}'
