"""Pictures of a drawn world: what is in it, one story with its time, and its numbers.

Everything comes as plain tables and frames. Shape suffixes: S scenes, T frames, H height, W width;
h, w as the model reads them.
"""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from tempo_lib.figures.style import (
    BLACK,
    BLUE,
    DASHES,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    SKY,
    VERMILLION,
    DescribedFigure,
    light_grid,
    new_figure,
)
from tempo_lib.figures.timeline import join

COLUMNS = 6
MOST_SCENES = 12  # of a strip: more have no room for their names at 12 pt
MOST_SHARES = 12  # parts of a bar: later answers are drawn as one
CHANCE = 0.25  # of four options
PLACE_COLOURS = {
    "beach": ORANGE,
    "forest": GREEN,
    "desert": VERMILLION,
    "city": GREY,
    "snow": SKY,
    "night": BLUE,
}


def contact_sheet(
    scenes: pd.DataFrame, drawn_SHW3: np.ndarray, read_Shw3: np.ndarray, title: str | None = None
) -> DescribedFigure:
    """Scenes side by side, as drawn and, right below, as the model reads them.

    ``scenes``: columns actor, number (missing in an empty scene) and place; one picture per scene
    in both arrays (uint8), in their order. ValueError where their numbers differ.
    """
    if not len(scenes) == len(drawn_SHW3) == len(read_Shw3):
        raise ValueError(
            f"{len(scenes)} scenes, but {len(drawn_SHW3)} pictures as drawn and {len(read_Shw3)} "
            "as read"
        )
    num_rows = -(-len(scenes) // COLUMNS)
    words = ("as drawn", "as read")
    sizes = [f"{pictures.shape[2]} x {pictures.shape[1]}" for pictures in (drawn_SHW3, read_Shw3)]
    title = title or "The miniature's world, and what the model sees of it"
    with new_figure(0.8 + 3.5 * num_rows, title) as fig:
        grid = np.atleast_2d(fig.subplots(2 * num_rows, COLUMNS))
        for (row, column), ax in np.ndenumerate(grid):
            index, form = row // 2 * COLUMNS + column, row % 2
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
            if column == 0:
                ax.set_ylabel(f"{words[form]}\n{sizes[form]}")
            if index < len(scenes):
                pictures = read_Shw3 if form else drawn_SHW3
                ax.imshow(pictures[index], interpolation="nearest")
                if not form:
                    name = _two_lines(_name(scenes.iloc[index]))
                    ax.set_title(name, fontsize=12, loc="center", pad=4)
        names = "; ".join(_name(scene) for _, scene in scenes.iterrows())
        fig.alt_text = (
            f"{len(scenes)} scenes of the drawn world, each as drawn ({sizes[0]} pixels) and below "
            f"as the model reads it ({sizes[1]}): {names}."
        )
    return fig


def story_strip(
    scenes: pd.DataFrame,
    frames_THW3: np.ndarray,
    window: int,
    fps: float = 2.0,
    title: str | None = None,
) -> DescribedFigure:
    """One story: a frame of every scene above, the scenes on the axis of time below.

    ``scenes``: as for ``contact_sheet``, with num_frames. Dotted lines part the segments of
    ``window`` frames that the compressor reads one by one. ValueError for frames that are not the
    story's, or more than MOST_SCENES scenes.
    """
    num_frames = int(scenes["num_frames"].sum())
    if len(frames_THW3) != num_frames or len(scenes) > MOST_SCENES:
        raise ValueError(
            f"a strip shows up to {MOST_SCENES} scenes with all their frames; got "
            f"{len(scenes)} scenes, {len(frames_THW3)} of {num_frames} frames"
        )
    stops = scenes["num_frames"].cumsum()
    shown = scenes.assign(start=stops - scenes["num_frames"], stop=stops)
    with new_figure(3.9, title or f"One story of {num_frames / fps:.0f} seconds") as fig:
        strip, ax = fig.subplots(2, 1, height_ratios=(2.2, 1))
        strip.set_axis_off()
        strip.set_xlim(0, 1)
        ax.set(xlim=(0, num_frames / fps), ylim=(-0.5, 0.5), yticks=[])
        ax.spines["left"].set_visible(False)
        sentences = []
        for place, (_, scene) in enumerate(shown.iterrows()):
            middle = (scene["start"] + scene["stop"]) // 2
            box = strip.inset_axes(((place + 0.04) / len(shown), 0.12, 0.92 / len(shown), 0.56))
            box.imshow(frames_THW3[middle])
            _scene(box, ax, scene, fps)
            join(box, ax, middle / fps, PALE)
            ends = f"from {scene['start'] / fps:.0f} to {scene['stop'] / fps:.0f} s"
            sentences.append(f"{_name(scene)} {ends}")
        for border in range(window, num_frames, window):
            ax.axvline(border / fps, ymax=0.25, color=BLACK, linewidth=1.2, linestyle=":")
        ax.set_xlabel(f"time (seconds); dotted lines: segments of {window} frames")
        fig.alt_text = f"A story as a strip of frames over time: {'; '.join(sentences)}."
    return fig


def world_numbers(
    lengths: pd.DataFrame, askable: pd.DataFrame, guesses: pd.DataFrame
) -> DescribedFigure:
    """Four panels: lengths of scenes, questions per video, what guessing gives, right answers.

    ``lengths``: frames, seconds, share of scenes; ``askable``: frames, kind, mean questions that
    a video of that length can answer; ``guesses``: one row per kind with floor, letter, coin,
    answers and shares.
    """
    fps = float(lengths["frames"].iloc[0] / lengths["seconds"].iloc[0])
    with new_figure(8.6, "The world in numbers") as fig:
        panels = fig.subplots(2, 2, width_ratios=(1, 1.25))
        _lengths(panels[0, 0], lengths)
        _askable(panels[0, 1], askable, fps)
        _guesses(panels[1, 0], guesses)
        _spread(panels[1, 1], guesses)
        mean = float((lengths["seconds"] * lengths["share"]).sum())
        longest = askable[askable["frames"] == askable["frames"].max()].set_index("kind")["mean"]
        can = ", ".join(f"{kind} {value:.1f}" for kind, value in longest.items())
        floors = ", ".join(f"{kind} {floor:.2f}" for kind, floor in guesses["floor"].items())
        fig.alt_text = (
            f"Four panels. A scene lasts {mean:.1f} s on average. Questions that a video of "
            f"{askable['frames'].max() / fps:.0f} s can answer: {can}. The majority-class "
            f"baseline is right for: {floors}."
        )
    return fig


def suite_mixes(table: pd.DataFrame) -> DescribedFigure:
    """Share of each kind: one panel per suite, the real benchmark's beside the suite's own.

    ``table``: columns suite, benchmark, kind, real, ours (shares in 0..1), real_n, n.
    """
    with new_figure(7.6, "Which questions the suites hold") as fig:
        suites = list(table["suite"].unique())
        panels = np.atleast_1d(fig.subplots(-(-len(suites) // 2), 2, sharex=True, sharey=True)).flat
        for suite, ax in zip(suites, panels, strict=False):
            rows = table[table["suite"] == suite]
            first, y = rows.iloc[0], np.arange(len(rows))
            ax.barh(y - 0.2, rows["real"], 0.38, color=GREY, label="real benchmark, mapped")
            ax.barh(y + 0.2, rows["ours"], 0.38, color=BLUE, label="the suite, as drawn")
            ax.set_yticks(y, list(rows["kind"]))
            ax.set_ylim(len(rows) - 0.5, -0.5)  # shared: inverting it twice would undo it
            after = f"after {first['benchmark']} ({first['real_n']:.0f} types counted)"
            ax.set_title(f"{suite} (n = {first['n']:.0f})\n{after}", fontsize=12)
            light_grid(ax, "x")
        for ax in fig.axes[-2:]:
            ax.set_xlabel("share of questions")
        fig.legend_below(fig.axes[0])
        worst = table.loc[(table["real"] - table["ours"]).abs().idxmax()]
        fig.alt_text = (
            f"Shares of {table['kind'].nunique()} kinds of questions in {len(suites)} suites "
            f"beside the real benchmarks' shares. They differ most for {worst['kind']} in "
            f"{worst['suite']}: {worst['real']:.2f} real, {worst['ours']:.2f} in the suite."
        )
    return fig


def _name(scene: pd.Series) -> str:
    """``red star 7 night``, or ``empty beach`` without an actor."""
    if pd.isna(scene["actor"]):
        return f"empty {scene['place']}"
    return f"{scene['actor']} {scene['number']:.0f} {scene['place']}"


def _two_lines(name: str) -> str:
    """``red star\\n7 beach``, ``empty\\nbeach``: two lines fit over a small picture."""
    words = name.split()
    middle = len(words) // 2
    return f"{' '.join(words[:middle])}\n{' '.join(words[middle:])}"


def _scene(box: Axes, ax: Axes, scene: pd.Series, fps: float) -> None:
    """Name and border of a scene's picture, and its band of the place's colour below."""
    colour = PLACE_COLOURS.get(scene["place"], GREY)
    name = _name(scene).removesuffix(f" {scene['place']}").replace("empty", "(empty)")
    box.set(xticks=[], yticks=[], anchor="S")
    box.set_title(name.replace(" ", "\n"), fontsize=12, loc="center", pad=4)
    box.spines[:].set(visible=True, color=colour, linewidth=2.5)
    left, width = scene["start"] / fps, scene["num_frames"] / fps
    band: dict[str, Any] = {"color": colour, "alpha": 0.45, "edgecolor": "white", "linewidth": 3}
    ax.barh(0.0, width, left=left, height=1.0, **band)
    ax.text(left + width / 2, 0, scene["place"], ha="center", va="center", color=BLACK)


def _lengths(ax: Axes, lengths: pd.DataFrame) -> None:
    pairs = zip(lengths["frames"], lengths["seconds"], strict=True)
    ticks = [f"{frames:.0f}\n({seconds:g} s)" for frames, seconds in pairs]
    sns.barplot(x=ticks, y=lengths["share"].to_numpy(), ax=ax, color=BLUE, width=0.7, saturation=1)
    ax.set(xlabel="frames of a scene", ylabel="share of scenes", title="Length of scenes")
    light_grid(ax)


def _askable(ax: Axes, askable: pd.DataFrame, fps: float) -> None:
    """Numbers on shades: average questions of a kind that a video of a length can answer."""
    kinds = list(askable["kind"].unique())
    grid = askable.pivot(index="kind", columns="frames", values="mean").reindex(kinds)
    grid.columns = pd.Index([f"{frames / fps:.0f}" for frames in grid.columns])
    options: dict[str, Any] = {
        "cmap": "Blues",
        "vmin": 0,
        "vmax": 1.6 * np.nanmax(grid),
        "cbar": False,
    }
    sns.heatmap(
        grid, ax=ax, annot=True, fmt=".1f", annot_kws={"color": BLACK, "size": 12}, **options
    )
    ax.tick_params(length=0, rotation=0)
    ax.set(xlabel="length of the video (seconds)", ylabel="")
    ax.set_title("Questions a video can answer (mean)")


def _guesses(ax: Axes, guesses: pd.DataFrame) -> None:
    label = "majority-class baseline"
    bars: dict[str, Any] = {"color": SKY, "width": 0.6, "saturation": 1, "legend": False}
    sns.barplot(x=guesses["floor"], y=guesses.index, ax=ax, orient="h", label=label, **bars)
    y, coin = np.arange(len(guesses)), guesses["coin"].notna().to_numpy()
    ax.plot(guesses["letter"], y, "D", color=VERMILLION, markersize=7, label="one letter of four")
    named = guesses["coin"][coin]
    ax.plot(named, y[coin], "s", color=ORANGE, markersize=8, label="one of the two named")
    ax.axvline(CHANCE, color=BLACK, linewidth=1, linestyle=DASHES, label="chance, four options")
    ax.set(xlim=(0, 1), xlabel="share right by guessing", ylabel="", title="What guessing gives")
    ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.17), ncols=1)
    light_grid(ax, "x")


def _spread(ax: Axes, guesses: pd.DataFrame) -> None:
    """One bar per kind, cut by the shares of its right answers; the most frequent stands left."""
    for row, shares in enumerate(guesses["shares"]):
        parts = np.array(shares[:MOST_SHARES])
        left = np.concatenate([[0.0], parts.cumsum()])
        shades = [SKY if number % 2 else BLUE for number in range(len(parts))]
        edge: dict[str, Any] = {"edgecolor": "white", "linewidth": 0.5}
        ax.barh([row] * len(parts), parts, 0.6, left=left[:-1], color=shades, **edge)
        if left[-1] < 1 - 1e-9:
            ax.barh(row, 1 - left[-1], 0.6, left=left[-1], color="#EEEEEE")
    labels = [f"{kind} ({number})" for kind, number in guesses["answers"].items()]
    ax.set_yticks(np.arange(len(guesses)), labels)
    ax.invert_yaxis()
    ax.set(xlim=(0, 1), xlabel=f"share of questions; pale: after the {MOST_SHARES} most frequent")
    ax.set_title("How right answers are spread (different ones)")
    ax.tick_params(length=0)
