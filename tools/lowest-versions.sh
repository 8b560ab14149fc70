#!/bin/sh
# Tries latcomp with the lowest versions of its dependencies that pyproject.toml allows, in a virtual environment of its own:
#   tools/lowest-versions.sh [FOLDER]      the environment, .venv-lowest unless given; made anew each time
# torch is the exact version of the dev extra, which is the lowest that pyproject.toml allows too. Ends with the first command that fails.
set -eu
cd "$(dirname "$0")/.."
VENV=$(realpath -m "${1:-.venv-lowest}")
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

${PYTHON:-python3} -m venv --clear "$VENV"
BIN=$VENV/bin
"$BIN/python" - >"$WORK/lowest.txt" <<'EOF'
import re, tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
pinned = [line for line in project["optional-dependencies"]["dev"] if line.startswith("torch==")]
for line in project["dependencies"]:
    name, bound = re.match(r"([\w-]+)>=([\d.]+)", line).groups()
    if name != "torch":
        print(f"{name}=={bound}")
    elif f"torch=={bound}" not in [".".join(one.split(".")[:bound.count(".") + 1]) for one in pinned]:
        raise SystemExit(f"torch>={bound} is a bound that is not tried: the dev extra has {pinned}")
print(*pinned, "pytest", "hypothesis", sep="\n")
EOF
echo "installing $(tr '\n' ' ' <"$WORK/lowest.txt")"
"$BIN/python" -m pip install --quiet --disable-pip-version-check -r "$WORK/lowest.txt"
"$BIN/python" -m pip install --quiet --disable-pip-version-check --no-deps -e .

run() { # COMMAND...: says it, keeps its output to itself unless it fails
	echo "$ $*"
	"$@" >"$WORK/said.txt" 2>&1 || { status=$?; cat "$WORK/said.txt" >&2; echo "failed with exit code $status: $*" >&2; exit 1; }
}

latcomp=$BIN/latcomp
run "$latcomp" --help
"$BIN/python" - >"$WORK/commands.txt" <<'EOF'
import typer.main

from latcomp.cli.main import make_app


def show(command, before=()):
    if before:
        print(*before)
    for name, inner in getattr(command, "commands", {}).items():
        show(inner, (*before, name))


show(typer.main.get_command(make_app()))
EOF
while read -r command; do
	# shellcheck disable=SC2086
	run "$latcomp" $command --help </dev/null
done <"$WORK/commands.txt"

mkdir "$WORK/videos"
cp examples/example.mp4 "$WORK/videos/clip.mp4"
run "$latcomp" encode "$WORK/videos/clip.mp4" "$WORK/clip.lat" --duration 1
run "$latcomp" stats "$WORK/clip.lat"
run "$latcomp" stats "$WORK/clip.lat" --json --groups
run "$latcomp" check "$WORK/clip.lat"
run "$latcomp" decode "$WORK/clip.lat" "$WORK/back.mp4"
run "$latcomp" compare "$WORK/back.mp4" "$WORK/clip.lat" --json
run "$latcomp" tokens "$WORK/clip.lat" "$WORK/clip.safetensors"
cp "$WORK/back.mp4" "$WORK/videos/clip.mp4"
run "$latcomp" batch "$WORK/videos" "$WORK/lats" --json
run "$latcomp" batch "$WORK/videos" "$WORK/lats" --json
run "$latcomp" models
run "$latcomp" completion bash
run "$BIN/python" -m pytest -q -p no:cacheprovider tests/cli/test_help.py tests/cli/test_hints.py tests/cli/test_usage.py \
	tests/container/test_golden.py tests/codec/test_golden_frames.py
echo "the lowest versions work"
