"""Each variant where it differs from the default: what is kept, what is read, what is bound."""

from dataclasses import replace

import pytest
import torch
from evaluation_samples import BUDGET, brief, first_video, run, small_suite

from tempo_lib.allocation.reduction import reduce_memories
from tempo_lib.evaluation import clip as clip_module
from tempo_lib.evaluation.question import query_of
from tempo_lib.evaluation.runner import run_evaluation
from tempo_lib.model.compressor import Cut
from tempo_lib.model.decoding import decode_many
from tempo_lib.video.clip import load_video


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    return small_suite(tmp_path_factory.mktemp("suites"))


@pytest.fixture(scope="module")
def video(suite):
    return first_video(suite)


@pytest.fixture(scope="module")
def model(make_tiny_tempo):
    return brief(make_tiny_tempo())


@pytest.fixture(scope="module")
def session(model, video):
    return model.open(load_video(video.videos[0].path))


def one(model, suite, name, **options):
    """The record of the first question under a variant."""
    return run(model, suite, [name], **options)[0]


# -- what is kept of a segment --------------------------------------------------------------------

KEPT = {
    "ata": "head",
    "tail-dynamic": "tail",
    "merge": "merge",
    "head-fixed": "head",
    "tail-fixed": "tail",
    "merge-fixed": "merge",
}


@pytest.mark.parametrize(("name", "scheme"), KEPT.items())
def test_a_row_of_table_2c_hands_on_its_own_part_of_a_segment(
    model, video, session, name, scheme, monkeypatch
):
    decoded = []
    real = clip_module.decode_many
    monkeypatch.setattr(
        clip_module, "decode_many", lambda *a: decoded.extend((a[1], c) for c in a[2]) or real(*a)
    )
    record = one(model, video, name)
    text, cut = decoded[0]
    assert text == record.question
    memories, counts = session.compress(text).memories, torch.tensor(record.counts)
    assert any(0 < k < model.config.k_max for k in record.counts), "nothing is cut, so all agree"
    for other in ("head", "tail", "merge"):
        expected = reduce_memories(memories, counts, scheme=other)
        same = all(torch.allclose(*pair) for pair in zip(cut.kept(), expected, strict=True))
        assert same == (other == scheme), other


# -- what the budget is ---------------------------------------------------------------------------


def test_a_budget_is_the_suites_own_and_the_record_says_which_and_whether_it_bound(model, suite):
    budgets, whole = dict(suite.budgets), model.config.k_max
    tight, roomy = f"ata-f32-b{4 * whole - 1}", f"ata-f32-b{4 * whole}"  # 32 frames, 4 segments
    found = {
        name: run_evaluation(model, suite, [name], cache=False, progress=False).records
        for name in ("ata", "ata-b2K", "no-ata", "top-k-matched", tight, "uniform")
    }
    for record in found["ata"]:
        assert (record.budget, record.budget_role) == (budgets["8K"], "8K")
        assert record.budget_bound == (budgets["8K"] < record.num_segments * whole) is True
    assert {(r.budget, r.budget_role) for r in found["ata-b2K"]} == {(budgets["2K"], "2K")}
    assert {(r.budget_role, r.budget_bound) for r in found["no-ata"]} == {("16K", False)}
    assert {r.budget_role for r in found["top-k-matched"]} == {""}
    assert {(r.num_segments, r.budget_bound) for r in found[tight]} == {(4, True)}
    assert not one(model, suite, roomy).budget_bound
    # fewer frames are read because the budget bound
    assert all(r.budget_bound and r.num_segments * whole <= r.budget for r in found["uniform"])


def test_another_budget_by_name_changes_what_is_kept(model, suite):
    small, large = (
        run_evaluation(model, suite, ["head-fixed"], budget=role, cache=False).records[0]
        for role in ("2K", "8K")
    )
    assert (small.budget_role, large.budget_role) == ("2K", "8K")
    assert large.tokens_used == pytest.approx(4 * small.tokens_used, rel=0.2)
    with pytest.raises(ValueError, match="no budget '9K'"):
        run_evaluation(model, suite, ["ata"], budget="9K", cache=False)


def test_a_point_of_figure_3_may_lie_beyond_the_cap_of_the_model(make_tiny_tempo, suite):
    capped = brief(make_tiny_tempo())
    capped.config.video["max_frames"] = 24
    longest = suite.videos[0].num_frames
    assert longest > 32
    frames = {
        name: one(capped, suite, name).num_frames
        for name in ("ata", "ata-f16-b60", "ata-f32-b60", "ata-f999-b60")
    }
    assert frames == {"ata": 24, "ata-f16-b60": 16, "ata-f32-b60": 32, "ata-f999-b60": longest}


# -- what the compressor reads --------------------------------------------------------------------


def answered(model, session, record, query, **how):
    """The answer to the record's question from whole memories that were made for ``query``."""
    memories = session.compress(query, "routing", how.pop("memories_first", False))
    counts = torch.full((len(memories.scores),), model.config.k_max)
    return decode_many(model, record.question, [Cut(memories, counts, **how)])[0]


@pytest.fixture(scope="module")
def longer(make_tiny_tempo):
    """Answers long enough to differ."""
    model = make_tiny_tempo()
    model.config.max_new_tokens = 12
    return model


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("no-ata", {}),
        ("query-blank", {"query": ""}),
        ("query-other", {"query": "other"}),
        ("memories-first", {"memories_first": True}),
        ("no-timestamps", {"timestamps": False}),
    ],
)
def test_whole_memories_are_made_and_read_as_the_variant_says(longer, video, name, how):
    session = longer.open(load_video(video.videos[0].path))
    records = run(longer, video, [name])
    for record in records:
        options = {"query": record.question, **how}
        if options["query"] == "other":
            options["query"] = record.query
            assert record.query in {r.question for r in records} - {record.question}
        assert record.prediction == answered(longer, session, record, **options)
        assert record.query == (options["query"] if "query" in how else None)
        assert set(record.counts) == {longer.config.k_max}


def test_each_of_these_readings_gives_other_memories_than_the_question(session, video):
    first, second = (q.text for q in video.videos[0].questions[:2])
    usual = session.compress(first).memories
    assert not torch.allclose(usual, session.compress("").memories, atol=1e-4)
    assert not torch.allclose(usual, session.compress(second).memories, atol=1e-4)
    before = session.compress(first, "routing", True).memories
    assert not torch.allclose(usual, before, atol=1e-4)
    # memory tokens before the query cannot see it; scores still can
    again = session.compress(second, "routing", True)
    torch.testing.assert_close(before, again.memories)
    assert not torch.allclose(session.compress(first, "routing", True).logits, again.logits)


def test_without_timestamps_the_prompt_is_shorter_by_one_text_per_segment(model, session):
    memories = session.compress("Who?")
    counts = torch.full((len(memories.scores),), 2)
    with_times, without = (
        model.prompt_embeds(Cut(memories, counts, timestamps=shown), "Who?", 2).shape[1]
        for shown in (True, False)
    )
    assert with_times - without >= len(counts)


def test_another_question_is_the_one_before_or_of_another_video(suite):
    first, second = suite.videos
    texts = [q.text for q in first.questions]
    assert query_of("other", suite, first, first.questions[1]) == texts[0]
    assert query_of("other", suite, first, first.questions[0]) == texts[1]
    lone = replace(first, questions=first.questions[:1])
    both = replace(suite, videos=(lone, second))
    assert query_of("other", both, lone, lone.questions[0]) == second.questions[0].text
    with pytest.raises(ValueError, match="no other question"):
        query_of("other", replace(suite, videos=(lone,)), lone, lone.questions[0])


def test_half_the_window_gives_twice_the_segments_under_the_same_budget(model, video):
    usual, narrow = one(model, video, "ata"), one(model, video, "ata-w4")
    assert narrow.num_segments == -(-usual.num_frames // 4) > usual.num_segments
    assert (narrow.num_frames, narrow.budget) == (usual.num_frames, BUDGET)
    assert narrow.seconds[1] - narrow.seconds[0] == 2.0
    assert len(narrow.relevant or narrow.scores) == narrow.num_segments
    same = one(model, video, "ata-w8")
    assert (same.counts, same.prediction) == (usual.counts, usual.prediction)


@pytest.mark.parametrize("k_min", [0, 1, 3])
def test_the_curve_over_k_min_changes_the_anchors(model, video, k_min):
    records = run(model, video, [f"ata-k{k_min}"])
    assert {record.k_min for record in records} == {k_min}
    assert min(min(record.counts) for record in records) == k_min  # flat scores leave more


def test_scorers_of_table_2d_read_their_own_prompts(model, session):
    systems = {
        name: session.text.decode(session._prefix_rows(0, name)[0])
        for name in ("assistant", "rerank", "standard")
    }
    assert systems["assistant"].startswith("system\nYou are a helpful assistant.\nuser")
    assert systems["rerank"].startswith("system\nJudge whether the Document meets")
    assert systems["standard"].startswith("system\nYou are a query-conditioned visual compressor")
