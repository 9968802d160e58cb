"""What ``tempo app`` and ``tempo serve`` share: the model, the address, the key, the server."""

import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tempo_lib.cli.common import InputError, needs_extra

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tempo_lib.app.engine import Engine

KEY_VARIABLE = "TEMPO_API_KEY"
LOOPBACK = ("127.0.0.1", "localhost", "::1")

HostOption = Annotated[
    str,
    typer.Option(
        metavar="H", help=f"Address to listen on; another than loopback needs {KEY_VARIABLE}."
    ),
]
PortOption = Annotated[int, typer.Option(metavar="N", min=1, max=65535, help="Port to listen on.")]
VideosOption = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Requests of the API may name files below this folder."),
]
ScaleOption = Annotated[
    str | None,
    typer.Option(
        metavar="P",
        help="The scale: tiny (CPU) or 6b (GPU).",
        show_default="the checkpoint's, without one tiny",
    ),
]
WaitingOption = Annotated[
    int, typer.Option(metavar="N", min=1, max=1000, help="Most questions that wait; more: refused.")
]


def api_key(host: str) -> str | None:
    """The key of the environment; InputError for an open address without one."""
    key = os.environ.get(KEY_VARIABLE) or None
    if host not in LOOPBACK and key is None:
        raise InputError(f"--host {host} is open to others: set {KEY_VARIABLE} to a key of yours")
    return key


def make_app(engine: "Engine", host: str, videos: Path | None) -> "FastAPI":
    """The chat endpoint; InputError for a folder that is none."""
    from tempo_lib.app.api import create_app

    if videos is not None and not videos.is_dir():
        raise InputError(f"--videos {videos} is no folder")
    return create_app(engine, videos=videos, api_key=api_key(host), loopback=host in LOOPBACK)


def check_port(host: str, port: int) -> None:
    """InputError where the address cannot be used, before a model is loaded."""
    with needs_extra("serve"):
        import uvicorn  # noqa: F401
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(f"cannot listen on {host}, port {port}: {reason}") from error


def listen(app: "FastAPI", host: str, port: int) -> None:
    """Serve until interrupted or ended; what ``with`` blocks hold is removed in both cases."""
    import uvicorn

    # uvicorn raises the signal again when it has closed: by default that ends the process at once
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=5)
