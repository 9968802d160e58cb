"""What kept memories still tell of one question, without a browser."""

from scipy.special import softmax

from tempo_lib.analysis.kept_memories import Effects
from tempo_lib.figures.style import (
    DescribedFigure,
    light_grid,
    new_figure,
    printable,
    series_styles,
)

MOST_CANDIDATES = 8  # the first ones: more would share colours
LONGEST = 60  # letters of a candidate in the legend


def candidate_shares(effects: Effects) -> DescribedFigure:
    """A bar per set of kept memories: how its candidates share their likelihood, and the answer."""
    rows = effects.effects
    share_EC = softmax([row.log_likelihoods for row in rows], axis=1)
    chosen = effects.candidates[:MOST_CANDIDATES]
    labels = [printable(text)[:LONGEST] for text in chosen]
    styles = series_styles(range(len(chosen)), labels)
    title = printable(effects.question.split("\n")[0])[:LONGEST]
    with new_figure(1.6 + 0.34 * len(rows), title, effects.preset) as fig:
        ax = fig.subplots()
        names = [f"{row.name}: {printable(row.text)[:LONGEST]}" for row in rows]
        left_E = share_EC[:, 0] * 0
        for place, style in styles.items():
            share_E = share_EC[:, place]
            ax.barh(names, share_E, left=left_E, color=style.colour, label=style.label)
            left_E = left_E + share_E
        ax.invert_yaxis()
        ax.set(xlabel="share of the candidates' likelihood", xlim=(0, 1))
        light_grid(ax, "x")
        fig.legend_below(ax, num_columns=2)
        named = [f"{row.name}, {row.text!r}" for row in rows]
        fig.alt_text = f"Answers to {effects.question!r} from kept memories: {'; '.join(named)}."
    return fig
