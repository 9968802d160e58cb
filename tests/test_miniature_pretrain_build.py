import json
from pathlib import Path

import pytest
import torch

from tempo_lib.checkpoints import folders
from tempo_lib.checkpoints.folders import BASE_MODELS, RERANKER, find_checkpoint
from tempo_lib.cli.app import run
from tempo_lib.cli.clear import check_seed
from tempo_lib.cli.common import InputError
from tempo_lib.cli.train import find_start
from tempo_lib.config import load_preset
from tempo_lib.miniature.pretrain.build import (
    KEPT_MEMORY,
    Miniature,
    base_seed,
    corpus_spec,
    starting_model,
    take_base_model,
    train_miniature,
)
from tempo_lib.model.attention import CPU_TRAINING, VISION_BATCHED

TINY = load_preset("tiny")


def given(folder, *overrides):
    """The preset with the base models of a work folder."""
    named = [f"weights.{name}={folder / name}" for name in (*BASE_MODELS, RERANKER)]
    return load_preset("tiny", [*named, *overrides])


def finished_base_models(folder, seed=0):
    for name in (*BASE_MODELS, RERANKER):
        (folder / name).mkdir(parents=True)
        own = base_seed(Miniature(TINY, folder, seed=seed), name)
        (folder / name / "card.json").write_text(f'{{"seed": {own}}}')
        (folder / name / "model.safetensors").write_bytes(name.encode())


def test_a_scale_that_is_no_miniature_starts_from_the_base_models_it_names(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "project_root", lambda: tmp_path / "without runs")
    weights = {name: str(find_checkpoint("tiny", name)) for name in BASE_MODELS}
    changed = {"miniature": None, "weights": TINY.weights.model_copy(update=weights)}
    mini = Miniature(TINY.model_copy(update=changed), tmp_path, seed=0)
    assert find_start(mini, 0, None) is None
    assert list(tmp_path.iterdir()) == []  # 17 GB are not copied
    model = starting_model(mini, 0, None)
    assert model.config.decoder_config.hidden_size == TINY.model.decoder.hidden_size
    with pytest.raises(InputError, match="no checkpoint stage1 of the tiny preset: nobody has pub"):
        find_start(mini, 2, None)


def test_base_models_of_another_run_are_taken_over_and_never_overwritten(tmp_path):
    finished_base_models(tmp_path / "first")
    mini = Miniature(given(tmp_path / "first"), tmp_path / "second", seed=1)
    own = mini.folder(BASE_MODELS[0])
    own.mkdir(parents=True)
    (own / "card.json").write_text('{"seed": 9}')
    for name in BASE_MODELS:
        take_base_model(mini, name)
    assert (mini.folder(BASE_MODELS[1]) / "model.safetensors").read_bytes() == BASE_MODELS[
        1
    ].encode()
    assert (own / "card.json").read_text() == '{"seed": 9}'


def test_finished_parts_are_kept_by_the_helpers_too(tmp_path, monkeypatch):
    """The helpers are processes of their own: what they are given must reach them."""
    for name, value in KEPT_MEMORY.items():
        monkeypatch.setenv(name, value)  # so that it is gone after the test
    finished_base_models(tmp_path)
    before = sorted((path, path.read_bytes()) for path in tmp_path.rglob("*.*"))
    assert train_miniature(Miniature(TINY, tmp_path, seed=0), stages=()) == {}
    assert sorted((path, path.read_bytes()) for path in tmp_path.rglob("*.*")) == before


def test_an_unfinished_base_model_is_named(tmp_path):
    finished_base_models(tmp_path / "first")
    (tmp_path / "first" / BASE_MODELS[1] / "card.json").unlink()
    mini = Miniature(given(tmp_path / "first"), tmp_path / "second", seed=1)
    with pytest.raises(ValueError, match=f"{BASE_MODELS[1]} is not a finished base model"):
        train_miniature(mini, stages=())


def test_only_base_models_that_were_taken_over_may_have_another_seed(tmp_path):
    finished_base_models(tmp_path / "work", seed=0)
    check_seed(Miniature(given(tmp_path / "work"), tmp_path / "work", seed=1))
    with pytest.raises(InputError, match="was made with seed 0, not 1"):
        check_seed(Miniature(TINY, tmp_path / "work", seed=1))


def test_a_single_stage_of_any_seed_goes_on_from_the_base_models_it_was_given(tmp_path):
    finished_base_models(tmp_path, seed=0)
    (tmp_path / "stage0").mkdir()
    (tmp_path / "stage0" / "card.json").write_text('{"seed": 1}')
    check_seed(Miniature(TINY, tmp_path, seed=1), makes_base_models=False)
    with pytest.raises(InputError, match="stage0 was made with seed 1, not 2"):
        check_seed(Miniature(TINY, tmp_path, seed=2), makes_base_models=False)


def test_a_run_goes_on_from_its_own_base_models(tmp_path):
    finished_base_models(tmp_path, seed=3)
    assert json.loads((tmp_path / RERANKER / "card.json").read_text())["seed"] != 3
    check_seed(Miniature(TINY, tmp_path, seed=3))
    (tmp_path / RERANKER / "card.json").write_text('{"seed": 3}')
    with pytest.raises(InputError, match="was made with seed 3, not"):
        check_seed(Miniature(TINY, tmp_path, seed=3))


def test_base_models_of_a_stage_that_does_not_start_from_them_are_refused(capsys, tmp_path):
    options = ["train", "--stage", "2", "--set", f"weights.base_decoder={tmp_path}"]
    assert run(options) == 2
    assert "--set weights.base_decoder goes with --from-scratch" in capsys.readouterr().err


def stories(*overrides):
    mini = Miniature(load_preset("tiny", overrides), Path(), 0)
    specs = [corpus_spec(mini, stage) for stage in mini.preset.stages]
    return [sum(source.num_stories for source in spec.sources) for spec in specs]


def test_a_longer_run_has_more_stories_in_the_stages_that_it_names_alone():
    plain, longer = (
        stories(*(f"miniature.corpus_scale.{stage}={scale}" for stage in ("stage2", "stage3")))
        for scale in (1, 3)
    )
    assert longer == [*plain[:2], *(3 * number for number in plain[2:])]


def test_the_papers_windows_are_overrides_of_one_source():
    names = {"window": 4, "min_frames": 8, "max_frames": 48, "frame_step": 4}
    place = "miniature.corpora.stage2.sources.wide-clips"
    preset = load_preset("tiny", [f"{place}.{name}={value}" for name, value in names.items()])
    cut, usual = (
        corpus_spec(Miniature(one, Path(), 0), 2).sources for one in (preset, load_preset("tiny"))
    )
    assert {name: getattr(cut[2], name) for name in names} == names
    assert cut[2].max_frames // cut[2].window == usual[2].max_frames // usual[2].window
    assert (*cut[:2], *cut[3:]) == (*usual[:2], *usual[3:])


def test_a_corpus_cannot_be_scaled_to_nothing():
    with pytest.raises(ValueError, match=r"corpus_scale\.stage2: Input should be greater than 0"):
        load_preset("tiny", ["miniature.corpus_scale.stage2=0"])


def test_stages_attend_as_is_fastest_to_train_on_a_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    mini = Miniature(TINY, find_checkpoint("tiny", "stage1").parent, seed=0)
    model = starting_model(mini, 2, None)
    parts = (model.decoder, model.compressor.vlm.language_model)
    assert [part.config._attn_implementation for part in parts] == [CPU_TRAINING] * 2
    assert model.compressor.vlm.visual.config._attn_implementation == VISION_BATCHED
