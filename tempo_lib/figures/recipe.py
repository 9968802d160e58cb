"""Tables A and B: the paper's training recipe, with that of a preset below each of its cells."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from tempo_lib.config import Preset, StageNumbers
from tempo_lib.evaluation.published import load_published

if TYPE_CHECKING:
    from tempo_lib.training.data import Source

NONE = "-"
UNSTATED = ""  # the paper or the preset says nothing
QWEN_IMAGE_MAX_PIXELS = 16777216  # size.longest_edge of Qwen3-VL's image processor
SAME = "#DCEBF5"  # behind a cell in which both agree
# Of the paper's stages; a stage that only a preset has goes by its number.
STAGE_TITLES = {0: "Alignment", 1: "Pre-training", 2: "Broad SFT", 3: "Long-context SFT"}


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

    ``own`` counts images, clips and transcripts, each of which several samples ask about; of
    published files the counts that are known. ValueError for a source of unknown size otherwise.
    """
    published = load_published("tableb").set_index(["modality", "stage"])["printed"]
    stages = published.index.get_level_values("stage").unique()
    counts = {stage: _stories(preset, stage, sources.get(f"stage{stage}", ())) for stage in stages}
    rows = []
    for modality in published.index.get_level_values("modality").unique():
        for stage in stages:
            number = counts[stage][modality]
            own = f"{number:,}" if number else UNSTATED
            cell = published.get((modality, stage), UNSTATED)
            rows.append(("Samples", modality, stage, cell, own))
    table = pd.DataFrame(rows, columns=_COLUMNS)
    order = ["Image", "Video", "Text", "Mixed", "Total"]
    return table.sort_values("row", key=lambda row: row.map(order.index), kind="stable")


def recipe_html(table: pd.DataFrame, *, title: str, own: str) -> Styler:
    """Table A or B to read: in each cell what is published, and below it the preset's own.

    ``table``: columns section, row, stage, published, own; cells that agree are shaded. ValueError
    where a cell stands twice.
    """
    if table.duplicated(["row", "stage"]).any():
        raise ValueError("a cell of the table stands twice")
    keys = table.assign(section=table["section"] if "section" in table.columns else "Samples")
    wide = keys.set_index(["section", "row", "stage"])[["published", "own"]].unstack("stage")
    order = keys[["section", "row"]].drop_duplicates()
    wide = wide.reindex(pd.MultiIndex.from_frame(order)).fillna(UNSTATED)
    published, mine = wide["published"], wide["own"]
    shown = published + "\n" + mine
    shown.columns = [_stage_words(stage) for stage in shown.columns]
    shown.index.names = ["", ""]
    agree = ((published == mine) & (mine != UNSTATED)).to_numpy()
    shades = pd.DataFrame(
        np.where(agree, f"background-color: {SAME}", ""), shown.index, shown.columns
    )
    stated = int(((published != UNSTATED) & (mine != UNSTATED)).to_numpy().sum())
    caption = (
        f"{title}. Above: published for Tempo-6B; below: {own}. Shaded: the same, "
        f"{int(agree.sum())} of {stated} cells that both state."
    )
    rules: Any = [
        {"selector": "td", "props": "white-space: pre-line; text-align: center"},
        {"selector": "th", "props": "white-space: pre-line; text-align: left"},
        {"selector": "caption", "props": "font-weight: bold; text-align: left"},
    ]
    styler = Styler(shown, uuid="recipe", cell_ids=False, caption=caption)
    return styler.apply(lambda _: shades, axis=None).set_table_styles(rules)


def _stories(preset: Preset, stage: int, sources: "Sequence[Source]") -> Counter[str]:
    corpora = {} if preset.miniature is None else preset.miniature.corpora
    specs = corpora[f"stage{stage}"].sources if f"stage{stage}" in corpora else ()
    scales = {} if preset.miniature is None else preset.miniature.corpus_scale
    scale = scales.get(f"stage{stage}", 1.0)
    known = {f"stage{stage}-{spec.name}": round(scale * spec.num_stories) for spec in specs}
    counts: Counter[str] = Counter()
    for source in sources:
        if source.count is not None:
            known[source.name] = round(source.share * source.count)
        elif source.hub is not None:
            continue  # published without a count
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


def _batch(stage: StageNumbers) -> str:
    """Samples of a step: fixed, or bounded where its segments count."""
    return str(stage.global_batch or f"at most {stage.batch_samples}")


def _image_resolution(preset: Preset) -> str:
    """Native where no bound is tighter than that of Qwen's own image processor."""
    limit = preset.pixels.image_max_pixels
    return "Native" if limit >= QWEN_IMAGE_MAX_PIXELS else f"Max {limit} pixels"


def _video_resolution(preset: Preset) -> str:
    """The tighter of the two bounds: the long edge's, or the pixels'."""
    pixels = preset.pixels
    if pixels.max_edge**2 <= pixels.max_pixels:
        return f"Max {pixels.max_edge} (Long edge)"
    return f"Max {pixels.max_pixels} pixels"


_COLUMNS = ["section", "row", "stage", "published", "own"]
OWN_CELLS: dict[str, Callable[[Preset, StageNumbers], str]] = {
    "Local Compressor (SVLM)": _trains("compressor"),
    "Memory Tokens": _trains("memory_tokens"),
    "Linear Projector": _trains("projector"),
    "Global Decoder (LLM)": _trains("decoder"),
    "LR (LLM & Projector & Memory Token)": lambda _, s: _rate(s.learning_rate),
    "LR (SVLM)": lambda _, s: _rate(s.compressor_learning_rate),
    "Learning Rate Schedule": lambda _, s: s.schedule.capitalize(),
    "Warmup Ratio": lambda _, s: f"{100 * s.warmup_ratio:g}%",
    "Global Batch Size": lambda _, s: _batch(s),
    "Epochs": lambda _, s: f"{s.epochs:g}",
    "Spatial Resolution (Image)": lambda p, _: _image_resolution(p),
    "Spatial Resolution (Video)": lambda p, s: _of_videos(_video_resolution(p), s),
    "Sampling Rate (FPS)": lambda p, s: _of_videos(f"{p.video.fps:g}", s),
    "Temporal Window Size": lambda _, s: _of_videos(f"{s.window} frames", s),
    "Max Sampled Frames (fmax)": lambda _, s: _frames(s),
    "Segment Capacity (kmax)": lambda p, _: str(p.model.num_memory_tokens),
    "LLM Max Context Length": lambda _, s: str(s.max_context),
    "Optimizer": lambda _, s: s.optimizer,
    "Weight Decay": lambda _, s: f"{s.weight_decay:.1f}",
    "GPUs (NVIDIA H100)": lambda _, s: str(s.num_gpus or UNSTATED),
}


def _stage_words(stage: int) -> str:
    return f"Stage {stage}\n{STAGE_TITLES.get(stage, '')}"
