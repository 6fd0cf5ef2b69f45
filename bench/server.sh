#!/bin/sh
# What a crowd costs the job that runs: bench/server.sh -> bench/results/DATE-COMMIT-server.json
# The same demo job in turn with nobody and with 1,000 listening and 64 asking clients; the medians of seconds a step.
set -eu
cd "$(dirname "$0")/.."
rounds=${ROUNDS:-3} steps=${STEPS:-400} rate=${RATE:-64} seconds=${SECONDS_BUSY:-40}
cmake --build build --target kinora bench-clients >/dev/null
out=bench/results/$(date -u +%Y-%m-%d)-$(git rev-parse --short HEAD)-server.json
data=$(mktemp -d)
build/kinora serve --port 0 --data-dir "$data" >"$data/out" 2>"$data/err" &
server=$!
trap 'kill $server; wait $server 2>/dev/null; rm -rf "$data"' EXIT
until grep -q 'Kinora is at' "$data/out"; do sleep 0.05; done
port=$(sed -n 's/.*:\([0-9]*\)$/\1/p' "$data/out")
api=http://127.0.0.1:$port/api/v1

job() { # prints the sampling seconds of one job
    id=$(curl -s "$api/jobs" -H 'Content-Type: application/json' \
        -d "{\"model\": \"demo\", \"prompt\": \"a red ball\", \"steps\": $steps, \"seed\": 1}" | sed 's/.*"id":"\([^"]*\)".*/\1/')
    until curl -s "$api/jobs/$id" | grep -q '"state":"completed"'; do sleep 0.5; done
    curl -s "$api/jobs/$id" | sed 's/.*"phase":"sampling","detail":"","seconds":\([0-9.]*\).*/\1/'
    echo
}

job >/dev/null # the first one warms up
: >"$data/quiet" >"$data/busy" >"$data/clients"
for i in $(seq "$rounds"); do
    job >>"$data/quiet"
    build/bench-clients "$port" $server 1000 64 "$rate" "$seconds" >>"$data/clients" &
    clients=$!
    sleep 2
    job >>"$data/busy"
    wait $clients
done
quiet=$(sort -n "$data/quiet" | sed -n "$(((rounds + 1) / 2))p")
busy=$(sort -n "$data/busy" | sed -n "$(((rounds + 1) / 2))p")
{
    printf '{"command": "bench/server.sh", "rounds": %s, "steps": %s, "requests_per_second": %s, ' "$rounds" "$steps" "$rate"
    printf '"quiet_s": %s, "busy_s": %s, "ratio": %s, "clients": [' "$quiet" "$busy" "$(echo "$busy $quiet" | awk '{ printf "%.3f", $1 / $2 }')"
    paste -sd, "$data/clients"
    printf ']}\n'
} >"$out"
cat "$out"
