#!/bin/sh
# The GPU suite on a machine that has Python, torch and transformers, and perhaps no network.
#
#   scripts/bench_gpu.sh gather WHEELS      before, where there is a network: fetch what may be missing
#   scripts/bench_gpu.sh run WHEELS OUT     there: install from WHEELS what is missing, write OUT/gpu.json
#
# torch and transformers stay as they are: 2.11 and 5.17 will do, or what constraints.txt pins. OUT
# is written after every part, so that a run that is cut short leaves what it has measured.
# PYTHON names the interpreter; PRESET=tiny rehearses everything on a processor in half a minute.
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
PRESET=${PRESET:-6b}

# module:distribution of what the suite needs beside torch and transformers
NEEDED="av:av PIL:pillow pydantic:pydantic yaml:pyyaml typer:typer rich:rich filelock:filelock
tqdm:tqdm safetensors:safetensors accelerate:accelerate"

missing() {
    for pair in $NEEDED; do
        "$PYTHON" -c "import ${pair%%:*}" 2>/dev/null || echo "${pair##*:}"
    done
}

case "${1:-}" in
gather)
    # accelerate and safetensors come without what they build on: torch is there already
    for pair in $NEEDED; do
        case ${pair##*:} in
        accelerate | safetensors) alone=--no-deps ;;
        *) alone= ;;
        esac
        # shellcheck disable=SC2086
        "$PYTHON" -m pip download --quiet $alone --only-binary :all: -c constraints.txt \
            -d "${2:?name a folder for the wheels}" "${pair##*:}"
    done
    "$PYTHON" -m pip download --quiet --only-binary :all: -c constraints.txt -d "$2" psutil
    ;;
run)
    wheels=${2:?name the folder of the wheels} out=${3:?name a folder for the results}
    "$PYTHON" -c 'import torch, transformers; print(torch.__version__, transformers.__version__)'
    mkdir -p "$out"
    for name in $(missing); do # one by one: the suite goes on without what cannot be had
        PIP_BREAK_SYSTEM_PACKAGES=1 "$PYTHON" -m pip install --quiet --no-index \
            --find-links "$wheels" "$name" || echo "not installed: $name" >&2
    done
    HF_HUB_OFFLINE=1 PYTHONPATH=. "$PYTHON" -m tempo_lib.cli bench gpu --preset "$PRESET" \
        --out "$out/gpu.json"
    ;;
*)
    sed -n '2,11s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
