"""The release's own dtypes: fp16 at load, the compressor to fp16, then everything to bf16.

bf16 keeps 8 bits, so other kernels alone move a score by up to 0.02 and turn a word. Shown is what
agrees with the frequencies cast, and what without the cast.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from tempo_lib.model.tempo import Answer, Tempo
from tempo_lib.parity.cases import NUM_STEPS
from tempo_lib.parity.records import BASE, CHECKPOINT, load_case
from tempo_lib.parity.rows import STATED, Row, compare

# in bf16, sdpa and eager differ by up to 0.021 on these scores (test_numerics)
SCORES = 0.03
COUNTS = 1.0  # a score that moves by less than that crosses at most one integer of Eq. 3 here


def half_rows(data: Path) -> Iterator[Row]:
    """Scores, counts and greedy ids with the release's casts, then with float32 frequencies."""
    recorded = json.loads((data / "cases" / "official_dtypes_bf16.json").read_text())["cases"]
    for release_numerics in (True, False):
        model = load_as_released(data, release_numerics)
        casts = "cast frequencies" if release_numerics else "float32 frequencies"
        for name in sorted(recorded):
            case, label = load_case(data, name), f"{name}, bf16, {casts}"
            question = case.facts["query"]
            answer = model.answer(case.video, question, max_new_tokens=NUM_STEPS)
            yield from _answer_rows(label, answer, recorded[name], release_numerics)


def load_as_released(data: Path, release_numerics: bool) -> Tempo:
    """The recorded checkpoint after the release's casts, frequencies included or not."""
    model = Tempo.from_pretrained(
        data / CHECKPOINT, base_compressor=data / BASE, dtype=torch.float16, device="cpu"
    )
    model.config.release_numerics = release_numerics
    if release_numerics:
        model.compressor.to(torch.float16)
    return model.to(torch.bfloat16)


def _answer_rows(
    case: str, answer: Answer, recorded: dict[str, Any], bounded: bool
) -> Iterator[Row]:
    note = "" if bounded else STATED
    scores = torch.tensor(recorded["scores"])
    yield compare(case, "scores", answer.scores, scores, SCORES if bounded else None, note)
    counts = torch.tensor(recorded["alloc"])
    yield compare(case, "allocation", answer.counts, counts, COUNTS if bounded else None, note)
    wanted = recorded["output_ids"][0]
    pairs = zip(answer.token_ids, wanted, strict=True)
    unequal = [i for i, (a, b) in enumerate(pairs) if a != b]
    late = float(len(wanted) - unequal[0]) if unequal else 0.0
    yield Row(case, "greedy ids after the first unequal one", late, None, len(wanted), STATED)
