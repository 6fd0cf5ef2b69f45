#!/bin/sh
# Plans against what the process then takes: bench/memory.sh -> bench/results/DATE-COMMIT-memory.json
# Every policy at the demo model's size and at Wan 1.3B's, with random weights; a line a run, and the worst ratio last.
set -eu
cd "$(dirname "$0")/.."
out=bench/results/$(date -u +%Y-%m-%d)-$(git rev-parse --short HEAD)-memory.json
mkdir -p bench/results
sep=
run() {
    printf '%s{"command": "kinora bench %s", "result": ' "$sep" "$*" >>"$out.part"
    build/kinora bench "$@" --json >"$out.one" 2>/dev/null
    cat "$out.one" >>"$out.part"
    printf '}' >>"$out.part"
    sep=','
    awk -v what="$*" '
        /"need_bytes"/ { need = $2 + 0 }
        /"rss_growth_bytes"/ { grew = $2 + 0 }
        END { printf "%.3f  %8.1f MB planned, %8.1f MB taken  %s\n", need / grew, need / 1e6, grew / 1e6, what }' "$out.one" |
        tee -a "$out.ratios"
}
printf '{"date": "%s", "runs": [' "$(date -u +%FT%TZ)" >"$out.part"
: >"$out.ratios"
for dtype in f32 bf16 int8; do
    for blocks in 6 3 0; do
        for tile in 0 64; do
            run --config demo/transformer/config.json --width 96 --height 96 --frames 9 --steps 2 --guidance 4 \
                --dtype $dtype --resident-blocks $blocks --vae-tile $tile
        done
    done
done
for dtype in bf16 int8; do
    for policy in "30 0" "12 0" "0 0" "0 128"; do
        # shellcheck disable=SC2086
        set -- $policy
        run --config wan-1.3b --width 256 --height 256 --frames 5 --steps 1 --guidance 4 \
            --dtype $dtype --resident-blocks "$1" --vae-tile "$2"
    done
done
printf ']}\n' >>"$out.part"
mv "$out.part" "$out"
awk '{ off = $1 > 1 ? $1 - 1 : 1 - $1; if (off > worst) worst = off } END { printf "worst: %.1f %% off\n", 100 * worst }' "$out.ratios"
rm "$out.one" "$out.ratios"
echo "$out"
