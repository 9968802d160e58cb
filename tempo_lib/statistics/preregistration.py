"""What was laid down before any training that judges a claim: endpoints, world seed, recipe.

``data_manifests/preregistration.yaml`` is that file. A run of training seeds is a judgement only if
it keeps to it and its code descends from the commit that laid it down.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from tempo_lib.config import load_preset
from tempo_lib.fingerprint import digest
from tempo_lib.provenance import manifest_path
from tempo_lib.statistics.claim_schema import Expectation, read_claims

FILE = "preregistration.yaml"
RUNS = "measurements/judged_seeds.json"  # the facts of such a run, once there is one
# Of a preset, what a training depends on; of the miniature all but the suites that test it.
RECIPE = ("video", "pixels", "model", "training", "miniature")
NOT_RECIPE = {"video": {"max_frames"}, "miniature": {"suites"}}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Endpoint(_Strict):
    """What decides one claim: first minus second of ``pair``, tested as ``expects`` says."""

    pair: tuple[str] | tuple[str, str]
    unit: str
    expects: Expectation
    needs: float


class Recipe(_Strict):
    preset: str
    sha256: str


class Preregistration(_Strict):
    """``world_seed``: of videos and questions that no earlier run has read."""

    world_seed: int
    minimum_seeds: int
    recipe: Recipe
    endpoints: dict[str, Endpoint]


class JudgedRun(_Strict):
    """Facts of a run that judges: ``commit`` is that of the code that trained and evaluated."""

    world_seed: int
    model_seeds: tuple[int, ...]
    recipe_sha256: str
    commit: str


def read_preregistration(path: Path | None = None) -> Preregistration:
    """The committed file, or another; pydantic's ValidationError for one that is damaged."""
    text = (path or manifest_path(FILE)).read_text(encoding="utf-8")
    return Preregistration(**yaml.safe_load(text))


def endpoints_of_claims() -> dict[str, Endpoint]:
    """The endpoints as ``claims.yaml`` has them now, by claim."""
    return {
        claim.name: Endpoint(
            pair=claim.pair, unit=claim.unit, expects=claim.expects, needs=claim.needs
        )
        for claim in read_claims()
    }


def recipe_digest(preset: str) -> str:
    """Hex SHA-256 of every number of a preset that a training depends on."""
    numbers = load_preset(preset).model_dump(mode="json")
    parts = {name: dict(numbers[name]) for name in RECIPE if numbers.get(name)}
    for name, left_out in NOT_RECIPE.items():
        parts[name] = {k: v for k, v in parts.get(name, {}).items() if k not in left_out}
    return digest(parts)


def breaches(
    registered: Preregistration, run: JudgedRun, is_ancestor: Callable[[str], bool]
) -> list[str]:
    """Every way in which a run departs from what was laid down; [] where it keeps to it.

    ``is_ancestor``: whether the commit of the registration comes before the run's commit.
    """
    found = []
    if run.world_seed != registered.world_seed:
        found.append(f"world seed {run.world_seed} instead of {registered.world_seed}")
    num = len(set(run.model_seeds))
    if num < registered.minimum_seeds:
        found.append(f"{num} trainings, at least {registered.minimum_seeds} are needed")
    if run.recipe_sha256 != registered.recipe.sha256:
        found.append(f"recipe {run.recipe_sha256[:12]} instead of {registered.recipe.sha256[:12]}")
    if not is_ancestor(run.commit):
        found.append(f"commit {run.commit[:12]} does not come after the preregistration")
    return found


def comes_after(path: Path, commit: str) -> bool:
    """Whether ``commit`` descends from the last commit that changed ``path`` and is not that one.

    False outside a git checkout, and for a commit that it does not know.
    """
    git = ("git", "-C", str(path.parent))
    last = subprocess.run(
        [*git, "log", "-1", "--format=%H", "--", path.name], capture_output=True, text=True
    ).stdout.strip()
    if not last or commit == last:
        return False
    order = [*git, "merge-base", "--is-ancestor", last, commit]
    return subprocess.run(order, capture_output=True).returncode == 0
