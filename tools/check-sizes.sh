#!/bin/sh
# Reports the sizes of our source files; a file of more than MAX lines has more than one idea, unless it is a table.
set -eu
max=600
tables='^src/text/html_entities[.]c$'
git ls-files -co --exclude-standard 'src/*.[ch]' 'tests/*.[ch]' | grep -Ev "$tables" | xargs wc -l |
    grep -v ' total$' | sort -n | awk -v max=$max '
{ lines[NR] = $1; file[NR] = $2; sum += $1 }
$1 > max { printf "%s: %d lines, at most %d\n", $2, $1, max; bad = 1 }
END {
    if (bad)
        exit 1
    printf "sizes: ok, %d files, %d lines, median %d, longest %d (%s)\n", NR, sum, lines[int((NR + 1) / 2)], \
        lines[NR], file[NR]
}'
