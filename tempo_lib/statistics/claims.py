"""The paper's claims about its variants, as data, and those of the policies beyond it."""

from dataclasses import dataclass, replace
from typing import Literal

from tempo_lib.evaluation.variants import matched_name, sweep_name

ALIKE_MARGIN = 0.03  # alike: the difference is surely below 3 points
COLLAPSE = 0.10  # the paper's adversarial routing loses 14 points on average
LONGEST_SUITE = "mini-lvbench"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """``first`` is ahead of ``second`` by more than ``by``, or alike within ``margin``.

    ``twins``: the pair at equal tokens, None where the claim is about the budget itself.
    ``suite``: the only suite that it speaks of, None for every one.
    """

    name: str
    says: str
    source: str
    first: str
    second: str
    twins: tuple[str, str] | None = None
    expects: Literal["ahead", "alike"] = "ahead"
    by: float = 0.0
    margin: float = ALIKE_MARGIN
    suite: str | None = None


@dataclass(frozen=True)
class Scaling:
    """Points of Figure 3: caps of frames, and budgets that stand for 2K, 4K, 8K and 12K."""

    frames: tuple[int, ...] = (64, 128, 256, 512, 1024)
    budgets: tuple[int, int, int, int] = (192, 384, 768, 1152)


def paper_claims(scaling: Scaling | None = None) -> list[Claim]:
    """Every claim of sections 4.2 and 4.3 that two variants can decide."""
    return [*_claims_of_table_2(), *_claims_of_figure_3(Scaling() if scaling is None else scaling)]


def beyond_claims() -> list[Claim]:
    """Each policy that the paper does not have, against ATA: ahead, not shown, or behind."""
    policies = {
        "ata-logit": "Min-max in logit space helps ATA",
        "ata-smooth": "Smoothing over neighbours helps ATA",
        "ata-logit-smooth": "Logit space and smoothing together help ATA",
        "ata-calibrated": "Contrast calibrated to the budget helps ATA",
        "ata-k-min": "A learned k_min helps ATA",
        "ata-two-pass": "Memories read under the training prompt help ATA",
    }
    return [_pair(name, says, "beyond", name, "ata") for name, says in policies.items()]


def _pair(name: str, says: str, source: str, first: str, second: str) -> Claim:
    """A claim whose token-matched twins are those of its two variants."""
    twins = (matched_name(first), matched_name(second))
    return Claim(name=name, says=says, source=source, first=first, second=second, twins=twins)


def _claims_of_table_2() -> list[Claim]:
    collapses = _pair("adversarial", "Adversarial routing collapses", "2B", "ata", "adversarial")
    alike = _pair("base", "Tempo's prior equals its base's", "2D", "ata", "prior-base-route")
    std = ("routing", "Routing prompt beats the standard one", "2D", "ata", "prior-tempo-std")
    base = ("base-routing", "The same on the base", "2D", "prior-base-route", "prior-base-std")
    return [
        _pair("stage-3", "Stage 3 helps", "2A", "no-ata", "without-stage3"),
        _pair("ata", "ATA beats keeping all tokens", "2A", "ata", "no-ata"),
        _pair("uniform", "ATA beats uniform subsampling", "2B", "ata", "uniform"),
        _pair("random-drop", "ATA beats random drop", "2B", "ata", "random-drop"),
        replace(collapses, by=COLLAPSE),
        _pair("top-k", "ATA beats hard top-k", "2B", "ata", "top-k"),
        _pair("front-fixed", "Head beats tail, fixed", "2C", "head-fixed", "tail-fixed"),
        _pair("front-dynamic", "Head beats tail, dynamic", "2C", "ata", "tail-dynamic"),
        _pair("merge", "Head truncation beats token merging", "2C", "ata", "merge"),
        _pair("dynamic", "Dynamic counts beat fixed ones", "2C", "ata", "head-fixed"),
        _pair(*std),
        _pair(*base),
        replace(alike, expects="alike"),
        _pair("reranker", "Tempo's prior beats a reranker", "2D", "ata", "prior-reranker"),
        _pair("anchors", "Anchors beat pruning", "2E", "ata", "prune"),
    ]


def _claims_of_figure_3(scaling: Scaling) -> list[Claim]:
    lowest, low, high, highest = scaling.budgets
    few, most = scaling.frames[0], scaling.frames[-1]

    def point(frames: int, budget: int) -> str:
        return sweep_name(frames, budget)

    return [
        Claim(
            name="restrictive",
            says="The smallest budget starves at many frames",
            source="Fig. 3",
            first=point(most, high),
            second=point(most, lowest),
            suite=LONGEST_SUITE,
        ),
        Claim(
            name="less-is-more",
            says="4K is as good as 8K",
            source="Fig. 3, Table 1",
            first=point(most, low),
            second=point(most, high),
            expects="alike",
        ),
        Claim(
            name="coincide",
            says="Budgets coincide at few frames",
            source="Fig. 3",
            first=point(few, lowest),
            second=point(few, highest),
            expects="alike",
        ),
        Claim(
            name="frames",
            says="More frames help where the budget holds them",
            source="Fig. 3",
            first=point(most, highest),
            second=point(few, highest),
            suite=LONGEST_SUITE,
        ),
    ]
