import pytest

from tempo_lib.config import PRESETS, load_preset


@pytest.mark.parametrize("name", PRESETS)
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
    assert [stages[i].max_frames for i in range(4)] == [1, 8, 96, 832]
    assert all(stages[i].warmup_ratio == 0.03 and stages[i].weight_decay == 0 for i in range(4))
