"""Attention masks as pictures: which position may read which."""

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import ListedColormap

from tempo_lib.figures.style import BLUE, PALE, DescribedFigure, new_figure

INCHES = 4.4  # of a panel's height
MOST_MARKED = 40  # positions: beyond it, cells are too small for lines between them


def mask_grids(
    masks: Mapping[str, np.ndarray], labels: list[str], title: str, preset: str | None = None
) -> DescribedFigure:
    """A panel per mask (L, L), True where the position of a row reads that of a column.

    ``labels``: what stands at each position; a label that equals the one before it is left out.
    ValueError for no mask, or one of another size.
    """
    if not masks or any(mask.shape != (len(labels),) * 2 for mask in masks.values()):
        raise ValueError(f"need masks of {len(labels)} x {len(labels)}, one position per label")
    places = [i for i, label in enumerate(labels) if i == 0 or label != labels[i - 1]]
    said = []
    with new_figure(INCHES, title, preset) as fig:
        axes = fig.subplots(1, len(masks), sharey=True, squeeze=False)[0]
        for ax, (name, mask) in zip(axes, masks.items(), strict=True):
            edges = {"edgecolor": "white", "linewidth": 0.6} if len(labels) <= MOST_MARKED else {}
            ax.pcolormesh(mask.astype(int), cmap=ListedColormap([PALE, BLUE]), **edges)
            ax.set(title=name, aspect="equal", xlabel="is read")
            ax.set_xticks(np.array(places) + 0.5, [labels[i] for i in places], rotation=90)
            ax.set_yticks(np.array(places) + 0.5, [labels[i] for i in places])
            ax.tick_params(length=0)
            ahead = int(np.triu(mask, 1).sum())
            said.append(f"{name}: {int(mask.sum())} of {mask.size} pairs, {ahead} of them ahead")
        axes[0].set_ylabel("reads")
        axes[0].invert_yaxis()
        fig.alt_text = f"{title}. Blue: may be read. {'; '.join(said)}."
    return fig
