#!/bin/sh
# What the queue, the server and a worker add to the engine's own time: bench/overhead.sh -> bench/results/DATE-COMMIT-overhead.json
# The same demo job in turn by `kinora generate` and through the API.  Beside "seconds" of the result, the engine's own: the whole command's
# time, and the job's from being submitted to being completed.  What others do on the machine moves both by more than
# what is looked for, so only differences within one run count.
set -eu
cd "$(dirname "$0")/.."
. bench/studio.sh
rounds=${ROUNDS:-5} steps=${STEPS:-200}
cmake --build build --target kinora >/dev/null
out=$(result_path overhead)
studio_start

command_round() { # engine's seconds, the rest
    begin=$(date +%s.%N)
    engine=$(build/kinora generate --model demo --prompt "a red ball" --steps "$steps" --seed 1 --json -o "$data/a.mp4" |
        sed -n 's/.*"event":"done",//p' | number seconds)
    end=$(date +%s.%N)
    echo "$engine $begin $end" | awk '{ printf "%.4f %.4f\n", $1, $3 - $2 - $1 }'
}

api_round() { # engine's seconds, the rest
    id=$(studio_submit "{\"model\": \"demo\", \"prompt\": \"a red ball\", \"steps\": $steps, \"seed\": 1}")
    studio_wait "$id" completed
    engine=$(sed 's/.*"timings":[^]]*\]//' "$data/job" | number seconds)
    echo "$engine $(number created_at <"$data/job") $(number finished_at <"$data/job")" | awk '{ printf "%.4f %.4f\n", $1, $3 - $2 - $1 }'
}

api_round >"$data/first" # the worker begins, weights are packed
: >"$data/command" >"$data/api"
for i in $(seq "$rounds"); do
    command_round >>"$data/command"
    api_round >>"$data/api"
done
paste "$data/command" "$data/api" | awk '{ printf "%.4f\n", ($3 + $4) / ($1 + $2) }' >"$data/ratio"
{
    printf '{"command": "bench/overhead.sh", "rounds": %s, "steps": %s, "load": %s, ' "$rounds" "$steps" "$(cut -d' ' -f1 /proc/loadavg)"
    printf '"command_engine_s": %s, "command_rest_s": %s, ' "$(median 1 "$data/command")" "$(median 2 "$data/command")"
    printf '"api_engine_s": %s, "api_rest_s": %s, ' "$(median 1 "$data/api")" "$(median 2 "$data/api")"
    printf '"api_rest_share": %s, "api_to_command": %s}\n' \
        "$(awk '{ printf "%.5f\n", $2 / $1 }' "$data/api" >"$data/share"; median 1 "$data/share")" "$(median 1 "$data/ratio")"
} >"$out"
cat "$out"
