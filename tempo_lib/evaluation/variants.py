"""The rows of the paper's Table 2 and Figure 3 as data, and rows that the paper does not have.

All variants start from the same compression; what differs is declared here. Three families share
one table: rows of the paper, their token-matched controls (``<name>-matched``) and policies beyond
the paper. Allocation policies, scorers and models that read frames themselves are variants by the
names under which they are registered: ``<policy>``, ``prior-<scorer>``, ``native-<model>`` and
``native-<model>-pooled``, and all with ``-matched``.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

TEMPO = "tempo"  # the scores that the model's own compressor gives with its memories


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to allocate the budget.

    ``paper_row`` quotes the row of Table 2, None where it has none. ``allocation``: a registered
    policy; ``full`` keeps every memory token, beyond any budget. Memories come from the
    compressor's ``prompt``; the scores that allocate from ``score_source``, a registered scorer
    or Tempo itself, under ``score_prompt``. ``match``: the variant whose tokens on the same
    question are this one's budget, used as fully as its own rule can. None of ``k_min``,
    ``budget``, ``max_frames``, a ``window`` of 0: as the evaluation is run; a ``budget`` may be
    one that the benchmark has by name. ``checkpoint`` None: the model that is evaluated; else the
    folder beside it. ``query``: what the compressor reads in the question's place, nothing or
    another question about the video; the decoder reads the question.
    """

    name: str
    paper_row: str | None
    allocation: str = "ata"
    scheme: Literal["head", "tail", "merge"] = "head"
    prompt: str = "routing"
    score_source: str = TEMPO
    score_prompt: str = "routing"
    k_min: int | None = None
    budget: int | str | None = None
    max_frames: int | None = None
    window: int = 0  # frames per segment
    query: Literal["own", "blank", "other"] = "own"
    memories_first: bool = False  # memory tokens before the query, which they then cannot see
    timestamps: bool = True  # in the decoder's prompt
    drop_ratio: float = 0.0  # share of segments that the dropping variants give up
    fixed_share: float = 1.0  # share of k_max that ``fixed`` keeps per segment
    fewer_frames: bool = False  # sample as few frames as fit the budget at k_max per segment
    native: str | None = None  # a registered model that reads the frames itself, without memories
    pooled: bool = False  # all its frames with fewer tokens each, not fewer frames
    match: str | None = None
    beyond_paper: bool = False
    checkpoint: str | None = None


MATCHED = "-matched"
CURVES = (
    "ata-f<frames>-b<budget>",
    "ata-b<budget>",
    "ata-k<k_min>",
    "ata-w<window>",
)  # numbers, a budget also 8K
PRIOR = "prior-"  # rows of Table 2 D: another source of scores
NATIVE, POOLED = "native-", "-pooled"  # baselines of Table 1: a model that reads frames itself
_HALF = 0.5  # sec. 4.3B discards 50 % of the segments, 4.3C keeps 64 of 128 tokens

_PAPER = (
    Variant(name="ata", paper_row="Tempo Default"),
    Variant(
        name="without-stage3",
        paper_row="A: w/o Stage 3 - Long-Context SFT (16K Budget)",
        allocation="full",
        checkpoint="stage2",
    ),
    Variant(
        name="no-ata",
        paper_row="A: w/o Adaptive Token Allocation (16K Budget)",
        allocation="full",
    ),
    Variant(
        name="uniform",
        paper_row="B: Uniform Subsampling (Equal tokens per segment)",
        allocation="uniform",
        fewer_frames=True,
    ),
    Variant(
        name="random-drop",
        paper_row="B: Random Drop (Uniform random segment selection)",
        allocation="random-drop",
        drop_ratio=_HALF,
    ),
    Variant(
        name="adversarial",
        paper_row="B: Adversarial Routing (Keep lowest-scoring segments)",
        allocation="adversarial",
        drop_ratio=_HALF,
    ),
    Variant(
        name="top-k",
        paper_row="B: Hard Top-K Routing (Keep highest-scoring segments)",
        allocation="top-k",
        drop_ratio=_HALF,
    ),
    Variant(
        name="tail-fixed",
        paper_row="C: Uniform Tail Truncation (Fixed 64 tokens)",
        allocation="fixed",
        scheme="tail",
        fixed_share=_HALF,
    ),
    Variant(
        name="head-fixed",
        paper_row="C: Uniform Head Truncation (Fixed 64 tokens)",
        allocation="fixed",
        fixed_share=_HALF,
    ),
    # k_i are the counts of ATA: the row merges what head truncation would cut
    Variant(
        name="merge",
        paper_row="C: Token Merging (Merge visual features to ki tokens)",
        scheme="merge",
    ),
    Variant(
        name="merge-fixed",
        paper_row=None,
        allocation="fixed",
        scheme="merge",
        fixed_share=_HALF,
    ),
    Variant(
        name="tail-dynamic",
        paper_row="C: Dynamic Tail Truncation (Keep last ki tokens)",
        scheme="tail",
    ),
    # sec. 4.3D: Tempo's own memories generate, only the score's source differs
    Variant(
        name="prior-base-std",
        paper_row="D: Base Model Prior (Standard prompt)",
        score_source="base",
        score_prompt="assistant",  # appendix E.3
    ),
    Variant(
        name="prior-base-route",
        paper_row="D: Base Model Prior (Explicit routing prompt)",
        score_source="base",
    ),
    Variant(
        name="prior-reranker",
        paper_row="D: External Dense Retriever (Qwen3-VL Reranker)",
        score_source="reranker",
        score_prompt="rerank",
    ),
    Variant(
        name="prior-tempo-std",
        paper_row="D: Tempo SVLM Prior (Standard prompt)",
        score_prompt="standard",
    ),
    Variant(
        name="prune",
        paper_row="E: Hard Pruning (0 tokens for irrelevant segments)",
        k_min=0,
    ),
)
_BEYOND = (
    *(
        Variant(name=policy, paper_row=None, allocation=policy, beyond_paper=True)
        for policy in ("ata-logit", "ata-smooth", "ata-calibrated", "ata-logit-smooth")
    ),
    # two passes: scores under the routing prompt, memories under the prompt of training
    Variant(name="ata-two-pass", paper_row=None, prompt="standard", beyond_paper=True),
)
# What the tables do not ask. All have whole memories, to be compared with no-ata.
_QUESTIONS = (
    Variant(name="query-blank", paper_row=None, allocation="full", query="blank"),
    Variant(name="query-other", paper_row=None, allocation="full", query="other"),
    Variant(name="memories-first", paper_row=None, allocation="full", memories_first=True),
    Variant(name="no-timestamps", paper_row=None, allocation="full", timestamps=False),
)
# What notebook 24 compares: each with the variant that differs in this one thing.
NEW_QUESTIONS = (
    *((row.name, "no-ata") for row in _QUESTIONS),
    (f"{NATIVE}base", "ata"),
    *((f"ata-k{k_min}", "ata") for k_min in range(9)),
    ("ata-w4", "ata"),
)
# these keep the counts of ATA itself: they are token-matched as they are
ALREADY_MATCHED = ("ata", "merge", "tail-dynamic")


def matched(row: Variant, reference: str = "ata") -> Variant:
    """The control of ``row`` that gets exactly the tokens that ``reference`` used on a question.

    The budget alone decides how many segments or tokens it keeps: the shares that the paper
    fixes to reach its own budget (half the segments, half the tokens) no longer hold.
    """
    return replace(
        row,
        name=row.name + MATCHED,
        paper_row=None,
        match=reference,
        drop_ratio=0.0,
        fixed_share=1.0,
    )


VARIANTS = {
    row.name: row
    for row in (
        *_PAPER,
        *_BEYOND,
        *_QUESTIONS,
        *(matched(row) for row in (*_PAPER, *_BEYOND) if row.name not in ALREADY_MATCHED),
    )
}


def matched_name(name: str) -> str:
    """Name of the variant to compare at equal tokens: its control, or ``name`` if it has none."""
    has_none = name in ALREADY_MATCHED or (name in VARIANTS and name + MATCHED not in VARIANTS)
    return name if has_none else name + MATCHED


def sweep_name(max_frames: int, budget: int | str) -> str:
    """Name of a point of Figure 3: ATA with at most ``max_frames`` frames under ``budget``."""
    return f"ata-f{max_frames}-b{budget}"


def sweep(max_frames: Iterable[int], budgets: Iterable[int | str]) -> list[Variant]:
    """The points of Figure 3: every cap of frames with every budget."""
    budgets = list(budgets)
    return [get_variant(sweep_name(cap, budget)) for cap in max_frames for budget in budgets]


def get_variant(name: str) -> Variant:
    """Return variant ``name``, also one of a curve (``CURVES``) or a plug-in's.

    ValueError listing all.
    """
    point = re.fullmatch(r"ata(?:-f([1-9]\d*))?-b(\d+|\d+K)", name)
    if point is not None:
        cap, budget = point.groups()
        tokens = budget if budget.endswith("K") else int(budget)
        frames = None if cap is None else int(cap)
        return Variant(name=name, paper_row=None, max_frames=frames, budget=tokens)
    point = re.fullmatch(r"ata-(k(?=\d)|w(?=[1-9]))(\d+)", name)
    if point is not None:
        number = int(point[2])
        if point[1] == "k":
            return Variant(name=name, paper_row=None, k_min=number)
        return Variant(name=name, paper_row=None, window=number)
    if name in VARIANTS:
        return VARIANTS[name]
    registered = _registered_variants()
    base = name.removesuffix(MATCHED)
    if base not in registered:
        known = ", ".join([*VARIANTS, *(row for row in registered if row not in VARIANTS)])
        raise ValueError(f"unknown variant {name!r}; known variants: {known}, {', '.join(CURVES)}")
    return registered[name] if name in registered else matched(registered[base])


def _registered_variants() -> dict[str, Variant]:
    """The variants that the names of registered policies and scorers are."""
    # torch, which the rows above do not need
    from tempo_lib.allocation.policies import POLICIES
    from tempo_lib.evaluation.native import NATIVE_MODELS
    from tempo_lib.evaluation.scorers import SCORERS

    rows = [Variant(name=name, paper_row=None, allocation=name) for name in POLICIES.names()]
    rows += [
        Variant(name=PRIOR + name, paper_row=None, score_source=name) for name in SCORERS.names()
    ]
    natives = [
        Variant(name=f"{NATIVE}{name}{POOLED * pooled}", paper_row=None, native=name, pooled=pooled)
        for name in NATIVE_MODELS.names()
        for pooled in (False, True)
    ]
    return {row.name: replace(row, beyond_paper=True) for row in rows} | {
        row.name: row for row in natives
    }
