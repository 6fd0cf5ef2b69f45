#!/bin/sh
# What it costs that no block of the denoiser stays in memory: bench/streaming.sh -> bench/results/DATE-COMMIT-streaming.json
# A Wan 1.3B of random weights (MODEL: such a folder, else one of 14 GB is made and removed again), its packed weights in the page cache:
# seconds of sampling with all blocks resident and with none, in turn, ROUNDS times (default 3).
set -eu
cd "$(dirname "$0")/.."
. bench/studio.sh # median, result_path
rounds=${ROUNDS:-3} steps=${STEPS:-3}
cmake --build build --target kinora >/dev/null
out=$(result_path streaming)
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
export KINORA_STATE_DIR="$data/state" KINORA_CACHE_DIR="${CACHE:-$data/cache}"
model=${MODEL:-$data/wan-1.3b}
[ -n "${MODEL:-}" ] || python3 bench/random-model.py wan-1.3b tests/fixtures/wan21-t2v/model "$model" >&2
arguments="--width 480 --height 272 --frames 9 --steps $steps --seed 1 --guidance 5 --dtype bf16"

sampling() { # sampling RESIDENT_BLOCKS: "seconds frames_hash"
    # shellcheck disable=SC2086 # a list of words
    build/kinora generate --model "$model" --prompt cat $arguments --resident-blocks "$1" --json -o "$data/v.mp4" |
        sed -n 's/.*"frames_hash":"\([0-9a-f]*\)".*"phase":"sampling","detail":"","seconds":\([0-9.]*\).*/\2 \1/p'
}

sampling 0 >/dev/null # records the packed weights and the text's states
: >"$data/rounds"
for i in $(seq "$rounds"); do
    echo "$(sampling 30) $(sampling 0)" | awk '{ printf "%.2f %s %.2f %s\n", $1, $2, $3, $4 }' | tee -a "$data/rounds" >&2
done
[ "$(awk '{ print $2; print $4 }' "$data/rounds" | sort -u | wc -l)" = 1 ] || {
    echo "streaming.sh: the frames differ" >&2
    exit 1
}
awk '{ printf "%.3f\n", $3 / $1 }' "$data/rounds" >"$data/ratios"
{
    printf '{"command": "bench/streaming.sh", "rounds": %s, "arguments": "%s", "load": %s, ' "$rounds" "$arguments" "$(cut -d' ' -f1 /proc/loadavg)"
    printf '"resident_s": %s, "streamed_s": %s, "ratio": %s, "all": [%s]}\n' \
        "$(median 1 "$data/rounds")" "$(median 3 "$data/rounds")" "$(median 1 "$data/ratios")" \
        "$(awk '{ printf "%s[%.2f, %.2f]", (NR > 1 ? ", " : ""), $1, $3 }' "$data/rounds")"
} >"$out"
cat "$out"
