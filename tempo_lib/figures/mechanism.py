"""What a rule does on one video: counts of several policies, scores of several sources, positions.

Shape suffixes: N segments, K memory positions.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import ListedColormap

from tempo_lib.figures.style import (
    BLACK,
    BLUE,
    DASHES,
    GREEN,
    GREY,
    PALE,
    DescribedFigure,
    light_grid,
    new_figure,
    series_styles,
)


def policies_side_by_side(
    scores_N: np.ndarray, counts: Mapping[str, np.ndarray], budget: int, preset: str | None = None
) -> DescribedFigure:
    """Scores on top, then the tokens per segment under each policy of ``counts``."""
    title = f"The same {len(scores_N)} segments, and {budget} tokens at most"
    place_N = np.arange(len(scores_N))
    most = max(int(counts_N.max()) for counts_N in counts.values())
    with new_figure(1.6 + 1.05 * len(counts), title, preset) as fig:
        axes = fig.subplots(1 + len(counts), 1, sharex=True)
        axes[0].bar(place_N, scores_N, color=GREY)
        axes[0].set(ylim=(0, 1.25 * max(scores_N.max(), 1e-9)), ylabel="score")
        for ax, (name, counts_N) in zip(axes[1:], counts.items(), strict=True):
            ax.bar(place_N, counts_N, color=BLUE)
            for place, count in enumerate(counts_N):
                ax.text(place, count, f"{count}", ha="center", va="bottom")
            ax.set(ylim=(0, 1.45 * most), ylabel="tokens")
            ax.set_title(f"{name}: {int(counts_N.sum())} tokens")
        axes[-1].set_xlabel("segment")
        axes[-1].set_xticks(place_N)
        said = [f"{name} {', '.join(map(str, counts_N))}" for name, counts_N in counts.items()]
        fig.alt_text = f"{title}. Tokens per segment: {'; '.join(said)}."
    return fig


def scores_with_roc(
    seconds_N: np.ndarray,
    scores: Mapping[str, np.ndarray],
    relevant_N: np.ndarray,
    preset: str | None = None,
) -> DescribedFigure:
    """A line over time per source of scores, scaled to 0..1, and its ROC curve.

    Green: segments that hold the evidence. ``relevant_N``: True there.
    """
    styles = series_styles(scores)
    title = "One question, every source of scores: where each looks, and how well it ranks"
    said = []
    with new_figure(1.4 + 1.0 * len(scores), title, preset) as fig:
        grid = fig.add_gridspec(len(scores), 2, width_ratios=(2.4, 1))
        roc = fig.add_subplot(grid[:, 1])
        for row, (name, scores_N) in enumerate(scores.items()):
            ax, style = fig.add_subplot(grid[row, 0]), styles[name]
            span = max(float(np.ptp(scores_N)), 1e-12)
            ax.plot(seconds_N, (scores_N - scores_N.min()) / span, color=style.colour)
            for second in seconds_N[relevant_N]:
                ax.axvspan(second - 2, second + 2, color=GREEN, alpha=0.25, linewidth=0)
            ax.set(ylim=(-0.08, 1.15), yticks=(0, 1))
            ax.set_title(f"{name}: scores {scores_N.min():.3f} to {scores_N.max():.3f}")
            found, others = roc_curve(scores_N, relevant_N)
            roc.plot(others, found, color=style.colour, linestyle=style.line, label=name)
            said.append(f"{name}: area {np.trapezoid(found, others):.2f}")
        ax.set_xlabel("time in the video (seconds)")
        roc.plot([0, 1], [0, 1], color=BLACK, linewidth=1, linestyle=DASHES, label="chance")
        roc.set(xlabel="share of other segments", ylabel="share of the evidence")
        roc.set(aspect="equal", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), title="ROC")
        fig.legend_below(roc, 3)
        fig.alt_text = f"{title}. {'; '.join(said)}. Chance is 0.5."
    return fig


def roc_curve(scores_N: np.ndarray, relevant_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares (from 0 to 1) of relevant and of other segments above every threshold."""
    order_N = np.argsort(-scores_N, kind="stable")
    # equal scores pass a threshold together
    last_N = np.r_[np.flatnonzero(np.diff(scores_N[order_N])), len(scores_N) - 1]
    found = np.cumsum(relevant_N[order_N])[last_N] / max(int(relevant_N.sum()), 1)
    others = np.cumsum(~relevant_N[order_N])[last_N] / max(int((~relevant_N).sum()), 1)
    return np.r_[0.0, found], np.r_[0.0, others]


def positions_kept(
    kept: Mapping[str, list[int]], capacity: int, preset: str | None = None
) -> DescribedFigure:
    """One line of K cells per scheme: which memory positions, counted from 0, it keeps."""
    title = f"Which of the {capacity} memory positions each scheme keeps"
    grid = np.zeros((len(kept), capacity), dtype=int)
    for row, places in enumerate(kept.values()):
        grid[row, places] = 1
    with new_figure(1.3 + 0.42 * len(kept), title, preset) as fig:
        ax = fig.subplots()
        ax.pcolormesh(grid, cmap=ListedColormap([PALE, BLUE]), edgecolor="white", linewidth=2)
        ax.set_yticks(np.arange(len(kept)) + 0.5, list(kept))
        ax.set_xticks(np.arange(0, capacity, 2) + 0.5, list(map(str, range(0, capacity, 2))))
        ax.set(xlabel="position of the memory token, counted from 0")
        ax.tick_params(length=0)
        ax.invert_yaxis()
        light_grid(ax, "x")
        ax.grid(False)
        said = [f"{name} {', '.join(map(str, places))}" for name, places in kept.items()]
        fig.alt_text = f"{title}. {'; '.join(said)}."
    return fig
