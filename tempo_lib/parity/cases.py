"""A recorded case against this implementation, quantity by quantity, through the public calls.

Intermediate values are read by hooks on the held models, so what is compared is what runs.
Shape suffixes: N segments, L compressor tokens, S decoder tokens, D width, V logits.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from tempo_lib import prompts
from tempo_lib.model.compressor import SegmentMemories
from tempo_lib.model.decoder_prompt import Turn, decoder_ids
from tempo_lib.model.tempo import Tempo
from tempo_lib.parity.records import Case
from tempo_lib.parity.rows import RELEASE_RULE, Row, compare

NUM_STEPS = 12  # recorded greedy tokens a run
RESERVED = 16  # places the release keeps free before it cuts: a limit of 80 leaves 64 (recorded)

# float32, but another transformers and other CPU kernels sum in another order: up to 7e-6 was
# measured on hidden states, 4e-6 on decoder inputs and 3e-5 on logits of size 10.
CLOSE = 1e-5
LOGITS = 1e-4


@contextmanager
def watched(module: nn.Module) -> Iterator[list[tuple[tuple[Any, ...], dict[str, Any], Any]]]:
    """Record (args, kwargs, output) of every call of ``module``."""
    calls: list[tuple[tuple[Any, ...], dict[str, Any], Any]] = []

    def keep(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        calls.append((args, kwargs, out))

    handle = module.register_forward_hook(keep, with_kwargs=True)
    try:
        yield calls
    finally:
        handle.remove()


@contextmanager
def segments_a_pass(model: Tempo, number: int) -> Iterator[None]:
    """Let ``model`` compress ``number`` segments at a time."""
    usual = model.config.segment_batch
    model.config.segment_batch = number
    try:
        yield
    finally:
        model.config.segment_batch = usual


@torch.no_grad()
def case_rows(model: Tempo, case: Case) -> Iterator[Row]:
    """Every recorded quantity of a case; ``model`` is the recorded checkpoint in float32."""
    yield from input_rows(model, case)
    language = model.compressor.vlm.language_model
    batch = segments_a_pass(model, len(case.tensors["H"]))  # as the release: all in one
    with watched(model.compressor) as passes, watched(language) as calls, batch:
        memories = model.compress(case.video, case.facts["query"])
    yield from compressor_rows(case, passes[0][0], calls[0])
    yield from memory_rows(model, case, memories, passes[0][2][1])
    for name, run in case.facts["runs"].items():
        yield from run_rows(model, case, memories, name, run)


def input_rows(model: Tempo, case: Case) -> Iterator[Row]:
    """Pixels, grid and the text of the time tags."""
    segments = model.open(case.video).segments
    tensors, facts = case.tensors, case.facts
    rows_PC = segments.pixel_rows_PC
    bytes_PC = (rows_PC * 127.5 + 127.5).round().to(torch.uint8)
    sampled = bytes_PC[tensors["pixel_rows_idx"].long()]
    yield compare(case.name, "pixels, every 53rd row", sampled, tensors["pixel_rows_u8"])
    digest = hashlib.sha256(rows_PC.numpy().tobytes()).hexdigest()
    same = digest == facts["pixel_values_videos"]["sha256_of_f32"]
    yield Row(case.name, "pixels, all (sha256)", float(not same), 0.0, rows_PC.numel())
    yield compare(case.name, "grid", segments.grid_thw_N3, tensors["video_grid_thw"])
    tags = [prompts.timestamp(seconds) for seconds in segments.seconds_N.tolist()]
    wrong = sum(a != b for a, b in zip(tags, facts["seg_timestamp_text"], strict=True))
    ids = [model.encoder.encode(tag) for tag in tags]
    wrong += sum(a != b for a, b in zip(ids, facts["seg_timestamp_ids"], strict=True))
    yield Row(case.name, "time tags, text and ids", float(wrong), 0.0, 2 * len(tags))


def compressor_rows(
    case: Case,
    inputs: tuple[Any, ...],
    call: tuple[tuple[Any, ...], dict[str, Any], Any],
) -> Iterator[Row]:
    """What the compressor's pass reads and computes.

    The release puts memory tokens right after a row's words, we put them after its padding, so
    sequences are compared by the order of their real tokens.
    """
    tensors, name = case.tensors, case.name
    vision, ids_NL, mask_NL, _ = inputs
    words = tensors["attention_mask"].bool()
    yield compare(name, "compressor attention mask", mask_NL.bool(), words)
    yield compare(name, "compressor input ids", ids_NL[words], tensors["input_ids"][words])
    picked = tensors["vis_sample_idx"].long()
    levels = {"vision output": vision.features}
    levels |= {f"deepstack {i}": level for i, level in enumerate(vision.deepstack)}
    for key, level in zip(("out", "deepstack0", "deepstack1"), levels.items(), strict=True):
        ours = torch.cat(level[1])[picked]
        yield compare(name, f"{level[0]}, every 13th", ours, tensors[f"vis_{key}_sample"], CLOSE)
    _, given, out = call
    ours_NL = given["attention_mask"].bool()
    theirs_NL = tensors["svlm_attention_mask"].bool()
    yield compare(name, "real tokens a segment", ours_NL.sum(1), theirs_NL.sum(1))
    positions_3R = given["position_ids"][:, ours_NL]
    recorded_3R = tensors["svlm_position_ids"][:, theirs_NL]
    yield compare(name, "position ids of real tokens", positions_3R, recorded_3R)
    place_R2, sample_R2 = _sampled_places(ours_NL, theirs_NL, tensors["svlm_sample_pos"].long())
    for label, value_NLD, key in (
        ("compressor embeddings", given["inputs_embeds"], "svlm_inputs_embeds_sample"),
        ("compressor hidden states", out.last_hidden_state, "svlm_last_hidden_sample"),
    ):
        ours_RD = value_NLD[place_R2[:, 0], place_R2[:, 1]]
        recorded_RD = tensors[key][sample_R2[:, 0], sample_R2[:, 1]]
        yield compare(name, f"{label}, every 11th", ours_RD, recorded_RD, CLOSE)


def _sampled_places(
    ours_NL: torch.Tensor, theirs_NL: torch.Tensor, sample_P: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """(row, place) here and (row, sample) there of every sampled token that is no padding."""
    sample_R2 = theirs_NL[:, sample_P].nonzero()
    rank_R = theirs_NL.cumsum(1)[sample_R2[:, 0], sample_P[sample_R2[:, 1]]]
    place_R = torch.searchsorted(ours_NL.cumsum(1)[sample_R2[:, 0]], rank_R[:, None])[:, 0]
    return torch.stack([sample_R2[:, 0], place_R], dim=1), sample_R2


def memory_rows(
    model: Tempo, case: Case, memories: SegmentMemories, h_rel_ND: torch.Tensor
) -> Iterator[Row]:
    """Memories and scores, in one pass and in two (prefix kept, question later), one by one."""
    name, tensors = case.name, case.tensors
    yes, no = model.compressor.relevance_rows
    yield compare(name, "head rows, Yes - No", yes - no, tensors["w_yes_minus_no"])
    yield compare(name, "state that is scored", h_rel_ND, tensors["h_rel"], CLOSE)
    session = model.open(case.video).compress(case.facts["query"])
    with segments_a_pass(model, 1):
        single = model.compress(case.video, case.facts["query"])
    ways = (("", memories), (", prefix kept", session), (", a segment a pass", single))
    for label, got in ways:
        yield compare(name, f"memories H{label}", got.memories, tensors["H"], CLOSE)
        yield compare(name, f"scores{label}", got.scores, tensors["scores"], CLOSE)


def run_rows(
    model: Tempo, case: Case, memories: SegmentMemories, name: str, run: dict[str, Any]
) -> Iterator[Row]:
    """One recorded answer: allocation, decoder embeddings, logits of every step, greedy ids.

    Where the release overspends or cuts, its counts or its cut are fed, and the row says so.
    A run without allocation (``nodyn``, counts None or -1) keeps every token.
    """
    budget, max_len = run["options"].get("budget", 8192), run["options"].get("max_len")
    question, capacity = case.facts["query"], memories.memories.shape[1]
    recorded = torch.full((len(memories.scores),), capacity)
    if name != "nodyn":
        recorded = torch.tensor(run["alloc"])
    options: dict[str, Any] = {"adaptive": name != "nodyn", "budget": budget}
    ours = model.decode(memories, question, max_new_tokens=1, **options)
    overspent = int(recorded.sum()) > budget and name != "nodyn"
    note = RELEASE_RULE if overspent or max_len is not None else ""
    if overspent:
        within = float(max(0, ours.tokens_used - budget))
        label = f"{name}: our tokens over the budget"
        yield Row(case.name, label, within, 0.0, len(recorded), "release overspends")
        options = {"counts": recorded}
    else:
        yield compare(case.name, f"{name}: allocation", ours.counts, recorded)
    with watched(model.decoder) as calls:
        if max_len is None:
            answer = model.decode(memories, question, max_new_tokens=NUM_STEPS, **options)
            ids = torch.tensor([answer.token_ids])
        else:
            ids = decode_cut(model, memories, question, recorded, max_len)
    embeds = calls[0][1]["inputs_embeds"]
    logits_TV = torch.cat([out.logits[:, -1] for _, _, out in calls])
    stored = {key: case.tensors[f"{name}.{key}"] for key in ("llm_inputs_embeds", "step_logits")}
    label = f"{name}: decoder embeddings"
    yield compare(case.name, label, embeds, stored["llm_inputs_embeds"], CLOSE, note)
    for steps, label in ((1, "first step"), (NUM_STEPS, "all steps")):
        pair = logits_TV[:steps], stored["step_logits"][:steps]
        yield compare(case.name, f"{name}: logits, {label}", *pair, LOGITS, note)
    wanted = torch.tensor([run["output_ids"]])
    yield compare(case.name, f"{name}: greedy ids", ids, wanted, note=note)


def decode_cut(
    model: Tempo, memories: SegmentMemories, question: str, counts_N: torch.Tensor, max_len: int
) -> torch.Tensor:
    """Greedy ids after the release's silent cut: what lies between the texts loses its end.

    The prompt keeps ``max_len`` - 16 places; time tags count as part of the video. Here the
    same input is refused (``Tempo.decode``), so this rebuilds the cut from the public parts.
    """
    text, counts = model.encoder, counts_N.tolist()
    system = model.config.decoder_system_prompt
    ids = decoder_ids(text, system, Turn(memories.seconds.tolist(), counts, question))
    kept = [m[:k] for m, k in zip(memories.memories, counts, strict=True)]
    embeds_1SD = model.embed(torch.tensor([ids]), torch.cat(kept))
    tail = len(text.ids(prompts.question_parts(question)))
    head_1SD = embeds_1SD[:, : max_len - RESERVED - tail]
    cut_1SD = torch.cat([head_1SD, embeds_1SD[:, -tail:]], dim=1)
    return model.decoder.generate(
        inputs_embeds=cut_1SD,
        attention_mask=torch.ones(cut_1SD.shape[:2], dtype=torch.long),
        max_new_tokens=NUM_STEPS,
        do_sample=False,
        eos_token_id=text.special(prompts.IM_END),
        pad_token_id=text.special(prompts.END_OF_TEXT),
    )
