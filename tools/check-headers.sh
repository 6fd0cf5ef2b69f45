#!/bin/sh
# Every header compiles alone, as the first line of a file: the internal ones in C17, the public ones in C and C++.
set -eu
flags="-Isrc -Iinclude -Itests $(pkg-config --cflags jansson libutf8proc libavformat libavcodec libswscale libavutil)"
warn="-Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wno-unused-function -Werror -fsyntax-only"
warn="$warn -D_GNU_SOURCE"
# Included once per instruction set by files that define its parameters first; not headers in their own right.
templates='_impl[.]h$|_template[.]h$|/simd_(avx2|avx512|c)[.]h$'
# Needs CUDA, which few machines have.
[ -e /usr/local/cuda/include/cuda.h ] && flags="$flags -isystem /usr/local/cuda/include" || templates="$templates|/driver_cuda[.]h$"
bad=0

# shellcheck disable=SC2086
one() { # one COMPILER-AND-LANGUAGE HEADER
    $1 $warn $flags -include "$2" /dev/null || {
        echo "headers: $2 does not compile alone ($1)"
        bad=1
    }
}

n=0
for header in $(git ls-files -co --exclude-standard 'src/*.h' | grep -Ev "$templates"); do
    one "gcc -std=gnu17 -x c" "$header"
    n=$((n + 1))
done
for header in $(git ls-files -co --exclude-standard 'include/*.h'); do
    one "gcc -std=c17 -pedantic -x c" "$header"
    one "clang -std=c++11 -pedantic -x c++" "$header"
    n=$((n + 1))
done
[ $bad = 0 ] && echo "headers: ok, $n compile alone"
exit $bad
