"""One model behind a bounded queue."""

import threading

import numpy as np
import pytest

from tempo_lib.app.ask_request import (
    AskRequest,
    BusyError,
    CancelledError,
    Progress,
    RefusedError,
    Result,
)
from tempo_lib.app.engine import MOST_OPEN, Engine
from tempo_lib.miniature.world.clips import write_clip
from tempo_lib.video.clip import load_video


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    frames_THW3 = np.random.default_rng(1).integers(0, 255, (24, 64, 64, 3), dtype=np.uint8)
    write_clip(path, frames_THW3)
    return path


@pytest.fixture
def engine(tiny_tempo):
    made = Engine(tiny_tempo, max_waiting=2)
    yield made
    made.close()


def request_of(clip, **changed):
    return AskRequest(**{"path": clip, "question": "Which number?", "max_new_tokens": 4, **changed})


def result_of(engine, clip, **changed):
    *_, result = engine.ask(request_of(clip, **changed))
    assert isinstance(result, Result)
    return result


def test_two_budgets_are_answered_from_one_compression_as_the_model_would(engine, clip, tiny_tempo):
    result = result_of(engine, clip, budgets=(40, 12))
    video = load_video(clip, max_frames=tiny_tempo.config.video_numbers.max_frames)
    for budget, answer in zip((40, 12), result.answers, strict=True):
        wanted = tiny_tempo.answer(video, "Which number?", budget=budget, max_new_tokens=4)
        assert answer.text == wanted.text and answer.token_ids == wanted.token_ids
        assert answer.counts.tolist() == wanted.counts.tolist()
        assert answer.tokens_used <= budget


def test_progress_comes_in_order_and_the_text_grows(engine, clip):
    *events, result = engine.ask(request_of(clip))
    stages = list(dict.fromkeys(event.stage for event in events))
    assert stages == ["waiting", "reading the video", "compressing", "answering"]
    shares = [event.share for event in events if event.share is not None]
    assert shares[0] == 0 and shares[-1] == 1 and shares == sorted(shares)
    texts = [event.text for event in events if event.stage == "answering"]
    assert texts[-1] == result.answers[0].text
    assert all(isinstance(event, Progress) for event in events)


def test_a_follow_up_reads_nothing_again_and_says_what_it_saved(engine, clip):
    first, second = result_of(engine, clip), result_of(engine, clip, question="Who?")
    assert first.saved_seconds is None
    gap = first.seconds["compressing"] - second.seconds["compressing"]
    assert second.saved_seconds == pytest.approx(gap)
    assert second.video is first.video


def test_owners_do_not_share_open_videos_and_are_forgotten(engine, clip):
    first = result_of(engine, clip, owner="a")
    assert result_of(engine, clip, owner="b").video is not first.video
    engine.forget("a")
    assert result_of(engine, clip, owner="a").saved_seconds is None
    assert result_of(engine, clip, owner="b").saved_seconds is not None


def test_few_videos_stay_open(engine, clip):
    for number in range(MOST_OPEN + 2):
        result_of(engine, clip, owner=number)
    assert len(engine._open) == MOST_OPEN


def test_a_full_queue_refuses_at_once(engine, clip):
    going, gate = threading.Event(), threading.Event()

    def hold(*_):
        going.set()
        gate.wait(30)
        raise RefusedError("held")

    engine._answer = hold
    held = [engine.ask(request_of(clip))]
    assert going.wait(30)
    held += [engine.ask(request_of(clip)) for _ in range(2)]
    with pytest.raises(BusyError, match="2 questions are waiting already"):
        engine.ask(request_of(clip))
    gate.set()
    for events in held:
        with pytest.raises(RefusedError, match="held"):
            list(events)


def test_cancelling_ends_the_work_and_the_next_question_is_answered(engine, clip):
    cancel = threading.Event()
    events = engine.ask(request_of(clip, max_new_tokens=400), cancel)
    assert any(event.stage == "answering" for event in events)
    cancel.set()
    with pytest.raises(CancelledError):
        list(engine.ask(request_of(clip), cancel))
    assert result_of(engine, clip).answers


def test_leaving_the_answer_early_cancels_it(engine, clip):
    cancel = threading.Event()
    events = engine.ask(request_of(clip), cancel)
    next(events)
    events.close()
    assert cancel.is_set()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"question": "  "}, "question is empty"),
        ({"question": "x" * 20_001}, "more than 20000"),
        ({"budgets": (-1,)}, "budget must be"),
        ({"k_min": 33}, "k_min must be"),
        ({"max_frames": 0}, "frames must be"),
        ({"max_new_tokens": 0}, "answer tokens"),
        ({"temperature": float("nan")}, "temperature"),
    ],
)
def test_numbers_that_cannot_be_are_refused_before_the_queue(engine, clip, changed, said):
    with pytest.raises(RefusedError, match=said):
        engine.ask(request_of(clip, **changed))


def test_a_bad_file_is_refused_in_one_line_without_its_path(engine, tmp_path):
    path = tmp_path / "secret-name.mp4"
    path.write_bytes(b"no film" * 100)
    with pytest.raises(RefusedError, match="cannot read the file") as caught:
        list(engine.ask(request_of(path)))
    assert "secret-name" not in str(caught.value) and "\n" not in str(caught.value)


def test_too_long_a_prompt_is_refused_and_the_queue_goes_on(engine, clip):
    with pytest.raises(RefusedError, match="tokens too long"):
        list(engine.ask(request_of(clip, question="qz" * 9900)))
    assert result_of(engine, clip).answers


def test_temperature_draws_by_its_seed_and_leaves_global_chance_alone(engine, clip):
    import torch

    before = torch.random.get_rng_state()
    texts = [
        result_of(engine, clip, temperature=1.5, max_new_tokens=12, seed=seed).answers[0].token_ids
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_question_without_a_video_is_answered(engine, tiny_tempo):
    answer = result_of(engine, None).answers[0]
    assert answer.text == tiny_tempo.answer(None, "Which number?", max_new_tokens=4).text


def test_one_flag_to_cancel_serves_many_questions(engine, clip):
    cancel = threading.Event()
    for question in ("What?", "Who?"):
        *_, result = engine.ask(AskRequest(path=clip, question=question), cancel)
        assert isinstance(result, Result) and not cancel.is_set()
