"""Tables A and B: the paper's training recipe, with that of a preset below each of its cells."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from tempo_lib.config import Preset, StageNumbers
from tempo_lib.evaluation.published import load_published
from tempo_lib.figures.style import (
    BLACK,
    PALE,
    TITLE_POINTS,
    WIDTH_INCHES,
    DescribedFigure,
    new_figure,
)
from tempo_lib.training.stages import OPTIMIZER, SCHEDULE, STAGE_NAMES, STAGES

if TYPE_CHECKING:
    from tempo_lib.training.data import Source

NONE = "-"
UNSTATED = ""  # the paper or the preset says nothing
SAME = "#DCEBF5"  # behind a cell in which both agree
LABEL_INCHES, ROW_INCHES, HEAD_INCHES = 2.5, 0.52, 0.36
LABEL_CHARACTERS = 24


def recipe_table(preset: Preset) -> pd.DataFrame:
    """Table A cell by cell: columns section, row, stage, published, own (text, maybe empty).

    ``own`` is what the preset's stage says in the paper's form; empty where it says nothing,
    and everywhere for a preset without training.
    """
    table = load_published("tablea").rename(columns={"hyper_parameter": "row"})
    stages = {} if preset.training is None else preset.training.stages
    table["own"] = [
        OWN_CELLS[row](preset, stages[stage]) if row in OWN_CELLS and stage in stages else UNSTATED
        for row, stage in zip(table["row"], table["stage"], strict=True)
    ]
    return table.rename(columns={"value": "published"})[_COLUMNS]


def mixture_table(preset: Preset, sources: Mapping[str, "Sequence[Source]"]) -> pd.DataFrame:
    """Table B cell by cell, as ``recipe_table``; ``sources``: a manifest's stages.

    ``own`` counts images, clips and transcripts, each of which several samples ask about.
    ValueError for a source that the preset's corpora do not hold.
    """
    published = load_published("tableb").set_index(["modality", "stage"])["printed"]
    counts = {stage: _stories(preset, stage, sources.get(f"stage{stage}", ())) for stage in STAGES}
    rows = []
    for modality in published.index.get_level_values("modality").unique():
        for stage in STAGES:
            number = counts[stage][modality]
            own = f"{number:,}" if number else UNSTATED
            cell = published.get((modality, stage), UNSTATED)
            rows.append(("Samples", modality, stage, cell, own))
    table = pd.DataFrame(rows, columns=_COLUMNS)
    order = ["Image", "Video", "Text", "Mixed", "Total"]
    return table.sort_values("row", key=lambda row: row.map(order.index), kind="stable")


def recipe_picture(table: pd.DataFrame, *, title: str, own: str) -> DescribedFigure:
    """A table as a picture: each cell the published text in grey, below it the preset's.

    ``table``: columns section, row, stage, published, own; ``own`` names the lower line. Cells
    in which both agree are shaded. ValueError when a cell stands twice.
    """
    if table.duplicated(["section", "row", "stage"]).any():
        raise ValueError("a cell of the recipe stands twice; keep one row per (row, stage)")
    sections = table.groupby("section", sort=False)
    heights = [HEAD_INCHES + ROW_INCHES * rows["row"].nunique() for _, rows in sections]
    body = sum(heights) + 0.62
    with new_figure(body + 1.0) as fig:
        ax = fig.subplots()
        ax.set(xlim=(0, WIDTH_INCHES), ylim=(body, 0))
        ax.axis("off")
        _head(ax)
        top = 0.62
        for (section, rows), height in zip(sections, heights, strict=True):
            _section(ax, str(section), rows, top)
            top += height
        fig.suptitle(title, fontsize=TITLE_POINTS, fontweight="bold", x=0.01, ha="left")
        key = f"Grey, above: published for Tempo-6B. Black, below: {own}. Shaded: the same."
        fig.supxlabel(key, fontsize=12, color=BLACK, x=0.01, ha="left")
        fig.alt_text = _describe(table, title, own)
    return fig


def _stories(preset: Preset, stage: int, sources: "Sequence[Source]") -> Counter[str]:
    corpora = {} if preset.miniature is None else preset.miniature.corpora
    specs = corpora[f"stage{stage}"].sources if f"stage{stage}" in corpora else ()
    known = {f"stage{stage}-{spec.name}": spec.num_stories for spec in specs}
    counts: Counter[str] = Counter()
    for source in sources:
        if source.name not in known:
            raise ValueError(
                f"the preset {preset.name} does not say how large {source.name} is; "
                f"its sources of stage {stage}: {', '.join(known) or 'none'}"
            )
        counts[source.modality.capitalize()] += known[source.name]
        counts["Total"] += known[source.name]
    return counts


def _trains(part: str) -> Callable[[Preset, StageNumbers], str]:
    return lambda _, stage: "Unfrozen" if part in stage.trainable else "Frozen"


def _rate(value: float | None) -> str:
    """0.003 as 3e-3, the form of the published file."""
    if value is None:
        return NONE
    digits, exponent = f"{value:.2e}".split("e")
    return f"{float(digits):g}e{int(exponent)}"


def _of_videos(text: str, stage: StageNumbers) -> str:
    return NONE if stage.max_frames == 1 else text


def _frames(stage: StageNumbers) -> str:
    return "1 (Image only)" if stage.max_frames == 1 else str(stage.max_frames)


_COLUMNS = ["section", "row", "stage", "published", "own"]
OWN_CELLS: dict[str, Callable[[Preset, StageNumbers], str]] = {
    "Local Compressor (SVLM)": _trains("compressor"),
    "Memory Tokens": _trains("memory_tokens"),
    "Linear Projector": _trains("projector"),
    "Global Decoder (LLM)": _trains("decoder"),
    "LR (LLM & Projector & Memory Token)": lambda _, s: _rate(s.learning_rate),
    "LR (SVLM)": lambda _, s: _rate(s.compressor_learning_rate),
    "Learning Rate Schedule": lambda *_: SCHEDULE.capitalize(),
    "Warmup Ratio": lambda _, s: f"{100 * s.warmup_ratio:g}%",
    "Global Batch Size": lambda _, s: f"at most {s.batch_samples}",
    "Epochs": lambda _, s: f"{s.epochs:g}",
    "Spatial Resolution (Image)": lambda p, _: f"Max {p.pixels.image_max_pixels} pixels",
    "Spatial Resolution (Video)": lambda p, s: _of_videos(f"Max {p.pixels.max_pixels} pixels", s),
    "Sampling Rate (FPS)": lambda p, s: _of_videos(f"{p.video.fps:g}", s),
    "Temporal Window Size": lambda _, s: _of_videos(f"{s.window} frames", s),
    "Max Sampled Frames (fmax)": lambda _, s: _frames(s),
    "Segment Capacity (kmax)": lambda p, _: str(p.model.num_memory_tokens),
    "LLM Max Context Length": lambda _, s: str(s.max_context),
    "Optimizer": lambda *_: OPTIMIZER,
    "Weight Decay": lambda _, s: f"{s.weight_decay:.1f}",
}


def _column(stage: int) -> tuple[float, float]:
    """Left edge and width of a stage's column, in inches."""
    width = (WIDTH_INCHES - LABEL_INCHES) / len(STAGES)
    return LABEL_INCHES + stage * width, width


def _head(ax: Axes) -> None:
    for stage, name in zip(STAGES, STAGE_NAMES, strict=True):
        left, width = _column(stage)
        text = f"Stage {stage}\n{name[0].upper()}{name[1:]}"
        ax.text(left + width / 2, 0.28, text, ha="center", va="center", fontweight="bold")


def _section(ax: Axes, section: str, cells: pd.DataFrame, top: float) -> None:
    middle = top + HEAD_INCHES / 2
    ax.text(0.05, middle, section, va="center", fontweight="bold", color=BLACK)
    ax.plot([0, WIDTH_INCHES], [top, top], color=BLACK, linewidth=1)
    for number, (row, stages) in enumerate(cells.groupby("row", sort=False)):
        y = top + HEAD_INCHES + number * ROW_INCHES
        ax.plot([0, WIDTH_INCHES], [y, y], color=PALE, linewidth=0.8)
        label = "\n".join(wrap(str(row), LABEL_CHARACTERS))
        ax.text(0.05, y + ROW_INCHES / 2, label, va="center", linespacing=1.05)
        for cell in stages.itertuples():
            _cell(ax, int(cell.stage), y, str(cell.published), str(cell.own))


def _cell(ax: Axes, stage: int, y: float, published: str, own: str) -> None:
    left, width = _column(stage)
    if published == own and own:
        box = Rectangle((left + 0.04, y + 0.03), width - 0.08, ROW_INCHES - 0.06, color=SAME)
        ax.add_patch(box)
    middle = left + width / 2
    ax.text(middle, y + 0.28 * ROW_INCHES, published, ha="center", va="center", color="#666666")
    ax.text(middle, y + 0.73 * ROW_INCHES, own, ha="center", va="center", color=BLACK)


def _describe(table: pd.DataFrame, title: str, own: str) -> str:
    stated = table[(table["published"] != UNSTATED) & (table["own"] != UNSTATED)]
    same = int((stated["published"] == stated["own"]).sum())
    return (
        f"{title}. A table with a column for each of four stages; each cell holds what is "
        f"published for Tempo-6B and below it {own}. Of {len(stated)} cells that both state, "
        f"{same} are the same."
    )
