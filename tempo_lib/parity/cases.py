"""A recorded case against this implementation, quantity by quantity, through the public calls.

Intermediate values are read by hooks on the held models, so what is compared is what runs.
Shape suffixes: N segments, L compressor tokens, S decoder tokens, D width, P sampled places,
R sampled real tokens, T steps, V logits.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tempo_lib import prompts
from tempo_lib.analysis.hooks import Call, recorded
from tempo_lib.model.compressor import SegmentMemories
from tempo_lib.model.decoder_prompt import Answer, Turn, decoder_ids
from tempo_lib.model.tempo import Tempo
from tempo_lib.parity.records import (
    BASE,
    CHECKPOINT,
    RELEASE_RULE,
    STATED,
    Case,
    Row,
    compare,
    load_case,
)

NUM_STEPS = 12  # recorded greedy tokens per run
RESERVED = 16  # places the release keeps free before it cuts: a limit of 80 leaves 64 (recorded)

# float32, but another transformers and other CPU kernels sum in another order: up to 7e-6 was
# measured on hidden states, 4e-6 on decoder inputs and 3e-5 on logits of size 10.
CLOSE = 1e-5
LOGITS = 1e-4
# bf16 keeps 8 bits: sdpa and eager alone differ by up to 0.021 on these scores (test_model_rope),
# and other kernels may change a greedy token
BF16_SCORES = 0.03
BF16_COUNTS = 1.0  # a score that moves by less crosses at most one integer of Eq. 3 here


@contextmanager
def segments_per_pass(model: Tempo, number: int) -> Iterator[None]:
    """Let ``model`` compress ``number`` segments at a time."""
    usual = model.config.segment_batch
    model.config.segment_batch = number
    try:
        yield
    finally:
        model.config.segment_batch = usual


@torch.no_grad()
def case_rows(model: Tempo, case: Case) -> list[Row]:
    """Every recorded quantity of a case; ``model`` is the recorded checkpoint in float32.

    On any device; the tolerances are a processor's.
    """
    language = model.compressor.vlm.language_model
    batch = segments_per_pass(model, len(case.tensors["H"]))  # as the release: all in one
    with recorded(model.compressor) as passes, recorded(language) as calls, batch:
        memories = model.compress(case.video, case.facts["query"])
    rows = [*_inputs(model, case), *_compressor(case, passes[0], calls[0])]
    rows += _memories(model, case, memories, h_rel_ND=passes[0].output[1])
    for run in case.facts["runs"]:
        rows += [
            replace(row, quantity=f"{run}: {row.quantity}")
            for row in _run(model, case, memories, run)
        ]
    return [replace(row, case=case.name) for row in rows]


def _inputs(model: Tempo, case: Case) -> Iterator[Row]:
    """Pixels, grid and timestamps; where texts and hashes are compared, unequal ones count."""
    segments, tensors, facts = model.open(case.video).segments, case.tensors, case.facts
    rows_PC = segments.pixel_rows_PC
    bytes_PC = (rows_PC * 127.5 + 127.5).round().to(torch.uint8)
    sampled = bytes_PC[tensors["pixel_rows_idx"].long()]
    yield compare("pixels, every 53rd row", sampled, tensors["pixel_rows_u8"])
    digest = hashlib.sha256(rows_PC.numpy().tobytes()).hexdigest()
    is_other = digest != facts["pixel_values_videos"]["sha256_of_f32"]
    yield Row("", "pixels, all (sha256)", float(is_other), 0.0, rows_PC.numel())
    yield compare("grid", segments.grid_thw_N3, tensors["video_grid_thw"])
    texts = [prompts.timestamp(seconds) for seconds in segments.seconds_N.tolist()]
    ours = [*texts, *map(model.encoder.encode, texts)]
    theirs = [*facts["seg_timestamp_text"], *facts["seg_timestamp_ids"]]
    unequal = sum(one != other for one, other in zip(ours, theirs, strict=True))
    yield Row("", "timestamps, text and ids", float(unequal), 0.0, len(ours))


def _compressor(case: Case, whole: Call, language: Call) -> Iterator[Row]:
    """What the compressor's pass reads and computes.

    The release puts memory tokens right after a row's text, we put them after its padding, so
    sequences are compared by the order of their real tokens.
    """
    tensors = case.tensors
    vision, ids_NL, mask_NL, _ = whole.args
    is_text_NL = tensors["attention_mask"].bool()
    yield compare("compressor attention mask", mask_NL.bool(), is_text_NL)
    yield compare("compressor input ids", ids_NL[is_text_NL], tensors["input_ids"][is_text_NL])
    picked = tensors["vis_sample_idx"].long()
    for label, key, level in (
        ("vision output", "out", vision.features),
        ("deepstack 0", "deepstack0", vision.deepstack[0]),
        ("deepstack 1", "deepstack1", vision.deepstack[1]),
    ):
        theirs = tensors[f"vis_{key}_sample"]
        yield compare(f"{label}, every 13th", torch.cat(level)[picked], theirs, CLOSE)
    ours_NL = language.kwargs["attention_mask"].bool().cpu()  # also an index of a GPU's tensors
    theirs_NL = tensors["svlm_attention_mask"].bool()
    yield compare("real tokens per segment", ours_NL.sum(1), theirs_NL.sum(1))
    positions = language.kwargs["position_ids"][:, ours_NL]
    theirs = tensors["svlm_position_ids"][:, theirs_NL]
    yield compare("position ids of real tokens", positions, theirs)
    place_R2, sample_R2 = _sampled_places(ours_NL, theirs_NL, tensors["svlm_sample_pos"].long())
    for label, value_NLD, key in (
        ("embeddings", language.kwargs["inputs_embeds"], "svlm_inputs_embeds_sample"),
        ("hidden states", language.output.last_hidden_state, "svlm_last_hidden_sample"),
    ):
        ours_RD = value_NLD[place_R2[:, 0], place_R2[:, 1]]
        recorded_RD = tensors[key][sample_R2[:, 0], sample_R2[:, 1]]
        yield compare(f"compressor {label}, every 11th", ours_RD, recorded_RD, CLOSE)


def _sampled_places(
    ours_NL: torch.Tensor, theirs_NL: torch.Tensor, sample_P: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """(row, place) here and (row, sample) there of every sampled token that is no padding."""
    sample_R2 = theirs_NL[:, sample_P].nonzero()
    rank_R = theirs_NL.cumsum(1)[sample_R2[:, 0], sample_P[sample_R2[:, 1]]]
    place_R = torch.searchsorted(ours_NL.cumsum(1)[sample_R2[:, 0]], rank_R[:, None])[:, 0]
    return torch.stack([sample_R2[:, 0], place_R], dim=1), sample_R2


def _memories(
    model: Tempo, case: Case, memories: SegmentMemories, h_rel_ND: torch.Tensor
) -> Iterator[Row]:
    """Memories and scores: in one pass, in two (prefix kept, question later), one by one."""
    tensors, query = case.tensors, case.facts["query"]
    yes, no = model.compressor.relevance_rows
    yield compare("head rows, Yes - No", yes - no, tensors["w_yes_minus_no"])
    yield compare("state that is scored", h_rel_ND, tensors["h_rel"], CLOSE)
    session = model.open(case.video).compress(query)
    with segments_per_pass(model, 1):
        single = model.compress(case.video, query)
    ways = {"": memories, ", prefix kept": session, ", one segment per pass": single}
    for label, found in ways.items():
        yield compare(f"memories H{label}", found.memories, tensors["H"], CLOSE)
        yield compare(f"scores{label}", found.scores, tensors["scores"], CLOSE)


def _run(model: Tempo, case: Case, memories: SegmentMemories, name: str) -> Iterator[Row]:
    """One recorded answer: allocation, decoder embeddings, logits of every step, greedy ids.

    Where the release exceeds the budget or cuts, its counts or its cut are fed, and the row says
    so. A run without allocation (``nodyn``, counts None or -1) keeps every token.
    """
    run, question = case.facts["runs"][name], case.facts["query"]
    budget, max_len = run["options"].get("budget", 8192), run["options"].get("max_len")
    adaptive = name != "nodyn"
    whole = [memories.memories.shape[1]] * len(memories.scores)
    recorded_N = torch.tensor(run["alloc"] if adaptive else whole)
    options: dict[str, Any] = {"adaptive": adaptive, "budget": budget}
    ours = model.decode(memories, question, max_new_tokens=1, **options)
    exceeds = adaptive and int(recorded_N.sum()) > budget
    note = RELEASE_RULE if exceeds or max_len is not None else ""
    if exceeds:
        above = float(max(0, ours.tokens_used - budget))
        label, size = "our tokens over the budget", len(recorded_N)
        yield Row("", label, above, 0.0, size, "release exceeds it")
        options = {"counts": recorded_N}
    else:
        yield compare("allocation", ours.counts, recorded_N)
    with recorded(model.decoder) as calls:
        if max_len is None:
            ids = model.decode(memories, question, max_new_tokens=NUM_STEPS, **options).token_ids
        else:
            ids = decode_cut(model, memories, question, recorded_N, max_len)
    embeds, steps = (case.tensors[f"{name}.{key}"] for key in ("llm_inputs_embeds", "step_logits"))
    yield compare("decoder embeddings", calls[0].kwargs["inputs_embeds"], embeds, CLOSE, note)
    logits_TV = torch.cat([call.output.logits[:, -1] for call in calls])
    yield compare("logits, first step", logits_TV[:1], steps[:1], LOGITS, note)
    yield compare("logits, all steps", logits_TV[:NUM_STEPS], steps[:NUM_STEPS], LOGITS, note)
    yield compare("greedy ids", torch.tensor([ids]), torch.tensor([run["output_ids"]]), note=note)


def decode_cut(
    model: Tempo, memories: SegmentMemories, question: str, counts_N: torch.Tensor, max_len: int
) -> list[int]:
    """Greedy ids after the release's silent cut: what lies between the texts loses its end.

    The prompt keeps ``max_len`` - 16 places; timestamps count as part of the video. Here the
    same input is refused (``Tempo.decode``), so this rebuilds the cut from the public parts.
    """
    text, counts = model.encoder, counts_N.tolist()
    system = model.config.decoder_system_prompt
    ids = decoder_ids(text, system, Turn(memories.seconds.tolist(), counts, question))
    kept = [each[:count] for each, count in zip(memories.memories, counts, strict=True)]
    embeds_1SD = model.embed(torch.tensor([ids], device=model.device), torch.cat(kept))
    tail = len(text.ids(prompts.question_parts(question)))
    head_1SD = embeds_1SD[:, : max_len - RESERVED - tail]
    cut_1SD = torch.cat([head_1SD, embeds_1SD[:, -tail:]], dim=1)
    return model.generate_ids(cut_1SD, NUM_STEPS)


# -- the release's own dtypes: fp16 at load, the compressor to fp16, then everything to bf16 -------


def bf16_rows(data: Path, device: str = "cpu") -> Iterator[Row]:
    """Scores, counts and greedy ids with the release's casts, then with float32 frequencies."""
    theirs = json.loads((data / "cases" / "official_dtypes_bf16.json").read_text())["cases"]
    for release_numerics in (True, False):
        model = load_as_released(data, release_numerics, device)
        casts = "cast frequencies" if release_numerics else "float32 frequencies"
        for name in sorted(theirs):
            case = load_case(data, name)
            answer = model.answer(case.video, case.facts["query"], max_new_tokens=NUM_STEPS)
            for row in _answer(answer, theirs[name], release_numerics):
                yield replace(row, case=f"{name}, bf16, {casts}")


def load_as_released(data: Path, release_numerics: bool, device: str = "cpu") -> Tempo:
    """The recorded checkpoint after the release's casts, frequencies included or not."""
    model = Tempo.from_pretrained(
        data / CHECKPOINT, base_compressor=data / BASE, dtype=torch.float16, device=device
    )
    model.config.release_numerics = release_numerics
    if release_numerics:
        model.compressor.to(torch.float16)
    return model.to(torch.bfloat16)


def _answer(answer: Answer, theirs: dict[str, Any], is_bounded: bool) -> Iterator[Row]:
    for label, ours, key, most in (
        ("scores", answer.scores, "scores", BF16_SCORES),
        ("allocation", answer.counts, "alloc", BF16_COUNTS),
    ):
        bound, note = (most, "") if is_bounded else (None, STATED)
        yield compare(label, ours, torch.tensor(theirs[key]), bound, note)
    wanted = theirs["output_ids"][0]
    pairs = zip(answer.token_ids, wanted, strict=True)
    first = next((i for i, (one, other) in enumerate(pairs) if one != other), len(wanted))
    late = float(len(wanted) - first)
    yield Row("", "greedy ids after the first unequal one", late, None, len(wanted), STATED)
