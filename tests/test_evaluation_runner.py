"""Compress once, ablate many: the records equal single answers, and none is made twice."""

import json
from dataclasses import replace

import pytest
import torch
from evaluation_samples import BUDGET, brief, first_video, other_scorers, run, small_suite

from tempo_lib.allocation.ata import allocate
from tempo_lib.evaluation.benchmark import BENCHMARKS
from tempo_lib.evaluation.records import COLUMNS, code_facts, model_facts, open_records
from tempo_lib.evaluation.runner import evaluate, frame_of
from tempo_lib.evaluation.variants import VARIANTS
from tempo_lib.fingerprint import PACKAGE, code_files
from tempo_lib.model.session import VideoSession
from tempo_lib.statistics.summaries import summary
from tempo_lib.video.clip import load_video

CONTROLS = [name for name, row in VARIANTS.items() if row.match is not None]


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    return small_suite(tmp_path_factory.mktemp("suites"))


@pytest.fixture(scope="module")
def one_video(suite):
    return first_video(suite)


@pytest.fixture(scope="module")
def brief_tempo(make_tiny_tempo):
    return brief(make_tiny_tempo())


@pytest.fixture(scope="module")
def scorers(make_tiny_tempo):
    return other_scorers(make_tiny_tempo)


@pytest.fixture(scope="module")
def made(brief_tempo, suite, scorers):
    """Records of every variant, by variant."""
    found = run(brief_tempo, suite, list(VARIANTS), models={"stage2": brief_tempo}, scorers=scorers)
    return {name: [record for record in found if record.variant == name] for name in VARIANTS}


def test_every_variant_answers_every_question_within_its_budget(brief_tempo, suite, made):
    frame = frame_of(record for records in made.values() for record in records)
    assert frame.columns.tolist() == list(COLUMNS)
    assert frame["variant"].unique().tolist() == list(VARIANTS)
    assert (frame.groupby("variant").size() == suite.num_questions).all()
    assert (frame["tokens_used"] <= frame["budget"]).all()
    full = frame[frame["variant"] == "no-ata"]
    assert (full["tokens_used"] == full["num_segments"] * brief_tempo.config.k_max).all()


def test_records_equal_single_answers_of_the_model(brief_tempo, suite, made):
    video = suite.videos[0]
    clip = load_video(video.path, reader="auto")
    for question in video.questions:
        for name, scheme in (("ata", "head"), ("tail-dynamic", "tail")):
            alone = brief_tempo.answer(clip, question.text, budget=BUDGET, scheme=scheme)
            (record,) = (r for r in made[name] if r.question_id == question.id)
            assert record.prediction == alone.text
            assert record.counts == alone.counts.tolist()
            assert record.seconds == alone.seconds.tolist()
            torch.testing.assert_close(torch.tensor(record.scores), alone.scores)


def test_allocations_can_be_redrawn_from_records_alone(brief_tempo, made):
    numbers = brief_tempo.config
    for record in made["ata"]:
        again = allocate(torch.tensor(record.scores), BUDGET, numbers.k_min, numbers.k_max)
        assert again.tolist() == record.counts


def test_policies_in_logit_space_can_be_redrawn_from_their_records(brief_tempo, made):
    numbers = brief_tempo.config
    for record in made["ata-logit"]:
        again_N = allocate(torch.tensor(record.logits), BUDGET, numbers.k_min, numbers.k_max)
        assert again_N.tolist() == record.counts
        sigmoid = torch.tensor(record.logits).sigmoid().tolist()
        assert record.scores == pytest.approx(sigmoid, abs=1e-7)
    assert all(record.logits is None for record in made["ata"])


def test_records_hold_form_and_options_of_their_question(suite, made):
    questions = {q.id: q for video in suite.videos for q in video.questions}
    for record in made["ata"]:
        assert tuple(record.options) == questions[record.question_id].options
        assert record.form == ("choice" if record.options else "open")


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_uses_what_ata_used_on_the_same_question(made, name):
    usual = {record.question_id: record.tokens_used for record in made["ata"]}
    for record in made[name]:
        assert record.budget == record.matched_tokens == usual[record.question_id]
        assert record.tokens_used == record.matched_tokens  # here nothing is left over
    assert all(record.matched_tokens is None for record in made["ata"])


def test_the_standard_prior_scores_but_routing_memories_answer(brief_tempo, suite, made):
    clip = load_video(suite.videos[0].path)
    record, usual = made["prior-tempo-std"][0], made["ata"][0]
    standard = brief_tempo.compress(clip, record.question, prompt="standard")
    torch.testing.assert_close(torch.tensor(record.scores), standard.scores)
    assert record.scores != usual.scores
    routing = brief_tempo.compress(clip, record.question)
    counts = torch.tensor(record.counts)
    assert record.prediction == brief_tempo.decode(routing, record.question, counts=counts).text


def test_uniform_subsampling_reads_fewer_frames_at_full_tokens(brief_tempo, made):
    numbers = brief_tempo.config
    for record in made["uniform"]:
        assert record.num_frames == BUDGET // numbers.k_max * numbers.video_numbers.window
        assert set(record.counts) == {numbers.k_max}


def test_a_segment_of_fewer_frames_covers_the_seconds_from_its_first_to_its_last(made, suite):
    lengths = {video.id: video.num_frames for video in suite.videos}
    located = [record for record in made["uniform"] if record.relevant is not None]
    assert located
    for record in located:
        apart = (lengths[record.video] - 1) / (record.num_frames - 1) / 2  # seconds, at 2 FPS
        assert apart > 0.6
        for index, shown in enumerate(record.relevant):
            begin, end = (8 * index * apart - 0.5, (8 * index + 7) * apart + 0.5)
            overlap = min(end, record.stop) - max(begin, record.start)
            assert shown or overlap < 2.5 or record.kind in ("counting", "comparison")
            assert not shown or overlap > 0


def test_relevance_is_known_for_the_segments_that_show_the_actor(brief_tempo, made):
    located = [record for record in made["ata"] if record.relevant is not None]
    assert located
    window = brief_tempo.config.video_numbers.window
    for record in located:
        assert sum(record.relevant) >= 1
        for index, shown in enumerate(record.relevant):
            begin, end = index * window / 2, (index + 1) * window / 2
            assert not shown or (record.start < end and begin < record.stop)


def test_nothing_is_computed_twice(brief_tempo, one_video, tmp_path, monkeypatch):
    first = run(brief_tempo, one_video, ["ata", "random-drop"], cache=True, root=tmp_path)
    monkeypatch.setattr(VideoSession, "compress", lambda *_: pytest.fail("compressed again"))
    again = run(brief_tempo, one_video, ["random-drop", "ata"], cache=True, root=tmp_path)
    assert {(r.variant, r.question_id): r for r in first} == {
        (r.variant, r.question_id): r for r in again
    }


@pytest.mark.parametrize("change", [{"budget": 50}, {"k_min": 2}])
def test_other_bounds_make_other_records(brief_tempo, one_video, tmp_path, change):
    run(brief_tempo, one_video, ["ata"], cache=True, root=tmp_path)
    changed = run(brief_tempo, one_video, ["ata"], cache=True, root=tmp_path, **change)
    files = list((tmp_path / "runs/tiny/evaluations" / one_video.name).glob("ata-*.jsonl"))
    assert len(files) == 2
    assert all(record.tokens_used <= change.get("budget", BUDGET) for record in changed)


def test_other_weights_and_prompts_make_other_records(make_tiny_tempo):
    one, other = make_tiny_tempo(0), make_tiny_tempo(1)
    assert model_facts(one) == model_facts(make_tiny_tempo(0))
    assert model_facts(one)["weights"] != model_facts(other)["weights"]
    other.load_state_dict(one.state_dict())
    assert model_facts(one) == model_facts(other)
    other.config.system_prompts["routing"] += " Please."
    assert model_facts(one)["config"] != model_facts(other)["config"]


def test_the_fingerprint_covers_all_that_an_answer_runs_through(suite):
    sources = ("tempo_lib.evaluation.runner", BENCHMARKS.source_file(suite.name))
    covered = {path.relative_to(PACKAGE).as_posix() for path in code_files(*sources)}
    assert covered >= {
        *("allocation/ata.py", "allocation/baselines.py", "allocation/extensions.py"),
        *("allocation/reduction.py", "model/tempo.py", "model/compressor.py", "model/decoding.py"),
        *("video/pyav.py", "video/decord.py", "prompts.py", "evaluation/scorers.py"),
        *("evaluation/relevance.py", "miniature/benchmark.py", "miniature/world/questions.py"),
    }


def test_a_plug_in_that_a_variant_uses_is_part_of_its_facts(one_video, tmp_path):
    plain = code_facts()["code"]
    assert code_facts(BENCHMARKS.source_file(one_video.name))["code"] != plain
    changed = []
    for text in ("", "# another version\n"):
        path = tmp_path / f"{len(text)}" / "toy.py"
        path.parent.mkdir()
        path.write_text(f"{text}import tempo_lib.prompts\n", encoding="utf-8")
        changed.append(code_facts(path)["code"])
    assert len({plain, *changed}) == 3


def test_an_interrupted_run_goes_on_where_it_stopped(brief_tempo, one_video, tmp_path, monkeypatch):
    whole = run(brief_tempo, one_video, ["ata"], cache=True, root=tmp_path)
    (path,) = (tmp_path / "runs/tiny/evaluations" / one_video.name).glob("*.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]) + lines[-1][:40])  # killed while writing the last record
    compressed = []
    real = VideoSession.compress
    monkeypatch.setattr(VideoSession, "compress", lambda *a: compressed.append(a[1]) or real(*a))
    assert run(brief_tempo, one_video, ["ata"], cache=True, root=tmp_path) == whole
    assert compressed == [whole[-1].question]
    assert [json.loads(line)["question_id"] for line in path.read_text().splitlines()] == [
        record.question_id for record in whole
    ]


def test_a_changed_video_file_is_answered_again(made, tmp_path):
    record = made["ata"][0]
    kept = open_records(tmp_path, "ata", {"budget": BUDGET})
    kept.add([record])
    again = open_records(tmp_path, "ata", {"budget": BUDGET})
    assert again.find(record.question_id, record.video_sha256, record.question) == record
    assert again.find(record.question_id, "0" * 64, record.question) is None


def test_a_part_of_a_suite_shares_its_records_with_the_whole(
    brief_tempo, suite, tmp_path, monkeypatch
):
    whole = run(brief_tempo, suite, ["ata"], cache=True, root=tmp_path)
    monkeypatch.setattr(VideoSession, "compress", lambda *_: pytest.fail("compressed again"))
    part = replace(suite, videos=suite.videos[:1], data_hash="")
    assert run(brief_tempo, part, ["ata"], cache=True, root=tmp_path) == whole[: part.num_questions]


def test_a_variant_named_twice_is_counted_once(brief_tempo, one_video):
    assert len(run(brief_tempo, one_video, ["head-fixed", "head-fixed"])) == one_video.num_questions


def test_random_drop_depends_on_the_seed(brief_tempo, one_video):
    runs = [
        [record.counts for record in run(brief_tempo, one_video, ["random-drop"], seed=seed)]
        for seed in (0, 0, 1)
    ]
    assert runs[0] == runs[1] != runs[2]


def test_a_variant_of_another_checkpoint_never_runs_on_the_wrong_one(
    brief_tempo, make_tiny_tempo, one_video, made, tmp_path
):
    with pytest.raises(ValueError, match=r"without-stage3.*made in memory.*train that stage"):
        run(brief_tempo, one_video, ["without-stage3"])
    for name, seed in (("stage2", 1), ("stage3", 0)):
        model = make_tiny_tempo(seed)
        model.config.max_new_tokens = 2
        model.save_pretrained(tmp_path / name)
    main = type(model).from_pretrained(tmp_path / "stage3", device="cpu")
    found = run(main, one_video, ["without-stage3"])
    assert found[0].scores != made["no-ata"][0].scores  # those of seed 0
    stage2 = type(model).from_pretrained(tmp_path / "stage2", device="cpu")
    assert run(brief_tempo, one_video, ["without-stage3"], models={"stage2": stage2}) == found


def test_the_frame_of_one_variant_makes_a_summary(brief_tempo, one_video, tmp_path):
    frame = evaluate(brief_tempo, one_video, ["ata"], budget=BUDGET, progress=False, root=tmp_path)
    facts = summary(frame)
    assert facts["n"] == one_video.num_questions
    assert facts["tokens_per_frame"] <= BUDGET / frame["num_frames"].min()
    json.dumps(facts, allow_nan=False)
