"""The four benchmarks of the paper, read from their own annotation files and a video folder."""

from tempo_lib.evaluation.benchmark import BENCHMARKS
from tempo_lib.evaluation.real import (  # noqa: F401  native_models registers itself
    longvideobench,
    lvbench,
    mlvu,
    native_models,
    videomme,
)
from tempo_lib.evaluation.real.source import RealSource

for _reader in (longvideobench, mlvu, videomme, lvbench):
    BENCHMARKS.register(_reader.NAME)(
        RealSource(name=_reader.NAME, read_question=_reader.read_question)
    )
