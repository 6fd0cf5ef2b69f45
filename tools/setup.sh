#!/bin/sh
# Installs exactly what is missing on Debian 12+ and Ubuntu 24.04+, and says what.
#
#   tools/setup.sh build|test|page|tsan|fuzz|check...     NO_INSTALL=1: name what is missing and fail
#
# It looks for the tools and libraries themselves, not for packages, so that self-built ones count. When nothing
# is missing it costs a few milliseconds: every `make` target that builds may call it first.
set -eu

missing=""

need() { # need PACKAGE COMMAND...: adds PACKAGE unless the command succeeds
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}

header() {
    for prefix in /usr /usr/local $(printf %s "${CMAKE_PREFIX_PATH:-}" | tr ':;' '  '); do
        [ -e "$prefix/include/$1" ] && return 0
    done
    return 1
}

pc() { # pc PACKAGE MODULE [PACKAGE MODULE]...: one pkg-config call when all is there
    modules=""
    pairs="$*"
    while [ $# -gt 0 ]; do
        modules="$modules $2"
        shift 2
    done
    # shellcheck disable=SC2086
    pkg-config --exists $modules 2>/dev/null && return 0
    # shellcheck disable=SC2086
    set -- $pairs
    while [ $# -gt 0 ]; do
        need "$1" pkg-config --exists "$2"
        shift 2
    done
}

clang_file() { # a file that clang itself finds: it prints a path, or the bare name when it has none
    command -v clang >/dev/null && [ -e "$(clang --print-file-name="$1")" ]
}

group_web() { # the page; the packages it is made of come with npm (tools/build-web.sh)
    need nodejs command -v node
    need npm command -v npm
}

group_build() {
    need gcc command -v cc
    need libc6-dev header stdlib.h
    need cmake command -v cmake
    need ninja-build command -v ninja
    need pkg-config command -v pkg-config
    need libdnnl-dev header dnnl.h
    need libwslay-dev header wslay/wslay.h
    group_web
    pc libjansson-dev jansson libutf8proc-dev libutf8proc libavformat-dev libavformat libavcodec-dev libavcodec \
        libswscale-dev libswscale libavutil-dev libavutil libsqlite3-dev sqlite3 \
        libmicrohttpd-dev libmicrohttpd libcurl4-openssl-dev libcurl libssl-dev libcrypto
}

group_test() {
    group_build
    pc libcmocka-dev cmocka
    need g++ command -v c++
    need curl command -v curl
}

group_page() { # the page in a browser
    group_build
    need chromium command -v chromium
}

group_clang() {
    need clang command -v clang
    need libomp-dev clang_file include/omp.h
}

group_tsan() {
    group_test
    group_clang
    need libclang-rt-dev clang_file "libclang_rt.tsan-$(uname -m).a"
}

group_fuzz() {
    group_test
    group_clang
    need libclang-rt-dev clang_file "libclang_rt.fuzzer-$(uname -m).a"
}

group_check() {
    group_test
    group_clang
    need clang-format command -v clang-format
    need cppcheck command -v cppcheck
}

[ $# -gt 0 ] || set -- build
for group in "$@"; do
    case $group in
    build | test | page | tsan | fuzz | check) "group_$group" ;;
    *)
        echo "setup: unknown group '$group', expected build, test, page, tsan, fuzz or check" >&2
        exit 2
        ;;
    esac
done

[ -n "$missing" ] || exit 0
# shellcheck disable=SC2086
missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')

if [ -n "${NO_INSTALL:-}" ] && [ "$NO_INSTALL" != 0 ]; then
    echo "setup: missing (NO_INSTALL is set, so nothing is installed): $missing" >&2
    echo "setup: on Debian or Ubuntu: apt-get install --no-install-recommends $missing" >&2
    exit 1
fi
if ! command -v apt-get >/dev/null; then
    echo "setup: missing: $missing" >&2
    echo "setup: these are Debian's package names; this system has no apt-get, install their equivalents" >&2
    exit 1
fi

sudo=""
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || {
        echo "setup: missing: $missing; installing needs root and there is no sudo" >&2
        exit 1
    }
    sudo=sudo
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "setup: installing with apt-get: $missing"
# An update that fails (one mirror of several is away) does not matter if the packages can still be had.
$sudo apt-get update -qq >"$log" 2>&1 || true
# shellcheck disable=SC2086
if ! $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >>"$log" 2>&1; then
    cat "$log" >&2
    echo "setup: apt-get could not install: $missing" >&2
    exit 1
fi
NO_INSTALL=1 "$0" "$@" || {
    echo "setup: still not found after installing them" >&2
    exit 1
}
echo "setup: done"
