#!/bin/sh
# Tests clients that others wrote for other services against a real studio: tools/test-clients.sh [PROGRAM]
# 77 (skipped, for ctest): their packages are not there; make test fetches them.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
program=${1:-$root/build/kinora}
KINORA_PROGRAM=$(cd "$(dirname "$program")" && pwd)/$(basename "$program")
export KINORA_PROGRAM

[ -d "$root/tests/clients/node_modules/openai" ] || {
    echo "clients: their packages are not there; tools/npm-packages.sh tests/clients fetches them" >&2
    exit 77
}
exec node --test "$root/tests/clients/openai.mjs"
