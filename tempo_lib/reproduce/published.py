"""Whether published results are still what their provenance says: none edited, deleted or mixed.

Provenance is written last and names every file with its hash, so a publication that was killed in
the middle, or that something changed later, shows.
"""

import json
from pathlib import Path

from tempo_lib.fingerprint import sha256_of_file
from tempo_lib.provenance import COLUMN, RESULT_SUFFIXES


def altered(folder: Path) -> dict[str, list[str]]:
    """Result -> its files that are absent, or not of its provenance; {} where all is well."""
    found: dict[str, list[str]] = {}
    names = {path.stem for path in folder.glob("*") if path.suffix in RESULT_SUFFIXES}
    names -= {f"{name}{COLUMN}" for name in names}
    for name in sorted(names):
        hashes = _hashes(folder / f"{name}.json")
        own = [*folder.glob(f"{name}.*"), *folder.glob(f"{name}{COLUMN}.*")]
        there = {path.name for path in own if path.suffix in RESULT_SUFFIXES}
        wrong = there - set(hashes) - {f"{name}.json"}
        wrong |= {file for file, said in hashes.items() if _hash(folder / file) != said}
        if wrong or not hashes:
            found[name] = sorted(wrong) or [f"{name}.json"]
    return found


def _hashes(provenance: Path) -> dict[str, str]:
    """File -> SHA-256 as provenance has it; {} where it is absent or damaged."""
    try:
        return dict(json.loads(provenance.read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _hash(file: Path) -> str:
    return sha256_of_file(file) if file.is_file() else "absent"
