"""Tokens shared again from saved scores: exactly as recorded, and under any other bounds."""

from dataclasses import replace

import pytest
from evaluation_samples import BUDGET, brief, run, small_suite

from tempo_lib.analysis import what_if
from tempo_lib.evaluation.runner import evaluate_records

K_MAX = 32


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("what-if")


@pytest.fixture(scope="module")
def model(make_tiny_tempo):
    return brief(make_tiny_tempo())


@pytest.fixture(scope="module")
def suite(root):
    return small_suite(root)


@pytest.fixture(scope="module")
def records(model, suite, root):
    """Records of ata, also kept under ``root``/runs."""
    options = {"budget": BUDGET, "progress": False, "root": root}
    return evaluate_records(model, suite, ["ata"], **options)


def test_sharing_the_recorded_scores_again_gives_the_recorded_counts(records):
    kept, shared = what_if.recorded(records, K_MAX), what_if.reallocate(records, K_MAX)
    assert shared.equals(kept)
    assert kept["tokens"].tolist() == [k for record in records for k in record.counts]


def test_scores_all_near_one_are_shared_as_float32(records):
    """Their decimals as they stand would give the second segment one token less."""
    lists = {"scores": [0.99994516, 0.99993145, 0.99991775], "counts": [32, 18, 2]}
    lists |= {"seconds": [2.0, 6.0, 10.0], "relevant": [1, 0, 0]}
    record = replace(records[0], **lists, budget=100, k_min=2)
    assert what_if.reallocate([record], K_MAX)["tokens"].tolist() == [32, 17, 2]


@pytest.mark.parametrize("variant", ["prune", "prior-tempo-std", "ata-f64-b24", "tail-dynamic"])
def test_every_variant_that_shares_by_scores_can_be_shared_again(model, suite, variant):
    found = run(model, suite, [variant])
    assert what_if.reallocate(found, K_MAX).equals(what_if.recorded(found, K_MAX))


def test_another_budget_gives_what_an_evaluation_under_it_would_give(model, suite, records):
    asked = run(model, suite, ["ata"], budget=30, k_min=1)
    shared = what_if.reallocate(records, K_MAX, budget=30, k_min=1)
    assert shared["tokens"].tolist() == [k for record in asked for k in record.counts]
    assert set(shared["budget"]) == {30} and set(shared["k_min"]) == {1}


def test_counts_that_another_rule_gave_are_refused(records):
    for name in ("top-k", "ata-logit", "prune-matched"):
        with pytest.raises(ValueError, match=f"{name} does not share tokens by its scores"):
            what_if.reallocate([replace(records[0], variant=name)], K_MAX)


def test_no_records_and_no_budgets_are_refused(records):
    with pytest.raises(ValueError, match="no records"):
        what_if.reallocate([], K_MAX)
    with pytest.raises(ValueError, match="at least one budget"):
        what_if.reallocate_all({0: records}, K_MAX, [])


def test_all_budgets_and_seeds_are_in_one_frame(records):
    frame = what_if.reallocate_all({0: records, 3: records}, K_MAX, [20, 40, 20])
    questions = frame.drop_duplicates(["model_seed", "budget", "question_id"])
    assert questions.groupby(["budget", "model_seed"]).size().to_dict() == {
        (budget, seed): len(records) for budget in (20, 40) for seed in (0, 3)
    }
    assert tuple(frame.columns) == what_if.SEGMENT_COLUMNS


def test_relevance_is_kept_where_it_is_known(records):
    frame = what_if.recorded(records, K_MAX).set_index("question_id")
    for record in records:
        found = frame.loc[record.question_id, "relevant"]
        if record.relevant is None:
            assert found.isna().all()
        else:
            assert found.tolist() == record.relevant


def test_saved_records_are_found_without_a_model(records, suite, root):
    saved = what_if.saved_records("tiny", suite.name, world_seed=suite.world_seed, root=root)
    assert list(saved.records.values()) == records
    limits = saved.facts["limits"]
    assert (limits["budget"], limits["k_max"]) == (BUDGET, K_MAX)
    again = what_if.reallocate(list(saved.records.values()), limits["k_max"])
    assert again.equals(what_if.recorded(records, K_MAX))


def test_a_line_still_being_written_and_one_written_twice_do_not_count(
    records, suite, root, tmp_path
):
    saved = what_if.saved_records("tiny", suite.name, world_seed=suite.world_seed, root=root)
    folder = tmp_path / "runs" / "tiny" / "evaluations" / suite.name
    folder.mkdir(parents=True)
    facts = saved.path.with_suffix(".json").read_text()
    (folder / saved.path.with_suffix(".json").name).write_text(facts)
    lines = saved.path.read_text()
    first = lines.splitlines(keepends=True)[0]  # as if a second evaluation wrote it too
    (folder / saved.path.name).write_text(first + lines[:-20])
    found = what_if.saved_records("tiny", suite.name, world_seed=suite.world_seed, root=tmp_path)
    assert list(found.records.values()) == records[:-1]


@pytest.mark.parametrize(
    ("variant", "seed", "command"),
    [
        ("ata", 7, "--suite mini-longvideobench --variant ata --world-seed 7"),
        ("ata-logit", 0, "--suite mini-longvideobench --variant ata-logit"),
    ],
)
def test_missing_records_name_the_command_that_makes_them(records, root, variant, seed, command):
    with pytest.raises(ValueError, match=f"`tempo evaluate --preset tiny {command}`"):
        what_if.saved_records("tiny", "mini-longvideobench", variant, seed, root)


def test_an_unknown_suite_lists_the_known_ones(root):
    with pytest.raises(ValueError, match="unknown suite 'lvbench'; known: mini-"):
        what_if.saved_records("tiny", "lvbench", root=root)
