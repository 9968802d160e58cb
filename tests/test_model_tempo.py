import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel

from tempo_lib import Tempo, TempoConfig, Video
from tempo_lib.checkpoints.folders import CheckpointError
from tempo_lib.model.decoder_prompt import IGNORE, MEMORY_PLACEHOLDER, ContextError
from tempo_lib.model.session import VideoSession


@pytest.fixture(scope="module")
def clip():
    frames = np.random.default_rng(1).integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)
    return Video(frames, fps=2.0)


@pytest.mark.parametrize("budget", [1, 3, 8, 20, 64, 512])
def test_an_answer_never_exceeds_its_budget(tiny_tempo, clip, budget):
    answer = tiny_tempo.answer(clip, "Who?", budget=budget, max_new_tokens=2)
    assert answer.tokens_used == int(answer.counts.sum()) <= budget
    assert len(answer.counts) == len(answer.scores) == len(answer.seconds) == 4


def test_without_allocation_every_segment_keeps_all_its_tokens(tiny_tempo, clip):
    answer = tiny_tempo.answer(clip, "Who?", adaptive=False, max_new_tokens=2)
    assert answer.counts.tolist() == [tiny_tempo.config.k_max] * 4


def test_a_session_and_single_answers_agree(tiny_tempo, clip):
    session = tiny_tempo.open(clip)
    for question in ("Who?", "Which place is seen most?"):
        one = tiny_tempo.answer(clip, question, budget=20, max_new_tokens=4)
        assert session.ask(question, budget=20, max_new_tokens=4).token_ids == one.token_ids


def test_a_session_without_a_decoder_compresses_and_scores_alike(tiny_tempo, clip):
    whole = tiny_tempo.open(clip)
    alone = VideoSession(whole.compressor, whole.text, whole.config, whole.segments)
    assert torch.equal(alone.compress("Who?").memories, whole.compress("Who?").memories)
    assert torch.equal(alone.logits("Who?"), whole.compress("Who?").logits)
    with pytest.raises(ValueError, match="no decoder"):
        alone.ask("Who?")


def test_generation_continues_the_training_forward(tiny_tempo, clip):
    """The first generated token is the argmax of a training forward over the same tokens."""
    memories = tiny_tempo.compress(clip, "Who?", prompt="standard")
    answer = tiny_tempo.decode(memories, "Who?", adaptive=False, max_new_tokens=1)
    from tempo_lib.model.decoder_prompt import Turn, decoder_ids

    counts = [tiny_tempo.config.num_memory_tokens] * 4
    ids = decoder_ids(
        tiny_tempo.encoder,
        tiny_tempo.config.decoder_system_prompt,
        Turn(memories.seconds.tolist(), counts, "Who?"),
    )
    embeds = tiny_tempo.embed(torch.tensor([ids]), memories.memories.flatten(0, 1))
    with torch.no_grad():
        logits = tiny_tempo.decoder(inputs_embeds=embeds).logits
    assert answer.token_ids == [int(logits[0, -1].argmax())]


def test_text_alone_and_images_are_answered(tiny_tempo):
    assert len(tiny_tempo.answer(None, "Who?", max_new_tokens=3).token_ids) <= 3
    picture = Video(np.zeros((1, 40, 30, 3), np.uint8), is_image=True)
    assert len(tiny_tempo.answer(picture, "Who?", max_new_tokens=3).counts) == 1


def test_placeholders_and_memories_must_agree_in_number(tiny_tempo):
    ids = torch.tensor([[1, MEMORY_PLACEHOLDER, MEMORY_PLACEHOLDER, 2]])
    with pytest.raises(ValueError, match="2 memory placeholders in the text but 3 memories"):
        tiny_tempo.embed(ids, torch.zeros(3, tiny_tempo.projector.in_features))


def test_the_loss_is_on_answer_tokens_alone(tiny_tempo):
    ids = torch.tensor([[5, 6, 7, 8]])
    mask = torch.ones_like(ids)
    labels = torch.tensor([[IGNORE, IGNORE, 7, 8]])
    out = tiny_tempo(ids, mask, labels=labels)
    every = tiny_tempo(ids, mask).logits[0]
    torch.testing.assert_close(out.logits, every[1:3])
    log = every.log_softmax(-1)
    torch.testing.assert_close(out.loss, -(log[1, 7] + log[2, 8]) / 2)


def test_a_prompt_past_the_context_is_refused_with_its_length(tiny_tempo, clip):
    size = tiny_tempo.config.max_context
    try:
        tiny_tempo.config.max_context = 40
        with pytest.raises(
            ContextError, match=r"prompt of \d+ tokens plus 8 new ones exceeds"
        ) as caught:
            tiny_tempo.answer(clip, "Who?", max_new_tokens=8)
        tiny_tempo.config.max_context += caught.value.excess
        assert tiny_tempo.answer(clip, "Who?", max_new_tokens=8).tokens_used
    finally:
        tiny_tempo.config.max_context = size


def test_saving_and_loading_keeps_every_tensor_and_answer(tiny_tempo, clip, tmp_path):
    tiny_tempo.save_pretrained(tmp_path)
    again = Tempo.from_pretrained(tmp_path)
    before, after = tiny_tempo.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), TempoConfig)
    assert isinstance(AutoModel.from_pretrained(tmp_path), Tempo)
    one, two = (m.answer(clip, "Who?", budget=20) for m in (tiny_tempo, again))
    assert one.token_ids == two.token_ids
    assert not list(tmp_path.glob("*.bin"))


def test_loading_names_what_is_wrong_with_a_folder(tmp_path):
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*nowhere"):
        Tempo.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"holds no config\.json"):
        Tempo.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(
        CheckpointError, match="model type 'llama'; this loader reads tempo and tempo_qwen"
    ):
        Tempo.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "tempo"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"pickles \(pytorch_model\.bin\) are refused"):
        Tempo.from_pretrained(tmp_path)


def test_rotary_frequencies_stay_float32_in_a_bf16_model(tiny_tempo, tmp_path):
    tiny_tempo.save_pretrained(tmp_path)
    model = Tempo.from_pretrained(tmp_path, dtype=torch.bfloat16)
    frequencies = {n: b.dtype for n, b in model.named_buffers() if n.endswith("inv_freq")}
    assert len(frequencies) == 6
    assert set(frequencies.values()) == {torch.float32}
    assert model.projector.weight.dtype == torch.bfloat16
