"""Two hundred requests at once on loopback: no crash, a bounded queue, bounded memory."""

import asyncio
import base64
import json
import time
from datetime import UTC, datetime

import httpx
import numpy as np
import psutil
import pytest
from browsers import serving

from tempo_lib.app.api import create_app
from tempo_lib.app.engine import Engine
from tempo_lib.miniature.world.clips import write_clip
from tempo_lib.provenance import provenance_facts

NUM_REQUESTS, MOST_WAITING = 200, 32
MOST_SECONDS = 120
MOST_GROWTH = 400  # MiB
ALLOWED = {
    "question": {200, 429},
    "upload": {200, 429},
    "junk": {400, 429},
    "outside": {400, 429},
    "oversized": {413, 429},
}


def bodies(clip):
    """Short questions on one video, uploads, junk, oversized ones and paths outside, in turns."""
    film = base64.b64encode(clip.read_bytes()).decode()
    junk = base64.b64encode(b"no film" * 200).decode()
    urls = {
        "question": "clip.mp4",
        "upload": f"data:video/mp4;base64,{film}",
        "junk": f"data:video/mp4;base64,{junk}",
        "outside": "../../etc/passwd",
        "oversized": "data:video/mp4;base64," + "A" * 2**21,
    }
    kinds = (
        "question",
        "question",
        "question",
        "upload",
        "junk",
        "outside",
        "oversized",
        "question",
    )
    for number in range(NUM_REQUESTS):
        kind = kinds[number % len(kinds)]
        link = {"type": "video_url", "video_url": {"url": urls[kind]}}
        text = {"type": "text", "text": f"Which number is shown, {number}?"}
        message = {"role": "user", "content": [link, text]}
        yield kind, json.dumps({"messages": [message], "max_tokens": 2}).encode()


async def send_all(address, requests):
    """(kind, status, seconds, message) of every request, all of them under way at once."""
    headers = {"content-type": "application/json"}
    limits = httpx.Limits(max_connections=NUM_REQUESTS)
    async with httpx.AsyncClient(
        base_url=address, timeout=MOST_SECONDS, limits=limits, trust_env=False
    ) as client:

        async def send(kind, body):
            started = time.perf_counter()
            reply = await client.post("/v1/chat/completions", content=body, headers=headers)
            message = reply.json().get("error", {}).get("message", "")
            return kind, reply.status_code, time.perf_counter() - started, message

        return await asyncio.gather(*(send(*one) for one in requests))


def timed(app, found):
    """The same application; (status, seconds) of what it did with each request go to ``found``."""

    async def measured(scope, receive, send):
        status, started = [0], time.perf_counter()

        async def told(message):
            status[0] = message.get("status", status[0])
            await send(message)

        await app(scope, receive, told)
        found.append((status[0], time.perf_counter() - started))

    return measured


def measured_load(model, folder):
    """Facts of one run, after every reply was judged."""
    clip = folder / "clip.mp4"
    frames_THW3 = np.random.default_rng(0).integers(0, 255, (16, 64, 64, 3), dtype=np.uint8)
    write_clip(clip, frames_THW3)
    engine = Engine(model, max_waiting=MOST_WAITING)
    app = create_app(engine, videos=folder, most_bytes=2**20)
    memory = psutil.Process().memory_info
    before = memory().rss
    own = []
    with serving(timed(app, own)) as address:
        found = asyncio.run(send_all(address, list(bodies(clip))))
    growth = memory().rss - before
    engine.close()
    assert len(found) == NUM_REQUESTS
    for kind, status, _, message in found:
        assert status in ALLOWED[kind], (kind, status, message)
        assert "\n" not in message and "passwd" not in message
    answered = [seconds for _, status, seconds, _ in found if status == 200]
    refused = [seconds for status, seconds in own if status == 429]  # the queue's own work
    return {
        "requests": NUM_REQUESTS,
        "most_waiting": MOST_WAITING,
        "answered": len(answered),
        "refused_as_busy": len(refused),
        "refused_for_what_they_hold": NUM_REQUESTS - len(answered) - len(refused),
        "refusal_p95_milliseconds_in_the_server": round(1000 * np.quantile(refused, 0.95), 2),
        "answer_p95_seconds_at_the_client": round(float(np.quantile(answered, 0.95)), 2),
        "memory_growth_mebibytes": round(growth / 2**20),
    }


@pytest.mark.timeout(MOST_SECONDS + 60)
def test_two_hundred_requests_at_once_are_answered_or_refused(tiny_tempo, tmp_path):
    facts = measured_load(tiny_tempo, tmp_path)
    assert facts["answered"] >= MOST_WAITING // 2 and facts["refused_as_busy"]
    assert facts["refused_for_what_they_hold"] > 0  # judged, not just put off
    assert facts["memory_growth_mebibytes"] < MOST_GROWTH


@pytest.mark.slow
def test_the_report_of_the_load(tiny_tempo, tmp_path, repo_root):
    """Writes it: ``pytest -m slow tests/test_app_load.py``."""
    started = datetime.now(UTC)
    facts = {"model": "the tiny preset's shape, untrained", **measured_load(tiny_tempo, tmp_path)}
    facts |= provenance_facts(started, "tempo_lib.app.api")
    out = repo_root / "data_manifests" / "measurements" / "app_load.json"
    out.write_text(json.dumps(facts, indent=1) + "\n")
