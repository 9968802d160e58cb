"""Which models and variants are evaluated, what is missing, and what the checks catch."""

import pandas as pd
import pytest
from evaluation_samples import BUDGET, brief, small_suite
from planted_answers import answers

from tempo_lib.analysis import evaluations
from tempo_lib.checkpoints import folders as checkpoint_folders
from tempo_lib.checkpoints.folders import CheckpointError
from tempo_lib.evaluation import runner
from tempo_lib.evaluation.variants import get_variant
from tempo_lib.model.numerics import NotFiniteError
from tempo_lib.statistics.claims import claims_table, measured, variants_of_claims


def test_controls_that_leave_or_take_tokens_are_found():
    frame = answers(ata=0.5, uniform_matched=0.5, ata_logit_matched=0.5)
    frame.loc[frame.index[frame["variant"] == "ata-logit-matched"][0], "tokens_used"] = 55
    unused = evaluations.unused_tokens(frame)
    assert unused["most"].to_dict() == {"uniform-matched": 0, "ata-logit-matched": 5}
    assert unused["uses_all"].to_dict() == {"uniform-matched": True, "ata-logit-matched": False}
    frame.loc[frame.index[frame["variant"] == "uniform-matched"][0], "tokens_used"] = 61
    assert evaluations.unused_tokens(frame).loc["uniform-matched", "most_over"] == 1


def test_a_missing_seed_names_the_command_that_trains_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    command = "tempo train --from-scratch --seed 2 --work runs/tiny/train-seed2"
    base = "--set weights.base_compressor=runs/tiny/train/base_compressor"
    with pytest.raises(CheckpointError, match=f"seed 2 .*{command} {base} "):
        evaluations.seed_checkpoint("tiny", 2)
    folder = tmp_path / "runs" / "tiny" / "train-seed2" / "stage3"
    folder.mkdir(parents=True)
    (folder / "card.json").write_text("{}")
    assert evaluations.seed_checkpoint("tiny", 2) == folder
    with pytest.raises(ValueError, match="model_seeds is empty"):
        evaluations.load_models("tiny", [])


def test_all_variants_are_those_that_claims_need_and_whose_parts_are_here(
    tiny_tempo, tmp_path, monkeypatch
):
    needed = variants_of_claims()  # reads claims.yaml, which the package no longer has below
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    monkeypatch.setattr(checkpoint_folders.resources, "files", lambda _: tmp_path / "nothing")
    monkeypatch.setattr(tiny_tempo, "name_or_path", str(tmp_path / "stage3"))
    chosen, missing = evaluations.choose_variants(["all"], {0: tiny_tempo})
    assert sorted([*chosen, *missing]) == sorted(needed)
    assert missing["without-stage3-matched"] == "checkpoint stage2"
    assert missing["prior-reranker"] == "scores of the reranker"
    assert {"ata", "uniform-matched", "ata-f1024-b8K"} <= set(chosen)
    (tmp_path / "stage2").mkdir()
    (tmp_path / "stage2" / "config.json").write_text("{}")
    assert "without-stage3" in evaluations.choose_variants(["all"], {0: tiny_tempo})[0]


def test_named_variants_are_taken_as_they_are():
    assert evaluations.choose_variants(["top-k", "ata", "top-k"], {}) == (["top-k", "ata"], {})
    short, _ = evaluations.choose_variants(["short"], {})
    assert short[0] == "ata" and all(get_variant(name).checkpoint is None for name in short)
    for names in ([], ["all", "ata"], ["ata", "short"]):
        with pytest.raises(ValueError, match="variants must be names"):
            evaluations.choose_variants(names, {})
    with pytest.raises(ValueError, match="unknown variant 'atta'"):
        evaluations.choose_variants(["atta"], {})


def test_models_of_two_seeds_answer_the_same_questions(make_tiny_tempo, tmp_path):
    suite = small_suite(tmp_path)
    models = {seed: brief(make_tiny_tempo(seed)) for seed in (0, 3)}
    for model in models.values():
        model.config.budget = BUDGET
    names = ["ata", "uniform-matched"]
    frame = evaluations.answers_of_seeds(models, [suite], names, cache=False)
    assert len(frame) == 2 * 2 * suite.num_questions
    assert evaluations.same_questions(frame)
    assert (frame["tokens_used"] <= frame["capacity"]).all()
    assert (frame["capacity"] <= suite.tokens("8K")).all()
    assert evaluations.unused_tokens(frame)["most"].to_dict() == {"uniform-matched": 0}
    found = measured(claims_table(frame))
    row = found[(found["claim"] == "uniform") & (found["compared"] == "token-matched")].iloc[0]
    assert row["seeds"].startswith("0: ")


def test_a_failed_answer_takes_its_question_from_all_variants_and_is_counted(
    make_tiny_tempo, tmp_path, capsys, monkeypatch
):
    """Left out, never wrong: one variant meets a number that is none on one question."""
    suite, names, seen = small_suite(tmp_path), ["ata", "uniform"], []
    real = runner.answer

    def failing(jobs, benchmark, clips, question):
        if any(job.variant.name == "uniform" for job in jobs) and question.id == lost:
            seen.append(question.id)
            raise NotFiniteError("logits are not finite")
        return real(jobs, benchmark, clips, question)

    models, lost = {0: brief(make_tiny_tempo())}, suite.videos[1].questions[2].id
    whole = evaluations.answers_of_seeds(models, [suite], names, cache=False)
    assert whole.attrs["failed"] == {}
    monkeypatch.setattr(runner, "answer", failing)
    with pytest.warns(UserWarning, match=f"1 answers failed and are left out, first {lost}"):
        frame = evaluations.answers_of_seeds(models, [suite], names, cache=False)
    assert seen and frame.attrs["failed"] == {suite.name: [lost]}
    pd.testing.assert_frame_equal(
        frame, whole[whole["question_id"] != lost].reset_index(drop=True), check_like=True
    )
    assert evaluations.same_questions(frame)
    (left,) = evaluations.without_failed([suite], frame)
    assert left.num_questions == suite.num_questions - 1 == len(frame) / len(names)
    told = f"{suite.name}: 1 questions left out, as an answer failed: ['{lost}']\n"
    assert capsys.readouterr().out.endswith(told)
    assert evaluations.without_failed([suite], whole) == [suite]


def test_a_variant_without_any_answer_is_named_and_no_table_is_made(make_tiny_tempo, tmp_path):
    suite, model = small_suite(tmp_path), brief(make_tiny_tempo())
    model.config.max_context = 130  # room for the budget of ata, not for all tokens
    model.config.budget = BUDGET
    with (
        pytest.warns(UserWarning, match="answers failed"),
        pytest.raises(ValueError, match="every answer of no-ata failed; `tempo evaluate --suite"),
    ):
        evaluations.answers_of_seeds({0: model}, [suite], ["ata-b60", "no-ata"], cache=False)


def test_unequal_questions_are_seen():
    frame = answers(seeds=(0, 1), ata=0.5, uniform=0.5)
    assert evaluations.same_questions(frame)
    assert not evaluations.same_questions(frame.iloc[1:])
    assert not evaluations.same_questions(pd.concat([frame, frame.iloc[[0]]]))
    assert not evaluations.same_questions(
        frame[(frame["variant"] == "ata") | (frame["model_seed"] == 0)]
    )
