"""Kept answers of training seeds give the claims that the full records give."""

import json

import pytest
from evaluation_samples import brief, small_suite

from tempo_lib.analysis import evaluations, seed_answers
from tempo_lib.fingerprint import sha256_of_file
from tempo_lib.statistics.claims import claims_table

VARIANTS = ["ata", "no-ata", "uniform", "uniform-matched"]


@pytest.fixture(scope="module")
def answers(make_tiny_tempo, tmp_path_factory):
    suite = small_suite(tmp_path_factory.mktemp("suite"))
    models = {seed: brief(make_tiny_tempo(seed)) for seed in (1, 2)}
    return evaluations.answers_of_seeds(models, [suite], VARIANTS, cache=False)


def keep(folder, answers, seed):
    table = folder / f"seed{seed}.csv.gz"
    table.write_bytes(seed_answers.packed(answers[answers["model_seed"] == seed]))
    facts = {"seed": seed, "answers_sha256": sha256_of_file(table)}
    table.with_name(f"seed{seed}.json").write_text(json.dumps(facts))
    return table


def test_claims_from_kept_answers_are_those_from_the_records(answers, tmp_path):
    for seed in (1, 2):
        keep(tmp_path, answers, seed)
    found, facts = seed_answers.read(tmp_path)
    assert sorted(facts) == [1, 2] and len(found) == len(answers)
    kept, full = claims_table(found), claims_table(answers)
    assert kept.equals(full)
    assert set(kept["verdict"]) > {"not measured"}


def test_equal_answers_are_equal_files(answers):
    one = answers[answers["model_seed"] == 1]
    assert seed_answers.packed(one) == seed_answers.packed(one.sample(frac=1, random_state=0))


def test_another_table_than_the_facts_name_is_refused(answers, tmp_path):
    table = keep(tmp_path, answers, 1)
    table.write_bytes(seed_answers.packed(answers[answers["model_seed"] == 2]))
    with pytest.raises(ValueError, match=r"seed1.csv.gz is not the table that seed1.json names"):
        seed_answers.read(tmp_path)
    with pytest.raises(ValueError, match="no answers of training seeds"):
        seed_answers.read(tmp_path / "empty")


def test_a_seed_that_is_not_trained_is_named_with_the_command(tmp_path):
    with pytest.raises(ValueError, match=r"no model of training seed 977 .*`tempo train"):
        seed_answers.make("tiny", 977, root=tmp_path)
    assert not list(tmp_path.iterdir())
