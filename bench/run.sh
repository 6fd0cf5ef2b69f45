#!/bin/sh
# Measures what docs and release notes quote and keeps it: bench/run.sh [REPEATS] -> bench/results/DATE-COMMIT.json
# The large size has REPEATS denoising steps in one run, the small one (the one other programs were measured at) is
# repeated as a whole.
# Quiet machine, please: the file also says what else was running (the load average before and after).
set -eu
cd "$(dirname "$0")/.."
repeats=${1:-3}
commit=$(git rev-parse --short HEAD)
out=bench/results/$(date -u +%Y-%m-%d)-$commit.json
mkdir -p bench/results
run() {
    echo "kinora bench $*" >&2
    printf '%s{"command": "kinora bench %s", "result": ' "$sep" "$*" >>"$out.part"
    build/kinora bench "$@" --json >>"$out.part"
    printf '}' >>"$out.part"
    sep=','
}
sep=
printf '{"date": "%s", "commit": "%s", "load_before": "%s", "runs": [' \
    "$(date -u +%FT%TZ)" "$commit" "$(cut -d' ' -f1-3 /proc/loadavg)" >"$out.part"
for dtype in bf16 int8; do
    run --width 832 --height 480 --frames 9 --steps "$repeats" --guidance 1 --dtype $dtype
    run --width 256 --height 256 --frames 5 --steps 2 --guidance 6 --dtype $dtype --repeat "$repeats"
done
printf '], "load_after": "%s"}\n' "$(cut -d' ' -f1-3 /proc/loadavg)" >>"$out.part"
mv "$out.part" "$out"
echo "$out"
