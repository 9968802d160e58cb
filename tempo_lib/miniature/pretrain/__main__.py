"""One part of the miniature, for the workflow, which runs them side by side.

    python -m tempo_lib.miniature.pretrain tiny base_decoder     a base model or the reranker
    python -m tempo_lib.miniature.pretrain tiny stage2           what stage 2 learns from

A finished part is kept. The stages themselves are trained by ``tempo train``.
"""

import sys

import typer

from tempo_lib.checkpoints.folders import BASE_MODELS, RERANKER, stage_names
from tempo_lib.config import load_preset
from tempo_lib.miniature.pretrain.build import Miniature, make_base, make_corpus
from tempo_lib.provenance import project_root
from tempo_lib.training.progress import ResumeError


def main(preset_name: str, part: str, seed: int = 0) -> None:
    """Make a base model, or the corpus of a stage, in ``runs/<preset>/train``."""
    preset = load_preset(preset_name)
    miniature = Miniature(preset, project_root() / "runs" / preset.name / "train", seed)
    if part in (*BASE_MODELS, RERANKER):
        try:
            make_base(miniature, part)
        except ResumeError as error:
            print(f"error: {error}", file=sys.stderr)
            raise typer.Exit(2) from error
    elif part in stage_names(preset):
        make_corpus(miniature, int(part.removeprefix("stage")), workers=1)
    else:
        known = ", ".join((*BASE_MODELS, RERANKER, *stage_names(preset)))
        raise typer.BadParameter(f"no part {part!r} of {preset_name}; known: {known}")


if __name__ == "__main__":
    typer.run(main)
