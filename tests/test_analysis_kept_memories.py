"""Any set of memories kept: the model's own answers and likelihoods, and a file that needs none."""

import numpy as np
import pytest
import torch

from tempo_lib.analysis.ablation import answer_ids
from tempo_lib.analysis.kept_memories import (
    Measured,
    read_effects,
    some_choices,
    write_effects,
)
from tempo_lib.analysis.probes import ProbeData, fit_readers
from tempo_lib.evaluation.benchmark import Question
from tempo_lib.miniature.lessons import candidate_answers
from tempo_lib.video.clip import Video

QUESTION = "Which number is shown with the red star?"
CANDIDATES = ("The red star 4.", "The red star 7.")


@pytest.fixture(scope="module")
def measured(tiny_tempo):
    rng = np.random.default_rng(0)
    video = Video(rng.integers(0, 255, (24, 32, 32, 3), dtype=np.uint8))
    memories = tiny_tempo.compress(video, QUESTION)
    return Measured(tiny_tempo, memories, QUESTION, CANDIDATES)


def mask_of(measured, *segments):
    """The mask that keeps these positions of each segment."""
    kept_NK = torch.zeros(measured.memories.memories.shape[:2], dtype=torch.bool)
    for row, positions in zip(kept_NK, segments, strict=True):
        row[list(positions)] = True
    return kept_NK


@pytest.mark.parametrize("scheme", ["head", "tail"])
@pytest.mark.parametrize("size", [0, 3, 32])
def test_an_end_answers_as_the_model_does_under_that_scheme(measured, scheme, size):
    counts_N = torch.full((len(measured.memories.scores),), size)
    options = {"counts": counts_N, "scheme": scheme}
    wanted = measured.model.decode(measured.memories, QUESTION, **options)
    start = 0 if scheme == "head" else 32 - size
    found = measured.effect(mask_of(measured, *[range(start, start + size)] * len(counts_N)))
    assert found.text == wanted.text
    assert found.num_kept == size * len(counts_N)
    assert found.positions == list(range(start, start + size))


def test_a_likelihood_is_that_of_the_whole_row_read_at_once(measured):
    num_segments, capacity = measured.memories.memories.shape[:2]
    found = measured.effect(mask_of(measured, *[range(capacity)] * num_segments))
    for text, log_likelihood in zip(CANDIDATES, found.log_likelihoods, strict=True):
        ids, labels = answer_ids(measured.model, measured.memories, QUESTION, text)
        with torch.no_grad():
            memories_MD = measured.memories.memories.flatten(0, 1)
            embeds = measured.model.embed(torch.tensor([ids]), memories_MD)
            rows = {"inputs_embeds": embeds, "labels": torch.tensor([labels])}
            loss = measured.model.decoder(**rows).loss
        num_tokens = sum(label != -100 for label in labels)
        assert log_likelihood == pytest.approx(-float(loss) * num_tokens, abs=1e-3)


def test_memories_are_kept_at_their_places_also_where_segments_differ(measured, monkeypatch):
    given = []
    real = type(measured.model).embed

    def embed(self, ids, memories_MD):
        given.append(memories_MD)
        return real(self, ids, memories_MD)

    monkeypatch.setattr(type(measured.model), "embed", embed)
    found = measured.effect(mask_of(measured, [5, 1], [], [30]))
    memories_NKd = measured.memories.memories
    wanted = [memories_NKd[0, 1], memories_NKd[0, 5], memories_NKd[2, 30]]
    assert torch.equal(given[0], torch.stack(wanted))
    assert (found.num_kept, found.positions) == (3, None)


def test_a_mask_of_another_shape_and_a_position_that_is_none_are_refused(measured):
    with pytest.raises(ValueError, match=r"kept must be \(3, 32\).*got \(3, 31\)"):
        measured.effect(torch.ones(3, 31, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"mine: positions must be in 0\.\.31, got \[32\]"):
        measured.effects({"mine": [0, 32]})


def test_choices_are_both_ends_and_evenly_spaced_positions():
    found = some_choices(6)
    assert list(found) == [f"{end} {k}" for k in (1, 2, 4) for end in ("head", "tail", "every")]
    assert found["head 2"] == [0, 1] and found["tail 4"] == [2, 3, 4, 5]
    assert found["every 2"] == [1, 4]


def test_effects_survive_their_file_and_begin_with_all_memories(measured, tmp_path):
    effects = measured.effects({"mine": [0, 31]})
    assert [one.name for one in effects.effects] == ["all", "mine"]
    assert effects.effects[1].num_kept == 2 * len(effects.seconds)
    write_effects(tmp_path / "one.json", effects)
    assert read_effects(tmp_path / "one.json") == effects


@pytest.mark.parametrize(
    ("content", "said"),
    [("{}", "preset: Field required"), ("no", "Invalid JSON"), (None, "cannot read")],
)
def test_a_file_of_something_else_is_refused_in_one_line(tmp_path, content, said):
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=said) as refused:
        read_effects(path)
    assert "bad.json" in str(refused.value) and "\n" not in str(refused.value)


def test_a_file_without_all_memories_is_refused(measured, tmp_path):
    effects = measured.effects({"mine": [0]})
    write_effects(
        tmp_path / "cut.json", effects.model_copy(update={"effects": effects.effects[1:]})
    )
    with pytest.raises(ValueError, match="the first effect must be that of all memories"):
        read_effects(tmp_path / "cut.json")


def test_readers_name_what_the_kept_positions_hold():
    rng = np.random.default_rng(0)
    label_n = rng.integers(0, 3, 300)
    memories_nKd = rng.normal(size=(300, 2, 8))
    memories_nKd[np.arange(300), 1, label_n] += 8.0  # position 1 shows it, position 0 does not
    names = np.array(["blue", "green", "red"])
    labels = {"colour": names[label_n], "other": names[rng.integers(0, 2, 300)]}
    readers = fit_readers(ProbeData(memories_nKd, labels, np.arange(300) // 10))
    given = torch.tensor(memories_nKd[:50])
    kept_nK = torch.zeros(50, 2, dtype=torch.bool)
    assert set(readers.read(given, kept_nK)["colour"]) == {""}
    kept_nK[:, 1] = True
    assert readers.read(given, kept_nK)["colour"] == names[label_n[:50]].tolist()
    kept_nK[:] = torch.tensor([True, False])
    right = np.array(readers.read(given, kept_nK)["colour"]) == names[label_n[:50]]
    assert right.mean() < 0.7


def test_candidates_are_the_right_answer_with_every_option_in_its_place():
    options = ("city", "forest")
    given = {"id": "1", "text": "Where?", "answer": "The red star forest B."}
    question = Question(**given, options=options)
    assert candidate_answers(question) == ["The red star city A.", "The red star forest B."]
    with pytest.raises(ValueError, match="no option ends the answer"):
        candidate_answers(Question(**given))
