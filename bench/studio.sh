# What benchmarks of the studio share; sourced by them, in the repository's folder.
# studio_start [OPTIONS OF serve]: a server with a data folder of its own, which is gone with the script:
#   $data, $server (its process), $port, $api
studio_start() {
    data=$(mktemp -d)
    build/kinora serve --port 0 --data-dir "$data" "$@" >"$data/out" 2>"$data/err" &
    server=$!
    trap 'kill $server 2>/dev/null; wait $server 2>/dev/null; rm -rf "$data"' EXIT
    trap 'exit 1' INT TERM
    until grep -q 'Kinora is at' "$data/out"; do
        kill -0 $server || exit 1
        sleep 0.05
    done
    port=$(sed -n 's/.*:\([0-9]*\)$/\1/p' "$data/out")
    api=http://127.0.0.1:$port/api/v1
}

studio_submit() { # studio_submit JSON: the id of the new job
    curl -s "$api/jobs" -H 'Content-Type: application/json' -d "$1" >"$data/job"
    grep -q '"id"' "$data/job" || {
        cat "$data/job" >&2
        exit 1
    }
    sed 's/.*"id":"\([^"]*\)".*/\1/' "$data/job"
}

# studio_wait ID STATE [PAUSE]: until the job has the state, which is looked at every PAUSE seconds; it is in $data/job then.
studio_wait() {
    until curl -s "$api/jobs/$1" >"$data/job" && grep -q "\"state\":\"$2\"" "$data/job"; do
        if grep -qE '"state":"(completed|failed|cancelled)"' "$data/job"; then
            cat "$data/job" >&2
            exit 1
        fi
        sleep "${3:-0.5}"
    done
}

cpu_s() { # cpu_s PID: processor seconds of a process, all its threads, without its children
    sed 's/.*) //' "/proc/$1/stat" | awk -v hz="$(getconf CLK_TCK)" '{ print ($12 + $13) / hz }'
}

number() { # number NAME: the first number of that name
    grep -o "\"$1\": *[0-9.]*" | head -1 | sed 's/.*: *//'
}

median() { # median COLUMN FILE: of an even number of lines the lower one
    awk -v c="$1" '{ print $c }' "$2" | sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'
}

result_path() { # result_path NAME
    mkdir -p bench/results
    echo "bench/results/$(date -u +%Y-%m-%d)-$(git rev-parse --short HEAD)-$1.json"
}
