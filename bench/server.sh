#!/bin/sh
# What a crowd costs the job that runs: bench/server.sh -> bench/results/DATE-COMMIT-server.json
# The same demo job in turn with nobody, with 1,000 listening and 64 asking clients, and with the same clients at SCHED_IDLE, who
# run only when nobody else would (a crowd on other machines costs the job nothing, but the server is as busy). The
# medians of seconds a job, and of what server and clients took meanwhile of the processors: seconds, which other programs on the
# machine hardly change, and shares of wall time x cores. A crowd of this machine takes its share from the job, and so the job
# that is slowed is clients and server.
set -eu
cd "$(dirname "$0")/.."
. bench/studio.sh
rounds=${ROUNDS:-3} steps=${STEPS:-400} rate=${RATE:-64} seconds=${SECONDS_BUSY:-40}
more=${THREADS:+, \"threads\": $THREADS} # of the job; without it all cores
cmake --build build --target kinora bench-clients >/dev/null
out=$(result_path server)
studio_start
cores=$(nproc)

job() { # prints the sampling seconds of one job
    id=$(studio_submit "{\"model\": \"demo\", \"prompt\": \"a red ball\", \"steps\": $steps, \"seed\": 1$more}")
    studio_wait "$id" completed
    sed 's/.*"phase":"sampling","detail":"","seconds":\([0-9.]*\).*/\1/' "$data/job"
}

crowd() { # crowd NAME COMMAND ...: a job among clients; adds a line "seconds wall server_cpu clients_cpu" to $data/NAME
    name=$1
    shift
    "$@" build/bench-clients "$port" "$server" 1000 64 "$rate" "$seconds" >>"$data/$name.clients" 2>"$data/connected" &
    clients=$!
    until [ -s "$data/connected" ]; do sleep 0.1; done
    sleep 1
    begin="$(date +%s.%N) $(cpu_s $server) $(cpu_s $clients)"
    took=$(job)
    if ! kill -0 $clients 2>/dev/null; then
        echo "the clients were gone before the job was: say SECONDS_BUSY=$((seconds * 2))" >&2
        exit 1
    fi
    echo "$took $begin $(date +%s.%N) $(cpu_s $server) $(cpu_s $clients)" | awk '{ print $1, $5 - $2, $6 - $3, $7 - $4 }' >>"$data/$name"
    wait $clients
}

shares() { # shares NAME: what NAME's lines say, as members of an object
    awk -v cores="$cores" '{ printf "%s %s\n", $3 / ($2 * cores), $4 / ($2 * cores) }' "$data/$1" >"$data/shares"
    printf '"job_s": %s, "ratio": %s, "server_cpu_s": %s, "server_share": %.4f, "clients_cpu_s": %s, "clients_share": %.4f, "clients": [%s]' \
        "$(median 1 "$data/$1")" "$(echo "$(median 1 "$data/$1") $quiet" | awk '{ printf "%.3f", $1 / $2 }')" \
        "$(median 3 "$data/$1")" "$(median 1 "$data/shares")" "$(median 4 "$data/$1")" "$(median 2 "$data/shares")" \
        "$(paste -sd, "$data/$1.clients")"
}

job >/dev/null # the first one warms up
: >"$data/quiet" >"$data/busy" >"$data/elsewhere"
for i in $(seq "$rounds"); do
    { job && echo; } >>"$data/quiet"
    crowd busy env
    crowd elsewhere chrt --idle 0
done
quiet=$(median 1 "$data/quiet")
{
    printf '{"command": "bench/server.sh", "rounds": %s, "steps": %s, "requests_per_second": %s, "cores": %s, "load": %s, ' \
        "$rounds" "$steps" "$rate" "$cores" "$(cut -d' ' -f1 /proc/loadavg)"
    printf '"quiet_s": %s, "same_priority": {%s}, "clients_idle_priority": {%s}}\n' "$quiet" "$(shares busy)" "$(shares elsewhere)"
} >"$out"
cat "$out"
