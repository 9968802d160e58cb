"""``tempo ask --plot``: pictures of allocations, whose names are checked before the work."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tempo_lib.cli.answering import Case
from tempo_lib.cli.common import InputError, Loaded, check_parent, needs_extra

if TYPE_CHECKING:
    from tempo_lib.model.tempo import Answer
    from tempo_lib.video.clip import Video

PLOT_SUFFIXES = (".png", ".pdf", ".svg")


def check_plot(paths: list[Path], has_video: bool) -> None:
    """InputError for pictures that could not be drawn or written; cheap, so done first."""
    for path in paths:
        if path.suffix.lower() not in PLOT_SUFFIXES:
            raise InputError(f"--plot {path}: the name must end in {', '.join(PLOT_SUFFIXES)}")
        check_parent("--plot", path)
    if not has_video:
        raise InputError("--plot draws the segments of a video; there is none to draw")
    with needs_extra("notebooks"):
        import matplotlib  # noqa: F401


def plot_path(path: Path, index: int, cases: list[Case]) -> Path:
    """``FILE.png`` of a single question; ``FILE-1.png``, ``FILE-2.png`` of several."""
    return path if len(cases) == 1 else path.with_name(f"{path.stem}-{index + 1}{path.suffix}")


def draw(answer: "Answer", video: "Video", one: Case, loaded: Loaded, target: Path) -> list[str]:
    """Write the allocation picture of one answered case; returns why it could not be."""
    from tempo_lib import figures
    from tempo_lib.provenance import FIGURE_DPI

    config = loaded.model.config
    bounds = {"k_min": config.k_min, "k_max": config.k_max}
    fig = figures.allocation(
        answer, video=video, question=one.question, **bounds, preset=loaded.preset
    )
    try:
        fig.savefig(target, dpi=FIGURE_DPI)
    except OSError as error:
        return [f"cannot write {target}: {error.strerror or error}"]
    print(f"wrote {target}", file=sys.stderr)
    return []
