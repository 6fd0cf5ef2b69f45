# What benchmarks of a whole run at the real size share; sourced after bench/studio.sh, in the repository's folder.
# real_start: a Wan 1.3B of random weights (MODEL: such a folder, else one of 14 GB is made), with states and cache of its own (CACHE: a folder
# that stays). What is made here is gone with the script: $data, $model
real_start() {
    cmake --build build --target kinora >/dev/null
    data=$(mktemp -d)
    trap 'rm -rf "$data"' EXIT
    trap 'exit 1' INT TERM
    export KINORA_STATE_DIR="$data/state" KINORA_CACHE_DIR="${CACHE:-$data/cache}"
    model=${MODEL:-$data/wan-1.3b}
    [ -n "${MODEL:-}" ] || python3 bench/random-model.py wan-1.3b tests/fixtures/wan21-t2v/model "$model" >&2
    arguments="--width 480 --height 272 --frames ${FRAMES:-9} --steps ${STEPS:-3} --seed 1 --guidance 5 --dtype bf16"
}

# real_run OPTIONS [COMMAND ...]: runs $arguments and OPTIONS, by COMMAND if there is one; prints "seconds of sampling, frames_hash, resident_blocks".
real_run() {
    options=$1
    shift
    # shellcheck disable=SC2086 # lists of words
    "$@" build/kinora generate --model "$model" --prompt cat $arguments $options --json -o "$data/v.mp4" >"$data/lines"
    tail -1 "$data/lines" >"$data/result"
    echo "$(sed 's/.*"phase":"sampling",//' "$data/result" | number seconds)" \
        "$(sed 's/.*"frames_hash":"\([0-9a-f]*\)".*/\1/' "$data/result")" "$(number resident_blocks <"$data/result")"
}

# real_same FILE: all lines of FILE have one frames_hash, their second column.
real_same() {
    [ "$(awk '{ print $2 }' "$1" | sort -u | wc -l)" = 1 ] || {
        echo "the frames differ: $(cat "$1")" >&2
        exit 1
    }
}
