"""Video-MME: 900 videos in three buckets of length, three questions each."""

from tempo_lib.evaluation.real.annotations import Annotated, Row, letter_of, text_of, texts_of

NAME = "videomme"
# lmms-eval's text; it names subtitles although none are given. The empty line before the last
# sentence is its too.
INSTRUCTION = (
    "Select the best answer to the following multiple-choice question based on the video and the "
    "subtitles. Respond with only the letter (A, B, C, or D) of the correct option."
)
LAST = "\nAnswer with the option's letter from the given choices directly."
TAGS = ("domain", "sub_category", "task_type")


def read_question(row: Row, default_id: str) -> Annotated:
    """One row; options come with their letters ("A. Apples.")."""
    options = texts_of(row, "options")
    prompt = "\n".join([INSTRUCTION, text_of(row, "question"), *options, LAST])
    return Annotated(
        id=str(row.get("question_id") or default_id),
        video=text_of(row, "videoID"),
        prompt=prompt,
        answer=letter_of(row, "answer", options),
        options=options,
        group=text_of(row, "duration"),
        tags={name: (text_of(row, name),) for name in TAGS},
    )
