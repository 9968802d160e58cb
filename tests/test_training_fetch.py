"""Downloads against a server that breaks off, changes its file, or gives another one."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import huggingface_hub
import pytest

from tempo_lib.training import fetch
from tempo_lib.training.fetch import FetchError, fetch_hub, fetch_url

CONTENT = bytes(range(256)) * 400
HASH = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves one file; ``breaks``: bytes after which each of the next answers ends."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.tag, self.breaks, self.ranges = CONTENT, '"one"', [], []
        self.status = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/file.bin"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range")
        server.ranges.append(wanted)
        if server.status:
            self.send_error(server.status)
            return
        start = 0
        if wanted and self.headers.get("If-Range") == server.tag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        body = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", server.tag)
        self.end_headers()
        self.wfile.write(body[: server.breaks.pop(0) if server.breaks else None])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(fetch, "WAIT_SECONDS", 0.0)
    one = Server()
    thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield one
    one.shutdown()
    thread.join()
    one.server_close()


def test_a_download_that_breaks_off_goes_on_where_it_was(server, tmp_path):
    server.breaks = [50_000, 20_000]
    target = fetch_url(server.url, tmp_path / "deep" / "file.bin", HASH)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=50000-", "bytes=70000-"]
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]
    fetch_url(server.url, target, HASH)
    assert len(server.ranges) == 3  # it is there: nothing was fetched


def test_a_later_call_goes_on_too_unless_the_file_has_changed(server, tmp_path):
    server.breaks = [30_000] + [0] * fetch.MOST_TRIES
    with pytest.raises(FetchError, match=r"file\.bin\.part, so call again"):
        fetch_url(server.url, tmp_path / "file.bin", HASH)
    assert (tmp_path / "file.bin.part").stat().st_size == 30_000
    server.content, server.tag = CONTENT[::-1], '"two"'
    target = fetch_url(server.url, tmp_path / "file.bin")
    assert target.read_bytes() == CONTENT[::-1]
    assert server.ranges[-1] == "bytes=30000-"  # refused by If-Range: from the start


def test_content_of_another_hash_is_refused_and_fetched_again(server, tmp_path):
    server.content = CONTENT[:-1] + b"!"
    with pytest.raises(FetchError, match="expected " + HASH[:12]):
        fetch_url(server.url, tmp_path / "file.bin", HASH)
    assert not (tmp_path / "file.bin").exists()
    server.content = CONTENT
    assert fetch_url(server.url, tmp_path / "file.bin", HASH).read_bytes() == CONTENT


def test_what_the_server_refuses_is_said_at_once(server, tmp_path):
    server.status = 404
    with pytest.raises(FetchError, match="the server says 404 Not Found"):
        fetch_url(server.url, tmp_path / "file.bin", HASH)
    assert len(server.ranges) == 1


def test_a_hub_set_is_fetched_by_its_own_functions_and_compared(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda name, **more: calls.append((name, more))
    )

    class Api:
        def verify_repo_checksums(self, name, **more):
            calls.append((name, more))
            return SimpleNamespace(mismatches=[{"path": "b.json"}, {"path": "a.json"}])

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    assert fetch_hub("some/set", tmp_path, ["*.json"], "abc") == ["a.json", "b.json"]
    where = {"repo_type": "dataset", "revision": "abc", "local_dir": tmp_path}
    assert calls == [("some/set", {**where, "allow_patterns": ["*.json"]}), ("some/set", where)]


def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch, tmp_path):
    def offline(*_, **__):
        raise OSError("offline mode\nis on")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(FetchError, match="cannot get the data set some/set from the hub: off"):
        fetch_hub("some/set", tmp_path)
