#!/bin/sh
# What it costs that no block of the denoiser stays in memory: bench/streaming.sh -> bench/results/DATE-COMMIT-streaming.json
# The packed weights are in the page cache: seconds of sampling with all blocks resident and with none, in turn, ROUNDS times (default 3).
set -eu
cd "$(dirname "$0")/.."
. bench/studio.sh # median, result_path
. bench/real.sh
out=$(result_path streaming)
real_start

real_run "--resident-blocks 0" >/dev/null # records the packed weights and the text's states
: >"$data/resident"
: >"$data/streamed"
for _ in $(seq "${ROUNDS:-3}"); do
    real_run "--resident-blocks 30" >>"$data/resident"
    real_run "--resident-blocks 0" >>"$data/streamed"
done
cat "$data/resident" "$data/streamed" >"$data/both"
real_same "$data/both"
paste "$data/resident" "$data/streamed" | awk '{ printf "%.2f %.2f %.3f\n", $1, $4, $4 / $1 }' >"$data/rounds"
{
    printf '{"command": "bench/streaming.sh", "rounds": %s, "arguments": "%s", "load": %s, ' "${ROUNDS:-3}" "$arguments" "$(cut -d' ' -f1 /proc/loadavg)"
    printf '"resident_s": %s, "streamed_s": %s, "ratio": %s, "all": [%s]}\n' \
        "$(median 1 "$data/rounds")" "$(median 2 "$data/rounds")" "$(median 3 "$data/rounds")" \
        "$(awk '{ printf "%s[%s, %s]", (NR > 1 ? ", " : ""), $1, $2 }' "$data/rounds")"
} >"$out"
cat "$out"
