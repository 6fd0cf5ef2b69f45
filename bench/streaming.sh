#!/bin/sh
# What it costs that a block of the denoiser does not stay in memory: bench/streaming.sh -> bench/results/DATE-COMMIT-streaming.json
# Half of the blocks stay, the others are mapped from the packed weights in the page cache. In every step of the same run, which what else
# happens on the machine moves alike: mean milliseconds of a block that stays, of one that comes (its loading included), and their ratio. The first
# step, which compares the sums of what it maps, is left out of the medians.
set -eu
cd "$(dirname "$0")/.."
. bench/studio.sh # median, result_path
. bench/real.sh
STEPS=${STEPS:-9}
out=$(result_path streaming)
real_start

block_times() { # block_times TRACE: a line a step: "stays comes ratio first"; a span is a line, a step's comes after those of its blocks
    awk '
        /"name":"(block|load) [0-9]/ {
            match($0, /"dur":[0-9.]+/); dur = substr($0, RSTART + 6, RLENGTH - 6)
            match($0, /"name":"[a-z]+ [0-9]+/); split(substr($0, RSTART + 8, RLENGTH - 8), name, " ")
            if (name[2] < 15) { stays += dur; n_stay++ } else { comes += dur; n_come += name[1] == "block" }
        }
        /"name":"sampling [0-9]/ && n_come {
            printf "%.1f %.1f %.3f %s\n", stays / n_stay / 1e3, comes / n_come / 1e3, comes / n_come / stays * n_stay, n_steps++ ? "" : "first"
            stays = comes = n_stay = n_come = 0 }' "$1"
}

real_run "--resident-blocks 0" >/dev/null # records the packed weights and the text's states
real_run "--resident-blocks 15 --timeline $data/trace.json" >/dev/null
block_times "$data/trace.json" >"$data/steps"
grep -v first "$data/steps" >"$data/later"
{
    printf '{"command": "bench/streaming.sh", "arguments": "%s --resident-blocks 15", "load": %s, ' "$arguments" "$(cut -d' ' -f1 /proc/loadavg)"
    printf '"block_stays_ms": %s, "block_comes_ms": %s, "ratio": %s, "first_step": %s, "ratios": [%s]}\n' \
        "$(median 1 "$data/later")" "$(median 2 "$data/later")" "$(median 3 "$data/later")" \
        "$(awk '/first/ { print $3 }' "$data/steps")" "$(awk '{ printf "%s%s", (NR > 1 ? ", " : ""), $3 }' "$data/later")"
} >"$out"
cat "$out"
