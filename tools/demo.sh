#!/bin/sh
# Makes the two demonstration videos: tools/demo.sh OUT_FOLDER
set -eu
out=${1:-out}
model=tests/fixtures/wan21-t2v/model
mkdir -p "$out"

echo "== 1/2 test source: colour bars drawn by the program, no model, no weights"
build/kinora generate --model testsrc --prompt "colour bars" -o "$out/testsrc.mp4"

echo
echo "== 2/2 Wan pipeline with the tiny test model in $model"
echo "   Its weights are RANDOM: every stage of the real pipeline runs, the picture is noise."
build/kinora generate --model "$model" --prompt "A cat walks slowly on the green grass" \
    --width 96 --height 64 --frames 17 --steps 4 --seed 1 -o "$out/demo.mp4"

cat <<END

Files:
  $out/testsrc.mp4   colour bars from the test source
  $out/demo.mp4      noise from the random test model

For real videos, name a folder with a Wan model in its Hugging Face layout (model_index.json at its top):
  build/kinora generate --model /path/to/Wan2.1-T2V-1.3B-Diffusers --prompt "A cat walks on the grass" -o cat.mp4
END
