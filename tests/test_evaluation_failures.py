"""What fails in an evaluation: counted, never a wrong answer, tried again, and alone."""

import json
from dataclasses import replace

import pytest
from evaluation_samples import BUDGET, brief, run, small_suite

from tempo_lib.evaluation import runner
from tempo_lib.evaluation.ranks import Ranks
from tempo_lib.evaluation.runner import profile, run_evaluation
from tempo_lib.model.session import VideoSession


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    return small_suite(tmp_path_factory.mktemp("suites"))


@pytest.fixture
def tempo(make_tiny_tempo):
    return brief(make_tiny_tempo())


def outcome(model, suite, names=("ata",), **options):
    return run_evaluation(
        model, suite, names, **{"budget": BUDGET, "progress": False, "cache": False, **options}
    )


def with_first_video(suite, **changes):
    return replace(suite, videos=(replace(suite.videos[0], **changes), *suite.videos[1:]))


def test_a_video_that_cannot_be_read_fails_and_the_others_are_answered(tempo, suite, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    bad = with_first_video(suite, path=broken)
    done = outcome(tempo, bad, cache=True, root=tmp_path)
    assert [each.video for each in done.failures] == [suite.videos[0].id] * 3
    assert [each.video for each in done.records] == [suite.videos[1].id] * 3
    assert "broken.mp4" in done.failures[0].error and "\n" not in done.failures[0].error
    (path,) = (tmp_path / "runs/tiny/evaluations" / suite.name).glob("*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert sum("error" in line for line in lines) == 3
    assert not any("correct" in line for line in lines if "error" in line)
    healed = outcome(tempo, suite, cache=True, root=tmp_path)  # the file is there now
    assert (len(healed.records), healed.failures) == (6, [])


def test_a_file_of_other_length_than_measured_fails(tempo, suite):
    done = outcome(tempo, with_first_video(suite, num_frames=4000))
    assert len(done.failures) == 3 and len(done.records) == 3
    assert "instead of" in done.failures[0].error


def test_a_video_that_was_found_unreadable_is_not_opened(tempo, suite):
    done = outcome(tempo, with_first_video(suite, problem="the video's file is missing"))
    assert {each.error for each in done.failures} == {"the video's file is missing"}


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("compressor.relevance_rows", "relevance logits of 6 of 6 segments"),
        ("compressor.memory_tokens", "relevance logits of 6 of 6 segments"),
        ("decoder.model.norm.weight", "the decoder's logits are not finite"),
    ],
)
def test_a_model_that_gives_nan_has_no_accuracy(tempo, suite, part, reason):
    tempo.state_dict()[part].fill_(float("nan"))
    done = outcome(tempo, replace(suite, videos=suite.videos[:1]))
    assert done.records == []
    assert len(done.failures) == 3
    for each in done.failures:
        assert each.error.startswith(reason) and part in each.error  # the weights to blame


def test_a_prompt_too_long_for_one_variant_leaves_the_others(tempo, suite):
    tempo.config.max_context = 130  # room for the budget of ata, not for all tokens
    done = outcome(tempo, suite, ("ata", "no-ata"))
    assert {each.variant for each in done.failures} == {"no-ata"}
    assert {each.variant for each in done.records} == {"ata"}
    assert len(done.records) == len(done.failures) == 6


def test_a_defect_of_ours_stops_the_run(tempo, suite, monkeypatch):
    monkeypatch.setattr(VideoSession, "compress", lambda *_: {}["defect"])
    with pytest.raises(KeyError, match="defect"):
        outcome(tempo, suite)


def test_records_alone_come_with_a_warning_that_counts_what_failed(tempo, suite):
    bad = with_first_video(suite, problem="gone")
    with pytest.warns(UserWarning, match="3 answers failed and are left out, first .*: gone"):
        records = run(tempo, bad, ["ata"])
    assert len(records) == 3


def test_answers_that_take_long_are_written_one_by_one(tempo, suite, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "SECONDS_BETWEEN_WRITES", 0.0)
    seen, real = [], VideoSession.compress

    def compress(*arguments):
        seen.append(sum(len(p.read_text().splitlines()) for p in tmp_path.rglob("*.jsonl")))
        return real(*arguments)

    monkeypatch.setattr(VideoSession, "compress", compress)
    outcome(tempo, suite, cache=True, root=tmp_path)
    assert seen == [0, 1, 2, 3, 4, 5]


def test_what_another_process_did_meanwhile_is_not_done_again(tempo, suite, tmp_path, monkeypatch):
    compressed, real = [], VideoSession.compress

    def compress(*arguments):
        compressed.append(arguments[1])
        if len(compressed) == 1:  # another process answers the second video
            monkeypatch.setattr(VideoSession, "compress", real)
            other = replace(suite, videos=suite.videos[1:])
            outcome(tempo, other, cache=True, root=tmp_path)
            monkeypatch.setattr(VideoSession, "compress", compress)
        return real(*arguments)

    monkeypatch.setattr(VideoSession, "compress", compress)
    done = outcome(tempo, suite, cache=True, root=tmp_path)
    assert len(done.records) == 6
    assert compressed == [question.text for question in suite.videos[0].questions]


def test_a_profile_changes_the_models_for_the_run_alone(tempo, suite):
    numbers = (("max_context", 99), ("min_frames", 7), ("max_new_tokens", 1))
    config = tempo.config
    before = (config.max_context, config.video["min_frames"], config.max_new_tokens)
    with profile([tempo, tempo], replace(suite, profile=numbers)):
        changed = (config.max_context, config.video["min_frames"], config.max_new_tokens)
        assert changed == (99, 7, 1)
    assert (config.max_context, config.video["min_frames"], config.max_new_tokens) == before


def test_several_ranks_need_records_on_disk(tempo, suite):
    with pytest.raises(ValueError, match="several ranks meet in the records on disk"):
        outcome(tempo, suite, ranks=Ranks(0, 2))
