#!/bin/sh
# Everything that can be checked on a machine with an NVIDIA card: tools/gpu-check.sh -> a table; fails if anything does.
set -eu
cd "$(dirname "$0")/.."
jobs=${1:-2}
command -v nvidia-smi >/dev/null || {
    echo "gpu-check: no nvidia-smi; expected a machine with an NVIDIA card and its driver" >&2
    exit 2
}
[ -e build-cuda/build.ninja ] || cmake --preset cuda >/dev/null
cmake --build build-cuda -j "$jobs"
export KINORA_CUDA_LIBRARY="$PWD/build-cuda/libkinora-cuda.so"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
bad=0

row() { # row NAME COMMAND...
    name=$1
    shift
    if "$@" >"$log" 2>&1 && ! grep -q 'skipped: ' "$log"; then
        printf '%-40s ok    %s\n' "$name" "$(grep -E '^[0-9]+ passed' "$log" | tail -1)"
    else
        printf '%-40s FAIL\n' "$name"
        tail -5 "$log"
        bad=1
    fi
}

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
for test in ops device generate; do
    row "test_cuda_$test" build-cuda/tests/test_cuda_$test
done
for fixture in tests/fixtures/wan*/; do
    [ -e "$fixture/fixture.json" ] || continue
    for dtype in f32 bf16 int8; do
        row "$(basename "$fixture") $dtype" build-cuda/tests/parity "$fixture" --dtype $dtype --device cuda
    done
done
if command -v compute-sanitizer >/dev/null; then
    row "compute-sanitizer memcheck" compute-sanitizer --error-exitcode 1 build-cuda/tests/test_cuda_ops
    row "compute-sanitizer racecheck" compute-sanitizer --tool racecheck --error-exitcode 1 build-cuda/tests/test_cuda_ops
else
    echo "compute-sanitizer                        not installed, not run"
fi
exit $bad
