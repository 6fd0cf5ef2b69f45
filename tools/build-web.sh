#!/bin/sh
# Builds the page: tools/build-web.sh BUILD_DIR
#
# web/ is type-checked, bundled and gzipped into BUILD_DIR/web, and from there into BUILD_DIR/web_assets.c, the table that
# src/server/assets.h declares. Needs node >= 18 and npm; npm fetches what web/package-lock.json names, once.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(mkdir -p "$1" && cd "$1" && pwd)
out=$build/web
modules=$root/web/node_modules

fail() {
    echo "web: $*" >&2
    exit 1
}

command -v node >/dev/null || fail "node is missing, and the page cannot be built without it: tools/setup.sh build installs it"
command -v npm >/dev/null || fail "npm is missing, and the page cannot be built without it: tools/setup.sh build installs it"
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ] ||
    fail "node $(node --version) is too old; expected 18 or newer"

"$root/tools/npm-packages.sh" web || exit 1
cd "$root/web"

rm -rf "$out"
mkdir -p "$out"
"$modules/.bin/tsc" -p . || fail "the types do not fit"
bundle() { # bundle ENTRY NAME OPTION...
    entry=$1
    name=$2
    shift 2
    "$modules/.bin/esbuild" "$entry" --bundle --minify --target=es2022 --charset=utf8 --log-level=warning \
        --outfile="$out/$name" "$@" || fail "esbuild could not bundle $entry"
}
bundle src/main.tsx app.js --format=esm --jsx=automatic --jsx-import-source=preact
bundle src/theme.ts theme.js --format=iife
bundle src/style/main.css app.css
cp index.html icon.svg "$out"
for package in preact @preact/signals @preact/signals-core; do
    printf '%s\n\n' "$package $(node -p "require('./node_modules/$package/package.json').version")"
    cat "$modules/$package/LICENSE"
    printf '\n\n'
done >"$out/licenses.txt"

# The table.
list() { # path, file, type
    cat <<'END'
/ index.html text/html; charset=utf-8
/app.js app.js text/javascript; charset=utf-8
/theme.js theme.js text/javascript; charset=utf-8
/app.css app.css text/css; charset=utf-8
/icon.svg icon.svg image/svg+xml
/licenses.txt licenses.txt text/plain; charset=utf-8
END
}
part=$build/web_assets.c.part
{
    printf '/* Made by tools/build-web.sh from web/. */\n#include "server/assets.h"\n'
    n=0
    list | while read -r path file type; do
        gzip -9nc "$out/$file" >"$out/$file.gz"
        printf '\nstatic const unsigned char asset_%d[] = {\n' $n
        od -An -v -tu1 "$out/$file.gz" | sed 's/^ *//; s/  */,/g; s/$/,/'
        printf '};\n'
        n=$((n + 1))
    done
    printf '\nconst kn_asset kn_web_assets[] = {\n'
    n=0
    list | while read -r path file type; do
        hash=$(sha256sum "$out/$file" | cut -c1-16)
        printf '    {"%s", "%s", asset_%d, sizeof asset_%d, "\\"%s\\""},\n' "$path" "$type" $n $n "$hash"
        n=$((n + 1))
    done
    printf '    {0},\n};\n'
} >"$part"
mv "$part" "$build/web_assets.c"
