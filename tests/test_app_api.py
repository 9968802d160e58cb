"""The chat endpoint as the field's clients speak it, and what it refuses."""

import base64
import json
import shutil
import subprocess

import numpy as np
import openai
import pytest
from browsers import serving
from starlette.testclient import TestClient

from tempo_lib.app.api import create_app
from tempo_lib.app.engine import Engine
from tempo_lib.miniature.world.clips import write_clip

QUESTION = "Which number is shown?"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("served") / "clip.mp4"
    frames_THW3 = np.random.default_rng(0).integers(0, 255, (24, 64, 64, 3), dtype=np.uint8)
    write_clip(path, frames_THW3)
    return path


@pytest.fixture(scope="module")
def engine(tiny_tempo):
    made = Engine(tiny_tempo, max_waiting=4)
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(engine, clip):
    app = create_app(engine, videos=clip.parent, most_bytes=2 * 2**20)
    with TestClient(app, base_url="http://127.0.0.1") as made:
        yield made


def data_url(path, mime="video/mp4"):
    return f"data:{mime};base64,{base64.b64encode(path.read_bytes()).decode()}"


def chat(url, question=QUESTION, **fields):
    parts = [{"type": "text", "text": question}]
    if url is not None:
        parts.insert(0, {"type": "video_url", "video_url": {"url": url}})
    return {"model": "tempo", "messages": [{"role": "user", "content": parts}], **fields}


def post(client, body, **options):
    return client.post("/v1/chat/completions", json=body, **options)


def refused(reply, status, said):
    assert reply.status_code == status, reply.text
    message = reply.json()["error"]["message"]
    assert said in message and "\n" not in message
    return message


def test_a_data_url_is_answered_with_usage_scores_and_counts(client, clip, tiny_tempo):
    reply = post(client, chat(data_url(clip), max_tokens=4, tempo={"budget": 30})).json()
    assert reply["object"] == "chat.completion"
    assert isinstance(reply["choices"][0]["message"]["content"], str)
    found = reply["tempo"]
    assert sum(found["counts"]) == found["tokens_used"] <= found["budget"] == 30
    assert len(found["scores"]) == len(found["seconds"]) == len(found["timestamps"])
    usage = reply["usage"]
    assert usage["prompt_tokens_details"]["visual_tokens"] == found["tokens_used"]
    assert usage["prompt_tokens"] > found["tokens_used"] and usage["completion_tokens"] <= 4
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_a_path_below_the_folder_gives_what_the_model_gives(client, clip, tiny_tempo):
    from tempo_lib.app.engine import read_video

    video = read_video(tiny_tempo, clip)
    wanted = tiny_tempo.answer(video, QUESTION, budget=30, max_new_tokens=4)
    for url in (clip.name, str(clip), f"file://{clip}"):
        reply = post(client, chat(url, max_tokens=4, tempo={"budget": 30})).json()
        assert reply["choices"][0]["message"]["content"] == wanted.text
        assert reply["tempo"]["counts"] == wanted.counts.tolist()


def test_a_stream_gives_the_same_text_in_pieces_and_ends(client, clip):
    body = chat(clip.name, max_tokens=6)
    whole = post(client, body).json()
    lines = post(client, {**body, "stream": True}).text.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(line[6:]) for line in lines[:-2]]
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert text == whole["choices"][0]["message"]["content"]
    assert chunks[-1]["choices"][0]["finish_reason"] in ("stop", "length")
    assert chunks[-1]["tempo"]["counts"] == whole["tempo"]["counts"]
    assert chunks[-1]["usage"] == whole["usage"]


@pytest.mark.parametrize(
    "url",
    [
        "../outside.mp4",
        "/etc/passwd",
        "file:///etc/passwd",
        "%2e%2e/%2e%2e/etc/passwd",
        "link.mp4",
        "absent.mp4",
        "clip.mp4\x00.txt",
        ".",
    ],
)
def test_no_path_outside_the_folder_is_served(client, clip, url):
    (clip.parent.parent / "outside.mp4").write_bytes(clip.read_bytes())
    link = clip.parent / "link.mp4"
    link.unlink(missing_ok=True)
    link.symlink_to("/etc/passwd")
    message = refused(post(client, chat(url)), 400, "no such video below the folder")
    assert "passwd" not in message


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/x.mp4", "https://a.b/c.mp4", "ftp://a/b", "file://h/x"]
)
def test_no_url_is_fetched(client, url):
    refused(post(client, chat(url)), 400, "no URL is fetched")


def test_paths_are_served_only_where_a_folder_was_opened(engine, clip):
    with TestClient(create_app(engine), base_url="http://127.0.0.1") as closed:
        refused(post(closed, chat(str(clip))), 400, "paths are not served")


def test_what_is_no_video_is_refused_in_one_sentence(client):
    junk = base64.b64encode(b"not a film at all" * 50).decode()
    refused(post(client, chat(f"data:video/mp4;base64,{junk}")), 400, "cannot read the file")
    refused(post(client, chat(f"data:text/html;base64,{junk}")), 400, "data:video/")
    refused(post(client, chat("data:video/mp4;base64,@@@")), 400, "not valid base64")
    refused(post(client, {**chat(f"data:video/mp4;base64,{junk}"), "stream": True}), 400, "cannot")


def test_an_oversized_request_is_refused_with_and_without_a_length(client):
    body = json.dumps(chat("data:video/mp4;base64," + "A" * (3 * 2**20))).encode()
    headers = {"content-type": "application/json"}
    for content in (body, iter([body[: 2**20], body[2**20 :]])):
        reply = client.post("/v1/chat/completions", content=content, headers=headers)
        refused(reply, 413, "2 MiB at most")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "JSON"),
        (b"[]", "object"),
        (b'{"messages": []}', "no message of role user"),
        (json.dumps(chat("a", tempo={"bugdet": 3})).encode(), "bugdet"),
        (json.dumps(chat("clip.mp4", question=" ")).encode(), "question is empty"),
        (json.dumps(chat("clip.mp4", question="x" * 30000)).encode(), "more than 20000"),
        (json.dumps(chat("clip.mp4", temperature=9)).encode(), "temperature must be"),
        (json.dumps(chat("clip.mp4", tempo={"k_min": 99})).encode(), "k_min must be"),
        (json.dumps(chat("clip.mp4", max_tokens=10**9)).encode(), "answer tokens must be"),
        (json.dumps(chat("clip.mp4", tempo={"max_frames": 0})).encode(), "frames must be"),
    ],
)
def test_bad_requests_are_named(client, body, said):
    headers = {"content-type": "application/json"}
    refused(client.post("/v1/chat/completions", content=body, headers=headers), 400, said)


def test_only_json_is_read_so_that_no_page_can_post_without_leave(client):
    reply = client.post(
        "/v1/chat/completions", content=b"{}", headers={"content-type": "text/plain"}
    )
    refused(reply, 415, "application/json")


def test_another_host_name_is_refused_on_loopback(client):
    assert client.get("/v1/models", headers={"host": "evil.example"}).status_code == 400
    assert client.get("/v1/models").json()["data"][0]["id"] == "tempo-tiny"


def test_a_key_is_wanted_where_one_is_set(engine):
    app = create_app(engine, api_key="secret", loopback=False)
    with TestClient(app, base_url="http://tempo.example") as made:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "secret"}):
            refused(made.get("/v1/models", headers=headers), 401, "API key")
            refused(post(made, chat(None), headers=headers), 401, "API key")
        right = {"authorization": "Bearer secret"}
        assert made.get("/v1/models", headers=right).status_code == 200


def test_uploads_leave_no_file_behind(client, clip, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for stream in (False, True):
        post(client, chat(data_url(clip), max_tokens=2, stream=stream))
    assert not list(tmp_path.glob("tempo-*"))


@pytest.fixture(scope="module")
def address(engine, clip):
    """A real server on loopback, for clients that need a socket."""
    with serving(create_app(engine, videos=clip.parent)) as made:
        yield f"{made}/v1"


def test_the_client_of_openai_asks_streams_and_hears_of_errors(address, clip):
    client = openai.OpenAI(base_url=address, api_key="none", max_retries=0)
    assert [model.id for model in client.models.list()] == ["tempo-tiny"]
    messages = chat(data_url(clip))["messages"]
    ask = client.chat.completions.create
    reply = ask(
        model="tempo-tiny", messages=messages, max_tokens=4, extra_body={"tempo": {"budget": 20}}
    )
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert sum(reply.model_extra["tempo"]["counts"]) <= 20
    pieces = list(ask(model="tempo-tiny", messages=messages, max_tokens=4, stream=True))
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces)
    assert isinstance(text, str) and pieces[-1].choices[0].finish_reason
    with pytest.raises(openai.BadRequestError, match="no URL is fetched"):
        ask(model="tempo-tiny", messages=chat("http://127.0.0.1/x.mp4")["messages"])


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_curl_is_answered(address, clip):
    body = json.dumps(chat(clip.name, max_tokens=4))
    command = ["curl", "-s", f"{address}/chat/completions", "-H", "Content-Type: application/json"]
    done = subprocess.run([*command, "-d", body], capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout)["object"] == "chat.completion"
