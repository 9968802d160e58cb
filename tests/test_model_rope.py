"""Precision and attention: float32 rotary frequencies, the release's cast, and the back-ends."""

import math

import pytest
import torch
from transformers import Qwen3Config
from transformers.models.qwen3.modeling_qwen3 import Qwen3RotaryEmbedding

from tempo_lib import Tempo
from tempo_lib.model.attention import VISION_BATCHED
from tempo_lib.model.rope import placement, rotary_frequencies
from tempo_lib.parity.cases import load_as_released
from tempo_lib.parity.records import load_case

# Largest differences between back-ends on the recorded clips: memories and vision outputs are
# of size 4. float32: another order of sums (6e-6 measured). bf16: 8 bits, so a unit in the last
# place of 4 is 0.016, and a handful of layers carry several (0.11 measured; scores 0.021).
TOLERANCES = {
    torch.float32: {"vision": 2e-5, "memories": 2e-5, "scores": 2e-6, "logits": 5e-5},
    torch.bfloat16: {"vision": 0.1, "memories": 0.25, "scores": 0.05, "logits": 0.5},
}


def load(golden_dir, dtype, **options):
    return Tempo.from_pretrained(golden_dir / "Tempo-tiny", dtype=dtype, device="cpu", **options)


@pytest.fixture(scope="module")
def small_case(golden_dir):
    return load_case(golden_dir, "d")


# -- rotary frequencies ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cast",
    [
        lambda model: model.to(torch.bfloat16),
        lambda model: model.bfloat16(),
        lambda model: model.half(),
        lambda model: model.to("cpu", torch.float16).to(torch.bfloat16).float(),
        lambda model: torch.nn.ModuleDict({"inner": model}).to(torch.bfloat16)["inner"],
    ],
)
def test_rotary_frequencies_survive_every_cast_of_the_model(fresh_tiny_tempo, cast):
    before = {name: table.clone() for name, table in rotary_frequencies(fresh_tiny_tempo).items()}
    after = rotary_frequencies(cast(fresh_tiny_tempo))
    assert len(before) == 6
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert {table.dtype for table in after.values()} == {torch.float32}


def test_weights_and_other_buffers_are_cast(fresh_tiny_tempo):
    model = fresh_tiny_tempo.to(torch.bfloat16)
    assert {weight.dtype for weight in model.parameters()} == {torch.bfloat16}
    assert model.compressor.relevance_rows.dtype == torch.bfloat16


def test_a_model_on_the_meta_device_gets_room_for_its_frequencies_too(fresh_tiny_tempo):
    model = fresh_tiny_tempo.to("meta").to(torch.bfloat16).to_empty(device="cpu")
    assert {table.device.type for table in rotary_frequencies(model).values()} == {"cpu"}
    assert {table.dtype for table in rotary_frequencies(model).values()} == {torch.float32}


@pytest.mark.parametrize(("switch", "dtype"), [(False, torch.float32), (True, torch.bfloat16)])
def test_the_switch_decides_at_load_and_at_a_later_cast(golden_dir, switch, dtype):
    at_load = load(golden_dir, torch.bfloat16, release_numerics=switch)
    later = load(golden_dir, torch.float32, release_numerics=switch).to(torch.bfloat16)
    for model in (at_load, later):
        assert {table.dtype for table in rotary_frequencies(model).values()} == {dtype}
        assert model.projector.weight.dtype == torch.bfloat16


def test_the_switch_is_off_by_default_and_saved_with_the_model(fresh_tiny_tempo, tmp_path):
    assert fresh_tiny_tempo.config.release_numerics is False
    fresh_tiny_tempo.config.release_numerics = True
    fresh_tiny_tempo.save_pretrained(tmp_path)
    assert Tempo.from_pretrained(tmp_path, device="cpu").config.release_numerics
    model = Tempo.from_pretrained(
        tmp_path, dtype=torch.bfloat16, device="cpu", release_numerics=False
    )
    assert {table.dtype for table in rotary_frequencies(model).values()} == {torch.float32}


def test_cast_frequencies_are_radians_off_at_position_5000():
    rope = {"rope_type": "default", "rope_theta": 5e6}  # the 6B compressor's
    table = Qwen3RotaryEmbedding(Qwen3Config(head_dim=128, rope_parameters=rope)).inv_freq
    error = 5000 * (table.half().bfloat16().float() - table).abs()
    assert 4.4 < float(error.max()) < 4.6  # radians: 0.48527 becomes 0.48438
    assert int((error > math.pi / 2).sum()) == 6  # of 64: more than a quarter of a turn


def test_the_cast_moves_scores_and_memories_by_what_bf16_rounding_explains(golden_dir):
    case = load_case(golden_dir, "a")
    cast, kept = (
        load_as_released(golden_dir, switch).compress(case.video, case.facts["query"])
        for switch in (True, False)
    )
    moved = float((cast.scores - kept.scores).abs().max())
    assert 0.005 < moved < 0.03  # recorded: up to 0.024
    assert not torch.equal(cast.memories, kept.memories)


def test_auto_is_float32_on_a_cpu_and_as_stored_on_a_gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert placement("auto", "auto") == ("cpu", torch.float32)
    assert placement("auto", torch.bfloat16) == ("cpu", torch.bfloat16)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert placement("auto", "auto") == ("cuda", "auto")
    assert placement("cpu", "auto") == ("cpu", torch.float32)


# -- attention back-ends -----------------------------------------------------------------------


def outputs(golden_dir, dtype, attention, vision, case):
    """Vision outputs, memories, scores and decoder logits with given back-ends."""
    model = load(golden_dir, dtype, attn_implementation=attention)
    model.compressor.vlm.visual.config._attn_implementation = vision
    segments = model.open(case.video).segments
    memories = model.compress(case.video, case.facts["query"])
    embeds = torch.linspace(-1, 1, 20 * 80).reshape(1, 20, 80).to(dtype)
    with torch.no_grad():
        seen = model.compressor.encode_vision(segments.pixel_rows_PC, segments.grid_thw_N3)
        logits = model.decoder(inputs_embeds=embeds).logits
    found = (torch.cat(seen.features), memories.memories, memories.scores, logits)
    return dict(zip(TOLERANCES[dtype], (value.float() for value in found), strict=True))


@pytest.mark.parametrize("dtype", list(TOLERANCES), ids=["float32", "bfloat16"])
def test_attention_back_ends_agree(golden_dir, small_case, dtype):
    wanted = outputs(golden_dir, dtype, "eager", "eager", small_case)
    pairs = [("eager", VISION_BATCHED), ("sdpa", "sdpa"), ("sdpa", VISION_BATCHED)]
    for attention, vision in pairs:
        found = outputs(golden_dir, dtype, attention, vision, small_case)
        for name, tolerance in TOLERANCES[dtype].items():
            gap = float((found[name] - wanted[name]).abs().max())
            assert gap <= tolerance, f"{name} of {attention}/{vision}: {gap}"


def test_the_batched_vision_back_end_equals_the_loop_over_frame_pairs(golden_dir, small_case):
    loop = outputs(golden_dir, torch.float32, "sdpa", "sdpa", small_case)
    batched = outputs(golden_dir, torch.float32, "sdpa", VISION_BATCHED, small_case)
    # one kernel call a run of equal lengths: the same sums in the same order, up to blocking
    torch.testing.assert_close(batched["vision"], loop["vision"], atol=2e-6, rtol=0)


@pytest.mark.gpu
@pytest.mark.parametrize("attention", ["sdpa", "flash_attention_2"])
def test_attention_back_ends_agree_on_a_gpu(golden_dir, small_case, attention):
    if attention == "flash_attention_2":
        pytest.importorskip("flash_attn")
    found = []
    for name in ("eager", attention):
        model = load(golden_dir, torch.bfloat16, attn_implementation=name).to("cuda")
        found.append(model.compress(small_case.video, small_case.facts["query"]))
    bounds = TOLERANCES[torch.bfloat16]
    for value, bound in (("memories", bounds["memories"]), ("scores", bounds["scores"])):
        one, two = (getattr(memories, value).float().cpu() for memories in found)
        assert float((one - two).abs().max()) <= bound
