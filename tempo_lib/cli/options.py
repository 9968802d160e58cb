"""Options of the commands, so that a signature in ``tempo_lib.cli.app`` reads like its help."""

from pathlib import Path
from typing import Annotated

import typer

OF_CHECKPOINT = "the checkpoint's"
OF_PRESET = "the preset's"

VideoArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="VIDEO",
        help="A video, an image or a folder of frames; the word none: ask without a video.",
        show_default=False,
    ),
]
QuestionsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="QUESTION", help="One question or several.", show_default=False),
]
CasesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.json",
        help="Questions of many videos: a list of {video_path, query}, paths as seen from FILE.",
        show_default=False,
    ),
]
BudgetOption = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=0, help="Most memory tokens a question.", show_default=OF_CHECKPOINT
    ),
]
KMinOption = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=0, help="Fewest tokens a segment keeps.", show_default=OF_CHECKPOINT
    ),
]
AdaptiveOption = Annotated[
    bool,
    typer.Option(
        "--adaptive/--no-adaptive",
        help="Share tokens out by score; off: every segment keeps all, whatever the budget.",
    ),
]
PresetOption = Annotated[str, typer.Option(metavar="P", help="The scale: tiny (CPU) or 6b (GPU).")]
AnyPresetOption = Annotated[
    str | None,
    typer.Option(
        metavar="P",
        help="The scale: tiny (CPU) or 6b (GPU).",
        show_default="the checkpoint's, without one tiny",
    ),
]
CheckpointOption = Annotated[
    str | None,
    typer.Option(metavar="PATH", help="Checkpoint folder or hub id.", show_default=OF_PRESET),
]
BaseCompressorOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="Base model with the Yes/No rows, for a checkpoint that does not hold them.",
        show_default="none",
    ),
]
MaxNewTokensOption = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Longest answer in tokens.", show_default=OF_CHECKPOINT),
]
FpsOption = Annotated[
    float | None,
    typer.Option(metavar="F", help="Frames to take a second.", show_default=OF_CHECKPOINT),
]
MaxFramesOption = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, help="Most frames to take of a video.", show_default=OF_CHECKPOINT
    ),
]
ReaderOption = Annotated[str, typer.Option(metavar="R", help="auto, pyav or decord.")]
TimestampsOption = Annotated[
    str,
    typer.Option(metavar="T", help="auto, release (place / fps) or pts (the file's own times)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document, nothing else.")]
PlotOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Draw the allocation as .png, .pdf or .svg; several questions: FILE-1, FILE-2.",
        show_default="none",
    ),
]
SeedOption = Annotated[int, typer.Option(metavar="N", min=0, help="Seed of every random draw.")]
StageOption = Annotated[
    int | None,
    typer.Option(metavar="N", min=0, max=3, help="One stage, 0 to 3.", show_default="all"),
]
WorkOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where base models, corpora and stages are written.",
        show_default="runs/<preset>/train",
    ),
]
FromScratchOption = Annotated[
    bool, typer.Option("--from-scratch", help="Use nothing shipped: make base models and data too.")
]
ResumeOption = Annotated[
    bool,
    typer.Option("--resume/--fresh", help="Keep what is finished, or delete it and begin again."),
]
ManifestOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE.yaml", help="Your own mixture of data.", show_default=OF_PRESET),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        metavar="ROOT", help="Folder that your manifest's paths start from.", show_default="none"
    ),
]
StartOption = Annotated[
    str | None,
    typer.Option(
        metavar="CHECKPOINT", help="Where the stage starts.", show_default="the stage before"
    ),
]
BasesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Take the base models of this work folder instead of training them.",
        show_default="none",
    ),
]
PaperWindowsOption = Annotated[
    bool,
    typer.Option("--paper-windows", help="Train on 4-frame segments only, as the paper does."),
]
PaperPromptOption = Annotated[
    bool,
    typer.Option("--paper-prompt", help="Train under the standard prompt only, as the paper does."),
]
LongerOption = Annotated[
    float,
    typer.Option(metavar="X", help="Times the stories, and steps, of stages 2 and 3."),
]
OutOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where the stage on your data goes.", show_default="none"),
]
SuiteOption = Annotated[str, typer.Option(metavar="S", help="Which benchmark.")]
VariantOption = Annotated[
    list[str],
    typer.Option(
        "--variant",
        metavar="V",
        help="A row of Table 2, its token-matched twin V-matched, a point of Figure 3 such as "
        "ata-f256-b384, a policy of our own, or all; may be repeated.",
    ),
]
WorldSeedOption = Annotated[
    int, typer.Option(metavar="N", min=0, help="Seed of the suite's fresh videos and questions.")
]
NumQuestionsOption = Annotated[
    int,
    typer.Option(metavar="N", min=0, help="Most questions, by whole videos; 0: the whole suite."),
]
OutJsonOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE.json", help="Write the summary there.", show_default="none"),
]
OnlyOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="One result, or a notebook's name or number.", show_default="all"
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")]
CoresOption = Annotated[
    int | None,
    typer.Option(metavar="N", help="Jobs at a time, one core each.", show_default="all cores"),
]
ExecutorOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Snakemake's executor, as slurm.", show_default="here"),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE.html", help="All pictures on one page.", show_default="none"),
]
PublishOption = Annotated[
    bool,
    typer.Option("--publish", help="Put results of a part of the questions into figures/ too."),
]
SourceArgument = Annotated[
    str, typer.Argument(metavar="IN", help="Checkpoint folder or hub id.", show_default=False)
]
TargetArgument = Annotated[
    str, typer.Argument(metavar="OUT", help="A new or empty folder.", show_default=False)
]
MaxShardSizeOption = Annotated[
    str,
    typer.Option(metavar="SIZE", help="Largest weights file, as 500MB or 4GB; also its memory."),
]
ConvertBaseOption = Annotated[
    str | None,
    typer.Option(
        "--base-compressor",
        metavar="PATH",
        help="Base model, folder or hub id: where the rows Yes/No are read; for ours -> released "
        "the name that config.json gets.",
        show_default="what config.json names",
    ),
]
ParityOption = Annotated[
    bool,
    typer.Option("--parity", help="Compare this machine's numbers with the recorded release."),
]
ParityDataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="The recorded data of the release.",
        show_default="tests/data/golden of the checkout",
    ),
]
ParityJsonOption = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Write the parity report there, as JSON."),
]
ParityMarkdownOption = Annotated[
    Path | None,
    typer.Option("--markdown", metavar="FILE", help="Write it there as a page (PARITY.md)."),
]
PluginOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE.py",
        help="A file or module that registers a policy, scorer or benchmark; may be repeated.",
        show_default="those of TEMPO_PLUGINS",
    ),
]
