#!/bin/sh
# Tests the page's logic with node's own test runner: tools/test-web.sh BUILD_DIR. The page in a browser: tools/test-e2e.sh.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
out=$(mkdir -p "$1/web-test" && cd "$1/web-test" && pwd)
modules=$root/web/node_modules

[ -d "$modules" ] || {
    echo "web: its packages are not there; tools/build-web.sh $1 fetches them" >&2
    exit 1
}
cd "$root/web"
"$modules/.bin/tsc" -p tsconfig.test.json
rm -f "$out"/*.mjs
"$modules/.bin/esbuild" test/*.test.ts --bundle --platform=node --format=esm --jsx=automatic --jsx-import-source=preact \
    --log-level=warning --out-extension:.js=.mjs --outdir="$out"
node --test "$out"/*.test.mjs
