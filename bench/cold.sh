#!/bin/sh
# What it costs that blocks come from a cold disk: bench/cold.sh -> bench/results/DATE-COMMIT-cold.json; TRACE: a file for the timeline.
# A Wan 1.3B of random weights (MODEL: such a folder, else one of 14 GB is made and removed again) under a hard limit of LIMIT bytes of memory,
# page cache included, so that every step reads the blocks that do not stay. Beside it: the same with all blocks in memory,
# and the disk's own rate. Needs root (bench/limited.sh, and to drop the page cache).
set -eu
cd "$(dirname "$0")/.."
. bench/studio.sh # number, result_path
limit=${LIMIT:-1500000000} steps=${STEPS:-3}
cmake --build build --target kinora >/dev/null
out=$(result_path cold)
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
export KINORA_STATE_DIR="$data/state" KINORA_CACHE_DIR="${CACHE:-$data/cache}"
model=${MODEL:-$data/wan-1.3b}
[ -n "${MODEL:-}" ] || python3 bench/random-model.py wan-1.3b tests/fixtures/wan21-t2v/model "$model" >&2
arguments="--width 480 --height 272 --frames ${FRAMES:-9} --steps $steps --seed 1 --guidance 5 --dtype bf16"

generate() { # generate BLOCKS [COMMAND ...]: a line of JSON, the result
    blocks=$1
    shift
    # shellcheck disable=SC2086 # a list of words
    "$@" build/kinora generate --model "$model" --prompt cat $arguments $blocks --json -o "$data/v.mp4" \
        --timeline "$data/trace.json" >"$data/lines"
    tail -1 "$data/lines"
}

sampling() {
    sed 's/.*"phase":"sampling",//' | number seconds
}

frames_hash() {
    sed 's/.*"frames_hash":"\([0-9a-f]*\)".*/\1/'
}

drop_caches() {
    sync
    echo 3 >/proc/sys/vm/drop_caches
}

disk_rate() { # bytes a second of the packed weights from end to end
    drop_caches
    packed=$(ls "$KINORA_CACHE_DIR"/packed/*.packed | head -1)
    begin=$(date +%s.%N)
    dd if="$packed" of=/dev/null bs=8M 2>/dev/null
    echo "$begin $(date +%s.%N) $(stat -c %s "$packed")" | awk '{ printf "%.0f", $3 / ($2 - $1) }'
}

# Bytes and seconds of the disk's spans, and the seconds of these that blocks were worked with, of a trace: a span a line.
disk_spans() {
    awk -F'"ts":|,"dur":|,"name":"' '
        /"name":"(read|block) [0-9]/ { begin = $2; end = $2 + $3 }
        /"name":"block / { from[++n] = begin; to[n] = end }
        /"name":"read / { match($0, /"bytes":[0-9]+/); bytes += substr($0, RSTART + 8, RLENGTH - 8); reads[++m] = begin; done[m] = end }
        END {
            for (i = 1; i <= m; i++) {
                reading += done[i] - reads[i]
                for (k = 1; k <= n; k++) {
                    lo = from[k] > reads[i] ? from[k] : reads[i]
                    hi = to[k] < done[i] ? to[k] : done[i]
                    if (hi > lo) beside += hi - lo
                }
            }
            printf "%.0f %.2f %.2f\n", bytes, reading / 1e6, beside / 1e6
        }' "$1"
}

generate "--resident-blocks 0" >/dev/null # records the packed weights and the text's states
generate "" >"$data/resident"
resident=$(sampling <"$data/resident")
rate=$(disk_rate)
drop_caches
generate "" sh bench/limited.sh "$limit" >"$data/cold"
cp "$data/trace.json" "${TRACE:-/dev/null}"
disk_spans "$data/trace.json" >"$data/disk"
read -r bytes reading beside <"$data/disk"
cold=$(sampling <"$data/cold")
[ "$(frames_hash <"$data/cold")" = "$(frames_hash <"$data/resident")" ] || {
    echo "cold.sh: the frames differ" >&2
    exit 1
}
{
    printf '{"command": "bench/cold.sh", "arguments": "%s", "limit_bytes": %s, "resident_blocks": %s, ' "$arguments" "$limit" "$(number resident_blocks <"$data/cold")"
    echo "$resident $cold $bytes $rate $reading $beside" | awk '{
        disk = $3 / $4; bound = disk > $1 ? disk : $1
        printf "\"all_resident_s\": %.2f, \"cold_s\": %.2f, \"read_bytes\": %.0f, \"disk_bytes_per_s\": %.0f, ", $1, $2, $3, $4
        printf "\"disk_alone_s\": %.2f, \"of_the_larger\": %.3f, \"reading_s\": %.2f, \"reading_beside_blocks_s\": %.2f}\n", disk, $2 / bound, $5, $6 }'
} >"$out"
cat "$out"
