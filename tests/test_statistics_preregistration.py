"""What was laid down beforehand: it is that of the claims and the recipe, and runs keep to it."""

import json
import subprocess

import pytest
from pydantic import ValidationError

from tempo_lib.provenance import manifest_path
from tempo_lib.statistics.preregistration import (
    FILE,
    RUNS,
    JudgedRun,
    breaches,
    comes_after,
    endpoints_of_claims,
    read_preregistration,
    recipe_digest,
)

SEEDS = (0, 1, 2, 3, 4)


@pytest.fixture(scope="module")
def registered():
    return read_preregistration()


def run_of(registered, **changed):
    facts = {"world_seed": registered.world_seed, "model_seeds": SEEDS, "commit": "later"}
    return JudgedRun(**{**facts, "recipe_sha256": registered.recipe.sha256, **changed})


def test_the_endpoints_are_those_of_the_claims(registered):
    assert registered.endpoints == endpoints_of_claims()


def test_the_recipe_is_that_of_the_preset(registered):
    now = recipe_digest(registered.recipe.preset)
    assert registered.recipe.sha256 == now, f"the recipe has changed; lay it down again: {now}"


def test_the_digest_follows_what_a_training_reads_and_nothing_else(monkeypatch):
    from tempo_lib.config import load_preset
    from tempo_lib.statistics import preregistration

    plain = recipe_digest("tiny")
    given = []
    monkeypatch.setattr(preregistration, "load_preset", lambda name: load_preset(name, given))
    for override, changes in [
        ("training.stages.2.window=8", True),
        ("model.num_memory_tokens=8", True),
        ("miniature.base_decoder.steps=10", True),
        ("miniature.suites.num_questions=10", False),
        ("allocation.k_min=3", False),
        ("video.max_frames=99", False),
    ]:
        given[:] = [override]
        assert (recipe_digest("tiny") != plain) == changes, override


def test_the_world_that_judges_is_not_the_one_for_building(registered):
    assert registered.world_seed == 4242
    assert registered.minimum_seeds >= 5


def test_a_run_that_keeps_to_it_has_no_breach(registered):
    assert breaches(registered, run_of(registered), lambda commit: commit == "later") == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"world_seed": 0}, "world seed 0 instead of 4242"),
        ({"model_seeds": (0, 1, 2, 3)}, "4 trainings, at least 5"),
        ({"model_seeds": (0, 1, 2, 3, 3)}, "4 trainings, at least 5"),
        ({"recipe_sha256": "f" * 64}, "recipe ffffffffffff instead of"),
        ({"commit": "earlier"}, "commit earlier does not come after"),
    ],
)
def test_every_departure_is_named(registered, changed, words):
    run = run_of(registered, **changed)
    (breach,) = breaches(registered, run, lambda commit: commit == "later")
    assert words in breach


def test_runs_that_judge_keep_to_what_was_laid_down(registered):
    path = manifest_path(RUNS)
    if path.exists():  # none has been run before its trainings
        run = JudgedRun(**json.loads(path.read_text(encoding="utf-8")))
        assert not breaches(registered, run, lambda c: comes_after(manifest_path(FILE), c))


def test_the_order_of_commits_decides(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
        done = subprocess.run(
            ["git", "-C", str(tmp_path), *identity, *arguments],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()

    def commit(name):
        (tmp_path / name).write_text(str(len(list(tmp_path.iterdir()))))
        git("add", name)
        git("commit", "-qm", name)
        return git("rev-parse", "HEAD")

    git("init", "-q")
    before, laid_down, after = commit("code.py"), commit(FILE), commit("more.py")
    path = tmp_path / FILE
    assert comes_after(path, after)
    assert not any(comes_after(path, c) for c in (before, laid_down, "f" * 40))
    path.write_text("changed")
    git("commit", "-qam", "changed")
    assert not comes_after(path, after)  # laid down anew: earlier runs judge nothing


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / FILE
    path.write_text(manifest_path(FILE).read_text().replace("world_seed:", "seed:"))
    with pytest.raises(ValidationError, match="world_seed"):
        read_preregistration(path)
