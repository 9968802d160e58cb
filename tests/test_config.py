from typing import Any, get_args, get_type_hints

import pytest
from pydantic import BaseModel

from tempo_lib.config import Preset, load_preset, preset_names
from tempo_lib.miniature.config import MiniatureNumbers


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_file_is_valid(name):
    assert load_preset(name).name == name


def test_an_unknown_preset_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown preset 'big'; known presets: tiny, 6b"):
        load_preset("big")


def test_the_paper_preset_holds_the_numbers_of_section_4():
    paper = load_preset("6b")
    assert (paper.video.fps, paper.video.window, paper.video.max_frames) == (2.0, 8, 1024)
    assert (paper.allocation.k_min, paper.allocation.k_max) == (4, 128)
    assert paper.model.num_memory_tokens == 128


def test_the_miniature_freezes_what_table_a_freezes():
    stages = load_preset("tiny").training.stages
    everything = {"compressor", "memory_tokens", "projector", "decoder"}
    assert set(stages[0].trainable) == {"memory_tokens", "projector"}
    assert set(stages[1].trainable) == set(stages[2].trainable) == everything
    assert set(stages[3].trainable) == {"decoder"}
    assert [stages[i].window for i in range(4)] == [4, 4, 4, 4]
    assert [stages[i].max_frames for i in range(4)] == [1, 8, 96, 192]
    assert all(stages[i].warmup_ratio == 0.03 and stages[i].weight_decay == 0 for i in range(4))


def test_the_paper_preset_holds_what_table_a_and_appendix_c_print():
    """Each cell against the published file: tests/test_figures_recipe.py."""
    stages = load_preset("6b").training.stages
    assert [stages[i].global_batch for i in range(4)] == [128, 256, 128, 64]
    assert [stages[i].max_frames for i in range(4)] == [1, 8, 128, 384]
    assert [stages[i].max_context for i in range(4)] == [8192, 8192, 8192, 16384]
    assert {stages[i].precision for i in range(4)} == {"bf16"}
    assert all(stages[i].varied_prompt_share == 0 for i in range(4))


def test_a_stage_fills_its_steps_one_way_only():
    for change in ("0.batch_segments=8", "0.global_batch=null"):
        with pytest.raises(ValueError, match="give global_batch, or batch_segments and batch_s"):
            load_preset("6b", [f"training.stages.{change}"])


def test_an_override_changes_one_number_of_one_run_and_is_recorded():
    changed = load_preset(
        "tiny",
        [
            "training.stages.2.window=8",
            "miniature.corpora.stage2.sources.wide-clips.num_stories=7",
            "miniature.reranker.steps=3",
            "weights.base_decoder=elsewhere",
        ],
    )
    assert changed.training.stages[2].window == 8
    assert changed.miniature.corpora["stage2"].sources[2].num_stories == 7
    # the file shares its numbers by an anchor; the other copy keeps them
    assert changed.miniature.reranker.steps == 3
    assert changed.miniature.base_compressor == load_preset("tiny").miniature.base_compressor
    assert changed.overrides["weights.base_decoder"] == "elsewhere" and len(changed.overrides) == 4
    usual = load_preset("tiny")
    assert usual.overrides == {} and usual.training.stages[2].window == 4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "training.stages.2.window=wide",
            r"training\.stages\.2\.window: Input should be a valid integer.*, got 'wide'",
        ),
        ("allocation.budget=-1", r"allocation\.budget: Input should be greater than 0, got -1"),
        ("allocation.bugdet=1", r"allocation\.bugdet: no such field, got 1"),
        ("training.stages.9.window=4", "training.stages has no field '9'"),
        ("training.stages.0.window.x=4", "training.stages.0.window has no field 'x'"),
        ("miniature.corpora.stage1.sources.9.window=4", "sources has no field '9'"),
        ("miniature.corpora.stage1.sources.films.window=4", "sources has no field 'films'"),
        ("miniature.corpora.stage1.sources.clips.window=3", "window must be even and >= 2, got 3"),
        ("miniature.base_decoder.gate=0.5", r"miniature\.base_decoder\.gate: Input should be"),
        ("miniature.corpus_scale.stage9=4", "corpus_scale names stage9, which is no corpus"),
        ("allocation.budget", "expected KEY=VALUE"),
        ("allocation.budget=[", "'\\[' is not a YAML value"),
    ],
)
def test_an_override_is_refused_with_its_path_what_is_expected_and_what_was_found(
    override, message
):
    with pytest.raises(ValueError, match=message):
        load_preset("tiny", [override])


def test_one_more_stage_is_one_block():
    block = load_preset("tiny").training.stages[3].model_dump_json()
    assert load_preset("tiny", [f"training.stages.4={block}"]).stages == (0, 1, 2, 3, 4)


def test_every_field_of_a_preset_file_has_a_type():
    def untyped(kind, path):
        if kind is Any:
            yield path
        for part in get_args(kind):
            yield from untyped(part, path)
        if isinstance(kind, type) and kind.__module__.startswith("tempo_lib"):
            for name, field in get_type_hints(kind).items():
                if not hasattr(BaseModel, name):
                    yield from untyped(field, f"{path}.{name}")

    # the section's type is the schema that it names; the values of overrides are its fields'
    assert list(untyped(Preset, "preset")) == ["preset.miniature", "preset.overrides"]
    assert not list(untyped(MiniatureNumbers, "miniature"))


def test_the_numbers_of_a_benchmark_run_are_typed_and_of_6b_alone():
    assert load_preset("tiny").evaluation is None
    numbers = load_preset("6b", ["evaluation.min_frames=4"]).evaluation
    assert (numbers.max_context, numbers.min_frames) == (32768, 4)
    with pytest.raises(ValueError, match=r"evaluation\.min_frames: .*greater than 0"):
        load_preset("6b", ["evaluation.min_frames=0"])
    with pytest.raises(ValueError, match=r"evaluation\.windows: no such field"):
        load_preset("6b", ["evaluation.windows=4"])
