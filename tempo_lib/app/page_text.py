"""The words of the web page: answers with links to the seconds behind them. All text is escaped."""

import html
import re
from collections.abc import Sequence

from tempo_lib.app.ask_request import Result

BATCH_COLUMNS = ("video", "question", "prediction", "tokens")
NUM_CITED = 5  # segments with most of the tokens
SECOND = re.compile(r"(\d+(?:\.\d+)?) (?:seconds|s)\b")


def answer_html(result: Result) -> str:
    """Question, answers, the segments that they rest on, and what it took; all text escaped."""
    question = html.escape(result.request.question)
    parts = [f"<p><strong>{question}</strong></p>"]
    for answer in result.answers:
        used = f"{answer.tokens_used} of {answer.budget} tokens"
        text = linked(answer.text) or "(nothing)"
        parts.append(f"<p>{text} <small>({used})</small></p>")
    first = result.answers[0]
    if len(first.scores) and result.video is not None and not result.video.is_image:
        order = first.scores.argsort(descending=True, stable=True)[:NUM_CITED].tolist()
        most = int(first.counts.max())
        peaks = [i for i in order if int(first.counts[i]) > most / 2] or order[:1]
        links = ", ".join(
            _link(second, f"{second:.1f} s") for second in first.seconds[sorted(peaks)].tolist()
        )
        parts.append(f"<p>Most tokens from: {links}</p>")
    took = ", ".join(f"{name} {value:.2f} s" for name, value in result.seconds.items())
    saved = result.saved_seconds
    if saved is not None:
        took += (
            f"; a follow-up: compressing took {abs(saved):.2f} s {'less' if saved >= 0 else 'more'}"
        )
    parts.append(f"<p><small>{took}</small></p>")
    return f'<div class="te-answer">{"".join(parts)}</div>'


def table_html(rows: Sequence[Sequence[object]]) -> str:
    """A batch as far as it is: video, question, prediction and tokens; all text escaped."""
    heads = "".join(f'<th scope="col">{head}</th>' for head in BATCH_COLUMNS)
    cells = [[f"<td>{html.escape(str(cell))}</td>" for cell in row] for row in rows]
    lines = "".join(f"<tr>{''.join(row)}</tr>" for row in cells)
    return f'<div class="te-answer"><table><tr>{heads}</tr>{lines}</table></div>' if rows else ""


def linked(text: str) -> str:
    """Escaped text, with the seconds that it names as links."""
    return SECOND.sub(lambda found: _link(float(found[1]), found[0]), html.escape(text))


def _link(second: float, words: str) -> str:
    return f'<a href="#explorer" data-second="{second}">{words}</a>'


def progress_line(stage: str, share: float | None, seconds_left: float | None) -> str:
    """Such as: compressing: 40 %, about 3 s left."""
    parts = [f"{share:.0%}"] if share is not None else []
    if seconds_left is not None:
        parts.append(f"about {seconds_left:.0f} s left")
    return f"{stage}: {', '.join(parts)}" if parts else f"{stage} ..."


def sentence(error: BaseException) -> str:
    """What went wrong, beginning with a capital letter."""
    text = " ".join(str(error).split())
    return f"{text[:1].upper()}{text[1:]}."
