#!/bin/sh
# The whole recipe: tools/train-demo/run.sh WORK_DIR [OUT_DIR].  Every step is skipped when its result is there, and the
# two long ones resume from their last checkpoint, so it can be stopped and started at any time.
# Needs build/tests/world (make build) and Python with torch, numpy, safetensors and tokenizers.
set -eu
work=${1:?usage: run.sh WORK_DIR [OUT_DIR]}
out=${2:-$work/demo}
here=$(dirname "$0")
export GLIBC_TUNABLES=glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=17179869184
world=${WORLD:-$here/../../build/tests/world}
mkdir -p "$work"

clips() { # clips NAME SEED N TWO, of which TWO in ten show two objects
    [ -e "$work/$1.done" ] || {
        "$world" clips "$2" "$3" 0 "$4" "$work/$1.rgb" "$work/$1.jsonl"
        touch "$work/$1.done"
    }
}

encode() { # encode NAME N
    [ -e "$work/$1.encoded" ] || {
        python3 "$here/encode.py" "$work/$1.rgb" "$work" 0 2 "$2" &
        first=$!
        python3 "$here/encode.py" "$work/$1.rgb" "$work" 1 2 "$2"
        wait "$first"
        touch "$work/$1.encoded"
    }
}

clips vae 100 3000 3
clips train 200 20000 3
clips two 300 20000 10
[ -e "$work/text.pt" ] || python3 "$here/train_text.py" "$work" "$work/train.jsonl" "$work/two.jsonl"
python3 "$here/train_vae.py" "$work/vae.rgb" "$work"
python3 "$here/refine_vae.py" all "$work/train.rgb" "$work/train.jsonl" "$work"
encode train 20000
encode two 20000
python3 "$here/train_transformer.py" "$work" "$work/train.jsonl" "$work/two.jsonl"
python3 "$here/refine_vae.py" decoder "$work/train.rgb" "$work/train.jsonl" "$work"
earlier=$(ls "$work"/transformer-[0-9]*.pt | sort -V | tail -3)
# shellcheck disable=SC2086 # a list of files
python3 "$here/export.py" "$work" "$out" $earlier
