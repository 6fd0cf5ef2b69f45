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

clips() { # clips NAME SEED N HELD_OUT
    [ -e "$work/$1.done" ] || {
        "$world" clips "$2" "$3" "$4" "$work/$1.rgb" "$work/$1.jsonl"
        touch "$work/$1.done"
    }
}

clips vae 100 3000 0
clips train 200 20000 0
[ -e "$work/text.pt" ] || python3 "$here/train_text.py" "$work/train.jsonl" "$work"
python3 "$here/train_vae.py" "$work/vae.rgb" "$work"
python3 "$here/refine_vae.py" all "$work/train.rgb" "$work/train.jsonl" "$work"
[ -e "$work/encoded.done" ] || {
    python3 "$here/encode.py" "$work/train.rgb" "$work" 0 2 20000 &
    first=$!
    python3 "$here/encode.py" "$work/train.rgb" "$work" 1 2 20000
    wait "$first"
    touch "$work/encoded.done"
}
python3 "$here/train_transformer.py" "$work" "$work/train.jsonl"
python3 "$here/refine_vae.py" decoder "$work/train.rgb" "$work/train.jsonl" "$work"
python3 "$here/export.py" "$work" "$out"
