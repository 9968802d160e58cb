"""LongVideoBench (validation): 753 videos in four groups of length, three to five options."""

from tempo_lib.evaluation.real.annotations import (
    Annotated,
    AnnotationError,
    Row,
    seconds_of,
    text_of,
    texts_of,
)

NAME = "longvideobench"
LAST = "Answer with the option's letter from the given choices directly.\n"
ABSENT = "N/A"  # an option that lmms-eval's copy does not have


def read_question(row: Row, default_id: str) -> Annotated:
    """One row of ``lvb_val.json`` (``candidates``) or of the Parquet copy (``option0`` ..)."""
    if "candidates" in row:
        options = texts_of(row, "candidates")
    else:
        columns = [row.get(f"option{index}") for index in range(5)]
        options = texts_of({"options": [o for o in columns if o not in (None, ABSENT)]}, "options")
    place = row.get("correct_choice")
    if not isinstance(place, int) or not 0 <= place < len(options):
        raise AnnotationError(f"correct_choice {place!r} is not one of {len(options)} options")
    lines = [f"{mark}. {text}" for mark, text in zip("ABCDE", options, strict=False)]
    return Annotated(
        id=str(row.get("id") or default_id),
        video=text_of(row, "video_path"),
        prompt="\n".join([text_of(row, "question"), *lines, LAST]),
        answer="ABCDE"[place],
        options=options,
        group=str(row.get("duration_group") or "unknown"),
        seconds=seconds_of(row, "duration"),
        tags={
            name: (str(row[name]),)
            for name in ("question_category", "topic_category", "level")
            if row.get(name)
        },
    )
