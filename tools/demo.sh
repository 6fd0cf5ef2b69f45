#!/bin/sh
# Makes the demonstration video with the model that comes with Kinora: tools/demo.sh [OUT_FOLDER]
# PROMPT in the environment: another sentence.
set -eu
out=${1:-out}
prompt=${PROMPT:-a red ball rolling to the right}
mkdir -p "$out"

printf 'The demo model makes "%s":\n\n' "$prompt"
build/kinora generate --model demo --prompt "$prompt" --seed 1 -o "$out/demo.mp4"

cat <<END

Open $out/demo.mp4 in a browser or player.

Your own sentence:
  make demo PROMPT="a blue star spins"
  build/kinora generate --model demo --prompt "a blue star spins" -o star.mp4
  Another --seed gives another scene. One object, or two: "a red ball bounces and a green box grows".

The words that this model knows; it was trained on such scenes and on nothing else:
  shapes       circle ball, square box, triangle, star, ring, heart, cross
  colours      red, orange, yellow, green, cyan, blue, purple, pink, white
  motions      moves left, right, up, down or diagonally up left; bounces, orbits, spins,
               grows, shrinks, fades away, stays still
  how          small, large; slowly, quickly
  backgrounds  on a plain background, on a gradient, on a checkered background, under the sky

Bring a picture to life (the first frame; here one from a clip):
  build/kinora generate --model demo --prompt "a pink heart" -o $out/frames/
  build/kinora generate --model demo --image $out/frames/frame_00000.png \\
      --prompt "a pink heart shrinks" -o $out/heart.mp4

Real videos come from a real model: name a Wan folder from Hugging Face (with model_index.json):
  build/kinora generate --model /path/to/Wan2.1-T2V-1.3B-Diffusers \\
      --prompt "A cat walks on the grass" -o cat.mp4
END
