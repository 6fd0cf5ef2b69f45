#!/bin/sh
# The documentation tells the truth where a script can know it: the map of folders, the generated tables, and links.
# tools/check-docs.sh --write puts the current tables in place.
# shellcheck disable=SC2013,SC2016
set -eu
bad=0
complain() {
    echo "docs: $1"
    bad=1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tracked() {
    git ls-files -co --exclude-standard "$@"
}

# The map of docs/architecture.md names every folder that holds sources, and no folder that does not exist.
sed -n '/<!-- map -->/,/<!-- end map -->/p' docs/architecture.md | awk '/^[a-zA-Z.]/ { sub(/\/$/, "", $1); print $1 }' |
    sort >"$work/mapped"
{
    tracked 'src/*.c' 'src/*.h' 'include/*.h' | sed 's|/[^/]*$||'
    tracked | grep / | cut -d/ -f1 | grep -v '^[.]' | grep -vxE 'src|include'
} | sort -u >"$work/present"
for folder in $(comm -13 "$work/mapped" "$work/present"); do
    complain "docs/architecture.md: the map lacks $folder"
done
for folder in $(comm -23 "$work/mapped" "$work/present"); do
    complain "docs/architecture.md: the map names $folder, which holds nothing"
done

# Tables between <!-- table NAME --> and <!-- end table --> are what the headers say.
for name in errors limits; do
    page=docs/$name.md
    tools/docs-tables.sh $name >"$work/table"
    awk -v table="$work/table" '
        /<!-- end table -->/ { inside = 0 }
        !inside { print }
        /<!-- table / { inside = 1; while ((getline line < table) > 0) print line }' "$page" >"$work/page"
    if [ "${1:-}" = --write ]; then
        cp "$work/page" "$page"
    elif ! cmp -s "$work/page" "$page"; then
        complain "$page: its table differs from the header; run tools/check-docs.sh --write"
    fi
done

# Relative links lead somewhere.
for page in $(tracked '*.md'); do
    for link in $(sed 's/`[^`]*`//g' "$page" | grep -o ']([^)]*)' | sed 's/^](//; s/)$//; s/#.*//' | grep -v '^[a-z]*:' || true); do
        [ -e "$(dirname "$page")/$link" ] || complain "$page: the link to $link leads nowhere"
    done
done

# Commands that the README shows are targets that exist.
for target in $(sed -n 's/^ *make \([a-z-]*\).*/\1/p' README.md CONTRIBUTING.md | sort -u); do
    grep -q "^$target:" Makefile || complain "the Makefile has no target '$target'"
done

[ $bad = 0 ] && echo "docs: ok, the map, $(tracked '*.md' | wc -l) pages and their tables"
exit $bad
