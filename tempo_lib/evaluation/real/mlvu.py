"""MLVU (dev): seven multiple-choice tasks; the score is the mean over tasks (M-Avg)."""

from tempo_lib.evaluation.real.annotations import (
    Annotated,
    AnnotationError,
    Row,
    letter_of,
    seconds_of,
    text_of,
    texts_of,
)

NAME = "mlvu"
LAST = "\nOnly give the best option.\nBest option: ("
# The benchmark's own files name some tasks otherwise than lmms-eval's copy.
TASKS = {
    "findNeedle": "needle",
    "topic_reasoning": "topic_reasoning",
    "anomaly_reco": "anomaly_reco",
    "plotQA": "plotQA",
    "needle": "needle",
    "ego": "ego",
    "count": "count",
    "order": "order",
}
OTHER_SET = ("needleQA", "sportsQA", "tutorialQA")  # tasks that only the test set has


def read_question(row: Row, default_id: str) -> Annotated:
    """One row of the benchmark's files (``candidates``, the answer as text) or of lmms-eval's copy
    (``video_name``, options inside the question, the answer as a letter)."""
    task = text_of(row, "task_type" if "task_type" in row else "question_type")
    if task in OTHER_SET:
        raise AnnotationError(f"task {task!r} belongs to the test set; this reads the dev set")
    if task not in TASKS:
        raise AnnotationError(f"unknown task {task!r}; known: {', '.join(sorted(TASKS))}")
    question = text_of(row, "question")
    if "candidates" in row:
        options = texts_of(row, "candidates")
        answer = text_of(row, "answer")
        if answer not in options:
            raise AnnotationError(f"answer {answer!r} is not among its options")
        letter = "ABCDEFGH"[options.index(answer)]
        marked = [f"({mark}) {text}" for mark, text in zip("ABCDEFGH", options, strict=False)]
        question = "\n".join([question, *marked])
    else:
        options = ("A", "B", "C", "D")
        letter = letter_of(row, "answer", options)
    return Annotated(
        id=str(row.get("question_id") or default_id),
        video=text_of(row, "video_name" if "video_name" in row else "video"),
        prompt=question + LAST,
        answer=letter,
        options=options,
        group=TASKS[task],
        seconds=seconds_of(row, "duration"),
    )
