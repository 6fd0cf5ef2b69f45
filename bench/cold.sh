#!/bin/sh
# What it costs that blocks come from a cold disk: bench/cold.sh -> bench/results/DATE-COMMIT-cold.json; TRACE: a file for the timeline.
# Under a hard limit of LIMIT bytes of memory, page cache included, every step reads the blocks that do not stay. Beside it: the
# same with all blocks in memory, and the disk's own rate. Needs root (bench/limited.sh, and to drop the page cache).
set -eu
cd "$(dirname "$0")/.."
. bench/studio.sh # result_path
. bench/real.sh
limit=${LIMIT:-1500000000}
out=$(result_path cold)
real_start

drop_caches() {
    sync
    echo 3 >/proc/sys/vm/drop_caches
}

disk_rate() { # bytes a second of the packed weights from end to end
    drop_caches
    begin=$(date +%s.%N)
    bytes=$(cat "$KINORA_CACHE_DIR"/packed/*.packed | wc -c)
    echo "$begin $(date +%s.%N) $bytes" | awk '{ printf "%.0f", $3 / ($2 - $1) }'
}

# disk_spans TRACE: bytes and seconds of the disk's spans, and the seconds of these that blocks were worked with; a span is a line.
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

trace=${TRACE:-$data/trace.json}
real_run "--resident-blocks 0" >/dev/null # records the packed weights and the text's states
real_run "" >"$data/resident"
rate=$(disk_rate)
drop_caches
real_run "--timeline $trace" sh bench/limited.sh "$limit" >"$data/cold"
cat "$data/resident" "$data/cold" >"$data/both"
real_same "$data/both"
{
    printf '{"command": "bench/cold.sh", "arguments": "%s", "limit_bytes": %s, ' "$arguments" "$limit"
    echo "$(cat "$data/resident" "$data/cold" | tr '\n' ' ') $(disk_spans "$trace") $rate" | awk '{
        printf "\"resident_blocks\": %s, \"all_resident_s\": %.2f, \"cold_s\": %.2f, \"ratio\": %.3f, ", $6, $1, $4, $4 / $1
        printf "\"read_bytes\": %.0f, \"disk_bytes_per_s\": %.0f, \"disk_alone_s\": %.2f, ", $7, $10, $7 / $10
        printf "\"reading_s\": %.2f, \"reading_beside_blocks_s\": %.2f}\n", $8, $9 }'
} >"$out"
cat "$out"
