"""LVBench: 103 videos of an hour; a question may be of several types."""

import re

from tempo_lib.evaluation.real.annotations import (
    Annotated,
    AnnotationError,
    Row,
    letter_of,
    text_of,
    texts_of,
)

NAME = "lvbench"
LAST = "\nAnswer the question with the option letter"
_OPTION = re.compile(r"^\(([A-H])\)", re.MULTILINE)
_CLOCK = re.compile(r"^(?:(\d+):)?(\d+):(\d+)$")


def read_question(row: Row, default_id: str) -> Annotated:
    """One row of any of the three files in use.

    The benchmark's own (``key``, options inside the question), lmms-eval's (``video_path``,
    ``options`` or none) and the cleaned one (``video``, ``candidates``, the answer with its text).
    """
    question = text_of(row, "question")
    if "candidates" in row:
        options = texts_of(row, "candidates")
        answer = text_of(row, "answer")
        if answer not in options:
            raise AnnotationError(f"answer {answer!r} is not among its options")
        letter, prompt = "ABCDEFGH"[options.index(answer)], "\n".join([question, *options])
    elif row.get("options"):
        options = texts_of(row, "options")
        letter = letter_of(row, "answer", options)
        marked = [f"({mark}) {text}" for mark, text in zip("ABCDEFGH", options, strict=False)]
        prompt = "\n".join([question, *marked])
    else:
        options = tuple(_OPTION.findall(question))
        if len(options) < 2:
            raise AnnotationError("the question holds no options such as (A)")
        letter, prompt = letter_of(row, "answer", options), question
    types = texts_or_one(row, "question_type")
    start, stop = _seconds(row.get("time_reference"))
    return Annotated(
        id=str(row.get("uid") or default_id),
        video=text_of(row, next((n for n in ("video", "key", "video_path") if n in row), "video")),
        prompt=prompt + LAST,
        answer=letter,
        options=options,
        group=types[0] if len(types) == 1 else "several types",
        tags={"question_type": types, "type": texts_or_one(row, "type")},
        start=start,
        stop=stop,
    )


def texts_or_one(row: Row, name: str) -> tuple[str, ...]:
    """A field that is a text or a list of texts; ("unknown",) where it is absent."""
    value = row.get(name)
    if isinstance(value, str):
        return (value,)
    return tuple(map(str, value)) if value else ("unknown",)


def _seconds(reference: object) -> tuple[float | None, float | None]:
    """``"01:05-02:00"`` as seconds; None where it says nothing that can be read."""
    ends = str(reference or "").split("-")
    found = [_CLOCK.match(end.strip()) for end in ends]
    if len(found) != 2 or None in found:
        return None, None
    times = [[int(part or 0) for part in match.groups()] for match in found if match]
    start, stop = (3600.0 * h + 60 * m + s for h, m, s in times)
    return (start, stop) if start <= stop else (None, None)
