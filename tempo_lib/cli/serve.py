"""``tempo serve``: the chat endpoint of the OpenAI protocol."""

from tempo_lib.cli.common import BaseCompressorOption, CheckpointOption, SetOption, load_model
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


def serve(
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    videos: VideosOption = None,
    preset: ScaleOption = None,
    checkpoint: CheckpointOption = None,
    base_compressor: BaseCompressorOption = None,
    overrides: SetOption = None,
    max_waiting: WaitingOption = 16,
) -> None:
    """Answer the OpenAI chat protocol: POST /v1/chat/completions.

    A message holds a text and a video_url: a data URL, or a path below --videos. The field tempo
    of a request takes budget, k_min, max_frames, adaptive; of a response it holds scores and
    token counts.

    Examples:

    * tempo serve --videos films
    * TEMPO_API_KEY=secret tempo serve --host 0.0.0.0 --preset 6b
    """
    check_port(host, port)
    api_key(host)
    from tempo_lib.app.engine import Engine

    engine = Engine(
        load_model(preset, checkpoint, base_compressor, overrides or []).model, max_waiting
    )
    app = make_app(engine, host, videos)
    print(f"listening on http://{host}:{port}/v1", flush=True)
    listen(app, host, port)
