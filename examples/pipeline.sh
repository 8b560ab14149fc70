#!/usr/bin/env bash
# Encodes and decodes a video through pipes and checks what came out; nothing but the .lat file touches the disk on the way.
#
#     examples/pipeline.sh [IN.mp4] [OUT_DIR]
set -euo pipefail

input=${1:-$(dirname "$0")/example.mp4}
out=${2:-demo-out}
mkdir -p "$out"

# Video -> tokens -> video in one pipe. `-` is standard input or output; a video in a pipe is Matroska.
latcomp encode --quiet "$input" - | latcomp decode --quiet - - > "$out/round-trip.mkv"

# The same with the tokens kept on the way, as between a camera and a server.
cat "$input" | latcomp encode --quiet - - | tee "$out/tokens.lat" | latcomp decode --quiet --force - "$out/round-trip.mp4"

# What the file holds, and whether it is sound: neither needs a network or a GPU.
latcomp check "$out/tokens.lat"
latcomp stats --json "$out/tokens.lat"

# How near the decoded frames are to the input.
latcomp compare --json "$input" "$out/tokens.lat" > "$out/quality.json"
echo "wrote $out/tokens.lat, $out/round-trip.mkv, $out/round-trip.mp4 and $out/quality.json" >&2
