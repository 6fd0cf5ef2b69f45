#!/bin/sh
# How soon a job of the real size stops: bench/cancel.sh -> bench/results/DATE-COMMIT-cancel.json
# A Wan 1.3B of random weights (MODEL: such a folder, else one of 14 GB is made and removed again) samples; after 1, 2, ... s of sampling
# the job is cancelled. Seconds from the request to its answer, to `cancelled`, and to the last processor time of the worker
# (more than a twentieth of a second within half a second), as seen every 20 ms.
set -eu
cd "$(dirname "$0")/.."
. bench/studio.sh
rounds=${ROUNDS:-5} width=${WIDTH:-832} height=${HEIGHT:-480} frames=${FRAMES:-33}
cmake --build build --target kinora >/dev/null
out=$(result_path cancel)
studio_start
name=wan-1.3b
if [ -n "${MODEL:-}" ]; then
    cp -al "$MODEL" "$data/models/$name" 2>/dev/null || cp -a "$MODEL" "$data/models/$name"
else
    python3 bench/random-model.py "$name" tests/fixtures/wan21-t2v/model "$data/models/$name" >&2
fi

now() {
    date +%s.%N
}

since() { # since BEGIN END
    echo "$1 $2" | awk '{ printf "%.3f", $2 - $1 }'
}

# When a process last used the processor, once it has been quiet for half a second.
last_busy() {
    at=$(now) seen=$(cpu_s "$1")
    while :; do
        sleep 0.02
        is=$(cpu_s "$1") t=$(now)
        if [ "$(echo "$is $seen" | awk '{ print ($1 - $2 > 0.05) }')" = 1 ]; then
            at=$t seen=$is
        elif [ "$(echo "$t $at" | awk '{ print ($1 - $2 > 0.5) }')" = 1 ]; then
            echo "$at"
            return
        fi
    done
}

cancel_round() { # cancel_round SECONDS: "answered cancelled idle", in seconds
    id=$(studio_submit "{\"model\": \"$name\", \"prompt\": \"a red ball $1\", \"width\": $width, \"height\": $height, \"frames\": $frames, \"steps\": 50, \"seed\": 1}")
    studio_wait "$id" sampling
    sleep "$1"
    worker=$(curl -s "$api/system" | grep -o '"workers":\[{"pid":[0-9]*' | sed 's/.*://')
    begin=$(now)
    curl -s -X POST "$api/jobs/$id/cancel" -H 'Content-Type: application/json' -d '{}' >/dev/null
    answered=$(now)
    last_busy "$worker" >"$data/idle" &
    watcher=$!
    until curl -s "$api/jobs/$id" | grep -q '"state":"cancelled"'; do sleep 0.02; done
    cancelled=$(now)
    wait $watcher
    echo "$(since "$begin" "$answered") $(since "$begin" "$cancelled") $(since "$begin" "$(cat "$data/idle")")"
}

: >"$data/rounds"
for i in $(seq "$rounds"); do
    cancel_round "$i" >>"$data/rounds"
    tail -1 "$data/rounds" >&2
done
{
    printf '{"command": "bench/cancel.sh", "rounds": %s, "width": %s, "height": %s, "frames": %s, "load": %s, ' \
        "$rounds" "$width" "$height" "$frames" "$(cut -d' ' -f1 /proc/loadavg)"
    printf '"answered_s": %s, "cancelled_s": %s, "idle_s": %s, "all": [%s]}\n' \
        "$(median 1 "$data/rounds")" "$(median 2 "$data/rounds")" "$(median 3 "$data/rounds")" \
        "$(awk '{ printf "%s[%s, %s, %s]", (NR > 1 ? ", " : ""), $1, $2, $3 }' "$data/rounds")"
} >"$out"
cat "$out"
