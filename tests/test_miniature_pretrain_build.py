import dataclasses
import json
from pathlib import Path

import pytest
import torch

from tempo_lib.checkpoints.loading import find_checkpoint
from tempo_lib.cli.errors import InputError
from tempo_lib.cli.train import TrainOptions, check, check_seed
from tempo_lib.config import load_preset
from tempo_lib.miniature.pretrain.build import (
    BASES,
    KEPT_MEMORY,
    RERANKER,
    Miniature,
    base_seed,
    corpus_spec,
    starting_model,
    take_bases,
    train_miniature,
    with_window,
)
from tempo_lib.model.attention import CPU_TRAINING, VISION_BATCHED

TINY = load_preset("tiny")


def finished_bases(folder, seed=0):
    for name in (*BASES, RERANKER):
        (folder / name).mkdir(parents=True)
        own = base_seed(Miniature(TINY, folder, seed=seed), name)
        (folder / name / "card.json").write_text(f'{{"seed": {own}}}')
        (folder / name / "model.safetensors").write_bytes(name.encode())


def test_base_models_of_another_run_are_taken_over_and_never_overwritten(tmp_path):
    finished_bases(tmp_path / "first")
    mini = Miniature(TINY, tmp_path / "second", seed=1, bases=tmp_path / "first")
    own = mini.folder(BASES[0])
    own.mkdir(parents=True)
    (own / "card.json").write_text('{"seed": 9}')
    take_bases(mini, tmp_path / "first")
    assert (mini.folder(BASES[1]) / "model.safetensors").read_bytes() == BASES[1].encode()
    assert (own / "card.json").read_text() == '{"seed": 9}'


def test_finished_parts_are_kept_by_the_helpers_too(tmp_path, monkeypatch):
    """The helpers are processes of their own: what they are given must reach them."""
    for name, value in KEPT_MEMORY.items():
        monkeypatch.setenv(name, value)  # so that it is gone after the test
    finished_bases(tmp_path)
    before = sorted((path, path.read_bytes()) for path in tmp_path.rglob("*.*"))
    assert train_miniature(Miniature(TINY, tmp_path, seed=0), stages=()) == {}
    assert sorted((path, path.read_bytes()) for path in tmp_path.rglob("*.*")) == before


def test_an_unfinished_base_model_is_named(tmp_path):
    finished_bases(tmp_path / "first")
    (tmp_path / "first" / BASES[1] / "card.json").unlink()
    mini = Miniature(TINY, tmp_path / "second", seed=1)
    with pytest.raises(ValueError, match=f"{BASES[1]} is not a finished base model"):
        take_bases(mini, tmp_path / "first")


def test_only_bases_that_were_taken_over_may_have_another_seed(tmp_path):
    finished_bases(tmp_path / "work", seed=0)
    check_seed(Miniature(TINY, tmp_path / "work", seed=1, bases=tmp_path / "work"))
    with pytest.raises(InputError, match="was made with seed 0, not 1"):
        check_seed(Miniature(TINY, tmp_path / "work", seed=1))


def test_a_single_stage_of_any_seed_goes_on_from_the_bases_it_was_given(tmp_path):
    finished_bases(tmp_path, seed=0)
    (tmp_path / "stage0").mkdir()
    (tmp_path / "stage0" / "card.json").write_text('{"seed": 1}')
    check_seed(Miniature(TINY, tmp_path, seed=1), makes_bases=False)
    with pytest.raises(InputError, match="stage0 was made with seed 1, not 2"):
        check_seed(Miniature(TINY, tmp_path, seed=2), makes_bases=False)


def test_a_run_goes_on_from_its_own_base_models(tmp_path):
    finished_bases(tmp_path, seed=3)
    assert json.loads((tmp_path / RERANKER / "card.json").read_text())["seed"] != 3
    check_seed(Miniature(TINY, tmp_path, seed=3))
    (tmp_path / RERANKER / "card.json").write_text('{"seed": 3}')
    with pytest.raises(InputError, match="was made with seed 3, not"):
        check_seed(Miniature(TINY, tmp_path, seed=3))


def test_bases_without_from_scratch_are_refused(tmp_path):
    with pytest.raises(InputError, match="--bases goes with --from-scratch"):
        check(TrainOptions(preset="tiny", stage=2, bases=tmp_path))


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_paper_windows_keep_the_number_of_segments_and_leave_other_sources_alone(stage):
    spec = TINY.miniature.corpora[f"stage{stage}"]
    cut = with_window(spec, 4)
    for before, after in zip(spec.sources, cut.sources, strict=True):
        if before.modality != "video":
            assert after == before
            continue
        assert after.window == 4
        for name in ("min_frames", "max_frames"):
            segments = dataclasses.asdict(before)[name] // before.window
            assert dataclasses.asdict(after)[name] == 4 * segments


def test_a_longer_run_has_more_stories_in_the_long_stages_alone():
    numbers = [
        [
            sum(source.num_stories for source in corpus_spec(mini, stage).sources)
            for stage in (0, 1, 2, 3)
        ]
        for mini in (Miniature(TINY, Path(), 0), Miniature(TINY, Path(), 0, longer=2.0))
    ]
    assert numbers[1] == [*numbers[0][:2], *(2 * number for number in numbers[0][2:])]


def test_a_card_tells_which_switches_were_not_as_usual():
    assert Miniature(TINY, Path(), 3, bases=Path()).switches == {}
    changed = Miniature(TINY, Path(), 0, paper_prompt=True, longer=2.0)
    assert changed.switches == {"paper_prompt": True, "longer": 2.0}


def test_a_run_cannot_be_longer_by_nothing():
    with pytest.raises(InputError, match="--longer is a factor above 0, got 0"):
        check(TrainOptions(preset="tiny", stage=2, longer=0.0))


def test_stages_attend_as_is_fastest_to_train_on_a_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    mini = Miniature(TINY, find_checkpoint("tiny", "stage1").parent, seed=0)
    model = starting_model(mini, 2, None)
    parts = (model.decoder, model.compressor.vlm.language_model)
    assert [part.config._attn_implementation for part in parts] == [CPU_TRAINING] * 2
    assert model.compressor.vlm.visual.config._attn_implementation == VISION_BATCHED
