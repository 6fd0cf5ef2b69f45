#!/bin/sh
# Fetches what FOLDER/package-lock.json names into FOLDER/node_modules, once: tools/npm-packages.sh FOLDER
set -eu
cd "$(dirname "$0")/../$1"

# Several build folders share the packages: one of them fetches, the others wait.
(
    flock 9
    if ! cmp -s package-lock.json node_modules/.package-lock.kinora; then
        echo "npm: fetching the packages that $1/package-lock.json names"
        npm ci --ignore-scripts --loglevel=error || {
            echo "npm: could not fetch the packages of $1/package-lock.json; is the registry within reach? (npm config get registry)" >&2
            exit 1
        }
        cp package-lock.json node_modules/.package-lock.kinora
    fi
) 9<.
