#!/bin/sh
# Denoiser and VAE at real sizes with random weights on an NVIDIA card, beside the raw rate of cuBLASLt in the same run:
# tools/gpu-bench.sh -> bench/results/DATE-COMMIT-gpu.json
set -eu
cd "$(dirname "$0")/.."
command -v nvidia-smi >/dev/null || {
    echo "gpu-bench: no nvidia-smi; expected a machine with an NVIDIA card and its driver" >&2
    exit 2
}
[ -e build-cuda/build.ninja ] || cmake --preset cuda >/dev/null
cmake --build build-cuda --target kinora kinora-cuda >/dev/null
out=bench/results/$(date -u +%Y-%m-%d)-$(git rev-parse --short HEAD)-gpu.json
card=$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader | head -1)
{
    printf '{"command": "make gpu-bench", "card": "%s", "runs": [' "$card"
    first=
    for config in wan-1.3b wan-14b; do
        for size in "832 480" "1280 720"; do
            for dtype in bf16 int8; do
                printf '%s' "$first"
                first=,
                # shellcheck disable=SC2086
                set -- $size
                build-cuda/kinora bench --config $config --device cuda --dtype $dtype --width "$1" --height "$2" --frames 81 --json
            done
        done
    done
    printf ']}\n'
} >"$out.part"
mv "$out.part" "$out"
echo "$out"
