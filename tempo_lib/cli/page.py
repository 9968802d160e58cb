"""``tempo app``: the web page, and the chat endpoint beside it."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tempo_lib.cli.ask import MINIATURE_NOTE
from tempo_lib.cli.common import (
    BaseCompressorOption,
    CheckpointOption,
    InputError,
    SetOption,
    load_model,
)
from tempo_lib.cli.serving import (
    HostOption,
    PortOption,
    ScaleOption,
    VideosOption,
    WaitingOption,
    api_key,
    check_port,
    listen,
    make_app,
)

if TYPE_CHECKING:
    from tempo_lib.app.page import Example

EXAMPLE_SEEDS = (3, 4, 5)
EXAMPLE_FRAMES = 192


def page(
    host: HostOption = "127.0.0.1",
    port: PortOption = 7860,
    videos: VideosOption = None,
    preset: ScaleOption = None,
    checkpoint: CheckpointOption = None,
    base_compressor: BaseCompressorOption = None,
    overrides: SetOption = None,
    max_waiting: WaitingOption = 16,
) -> None:
    """Open the web page: upload a video, ask, follow up, see where the tokens went.

    Nothing leaves this machine: no public link, no telemetry. The chat endpoint of tempo serve
    answers under /v1.

    Examples:

    * tempo app --port 7860 (in the environment that make app has made)
    * TEMPO_API_KEY=secret tempo app --host 0.0.0.0 --preset 6b
    """
    check_port(host, port)
    key = api_key(host)
    try:
        from tempo_lib.app.page import Page
        from tempo_lib.app.page_layout import add_page
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise InputError("the web page has an environment of its own: make app") from error
    from tempo_lib.app.engine import Engine

    loaded = load_model(preset, checkpoint, base_compressor, overrides or [])
    with tempfile.TemporaryDirectory(prefix="tempo-app-") as folder:
        root = Path(folder)
        is_tiny = loaded.preset == "tiny"
        examples = miniature_examples(root / "examples") if is_tiny else []
        engine = Engine(loaded.model, max_waiting)
        note = MINIATURE_NOTE if is_tiny else ""
        app = add_page(
            make_app(engine, host, videos),
            Page(engine, root / "visitors", examples, note),
            api_key=key,
        )
        print(f"open http://{host}:{port}", flush=True)
        listen(app, host, port)


def miniature_examples(folder: Path) -> "list[Example]":
    """Clips of the miniature's world, each with questions that it can answer."""
    import numpy as np

    from tempo_lib.app.page import Example
    from tempo_lib.miniature.world import clips, rendering, scenes
    from tempo_lib.miniature.world.questions import all_questions

    folder.mkdir(parents=True)
    found = []
    for number, seed in enumerate(EXAMPLE_SEEDS, start=1):
        story = scenes.make_story(np.random.default_rng(seed), EXAMPLE_FRAMES)
        path = folder / f"world-{number}.mp4"
        clips.write_clip(path, rendering.render(story, seed))
        known = all_questions(story, 4)
        kinds = dict.fromkeys(question.kind for question in known)
        picked = [next(q.text for q in known if q.kind == kind) for kind in kinds]
        found.append(Example(f"Drawn world {number}", path, tuple(picked[:5])))
    return found
