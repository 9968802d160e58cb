"""Mutants of a room: one operator, number or argument changed at a time; do its tests notice?

    python tests/mutants.py allocation                     # every mutant of the room
    python tests/mutants.py statistics --sample 200        # 200 drawn at random

mutmut works on a copy (``build/mutants/<room>``) with the room's own fast tests. What is printed:
killed of n, and the survivors; ``mutmut show NAME``, run in the copy, has the change itself.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {
    "allocation": ("ata", "baselines", "extensions", "reduction"),
    "statistics": ("claims", "intervals", "preregistration", "seeds", "summaries"),
    "evaluation": ("audit", "letters", "published", "records", "relevance", "runner", "variants"),
    "model": ("attention", "compressor", "decoder_prompt", "decoding", "numerics", "rope", "tempo"),
    "training": ("costs", "data", "frames", "plan", "progress", "sampler", "stages", "targets"),
}
ALSO_COPIED = ("data_manifests", "notebooks", "README.md", "constraints.txt", "environment.yml")
CONFIG = """
[tool.mutmut]
source_paths = ["tempo_lib"]
only_mutate = ["tempo_lib/{room}/*"]
also_copy = {copied}
pytest_add_cli_args = ["-p", "no:cacheprovider"]
pytest_add_cli_args_test_selection = {tests}
timeout_constant = 5.0
"""
SURVIVED, UNTESTED, TIMEOUT = 0, 33, -24  # exit codes of mutmut; a time-out counts as killed


def copy_of(room: str) -> Path:
    """The committed tree with mutmut's configuration for the room; an earlier one is replaced."""
    place = ROOT / "build" / "mutants" / room
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", str(place)], input=archive.stdout, check=True)
    tests = [f"tests/test_{room}_{name}.py" for name in ROOMS[room]]
    config = CONFIG.format(room=room, copied=json.dumps(ALSO_COPIED), tests=json.dumps(tests))
    with (place / "pyproject.toml").open("a") as stream:
        stream.write(config)
    return place


def run_mutmut(place: Path, *names: str) -> int:
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", "1", *names]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(command, cwd=place, env=environment).returncode


def exit_codes(place: Path) -> dict[str, int | None]:
    """Mutant -> exit code of its tests; None where they have not run."""
    found: dict[str, int | None] = {}
    for path in sorted((place / "mutants").rglob("*.meta")):
        found |= json.loads(path.read_text())["exit_code_by_key"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("room", choices=ROOMS)
    parser.add_argument("--sample", type=int, default=0, help="0: every mutant")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    place = copy_of(given.room)
    run_mutmut(place, "none")  # makes the mutants and finds which test runs which function
    names = sorted(exit_codes(place))
    if not names:
        sys.exit("mutmut made no mutants; its messages stand above")
    if given.sample:
        names = random.Random(given.seed).sample(names, min(given.sample, len(names)))
    run_mutmut(place, *names)
    codes = {name: code for name, code in exit_codes(place).items() if name in set(names)}
    done = {name: code for name, code in codes.items() if code is not None}
    alive = [name for name, code in done.items() if code in (SURVIVED, UNTESTED)]
    slow = sum(code == TIMEOUT for code in done.values())
    print(f"\n{given.room}: {len(done) - len(alive)} of {len(done)} killed, {slow} by time-out")
    print(*(f"survived: {name}" for name in alive), sep="\n")


if __name__ == "__main__":
    main()
