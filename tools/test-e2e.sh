#!/bin/sh
# Tests the page in a real browser against a real studio: tools/test-e2e.sh [PROGRAM]
# tests/e2e/studio.mjs says what the environment may set. Needs chromium, and the packages that tools/build-web.sh fetched.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
program=${1:-${KINORA_PROGRAM:-$root/build/kinora}}
KINORA_PROGRAM=$(cd "$(dirname "$program")" && pwd)/$(basename "$program")
export KINORA_PROGRAM

[ -d "$root/web/node_modules/playwright-core" ] || {
    echo "e2e: playwright-core is not there; tools/build-web.sh build fetches it" >&2
    exit 1
}
[ -x "${CHROMIUM:-/usr/bin/chromium}" ] || {
    echo "e2e: no browser at ${CHROMIUM:-/usr/bin/chromium}: apt-get install chromium, or set CHROMIUM" >&2
    exit 1
}
exec node --test "$root/tests/e2e/run.mjs"
