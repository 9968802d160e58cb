"""Download files of a manifest: resumed where they broke off, checked, whole or not there.

Hub data sets go through huggingface_hub's own functions, everything else through plain HTTP.
"""

import http.client
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tqdm.auto import tqdm

from tempo_lib.fingerprint import sha256_of_file

PART, TAG = ".part", ".part.tag"  # what has come so far, and which version of the file it is of
CHUNK = 1 << 20
MOST_TRIES = 5  # in a row that bring nothing
WAIT_SECONDS = 1.0  # before the second of them; twice as long before each further one
TIMEOUT_SECONDS = 30.0
PARTIAL, RANGE_REFUSED = 206, 416
BREAKS = (OSError, http.client.HTTPException)  # of a connection; HTTPError is an OSError too


class FetchError(ValueError):
    """A file that cannot be had; what has come stays, but for one whose content is wrong."""


def fetch_url(url: str, target: Path, sha256: str | None = None) -> Path:
    """Download ``url`` to ``target``, going on where an earlier call was broken off.

    A file that is there already is kept when its hash is right, or none is known. FetchError after
    ``MOST_TRIES`` tries without a byte, for an address that the server refuses, and for content of
    another hash than ``sha256``, which is deleted.
    """
    if target.is_file():
        _check_hash(target, target, url, sha256)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part, tries = target.with_name(target.name + PART), 0
    while True:
        before = _size(part)
        try:
            if _load(url, target, part):
                break
            reason = "the connection ended too early"
        except urllib.error.HTTPError as error:
            if error.code < http.client.INTERNAL_SERVER_ERROR:
                raise FetchError(f"{url}: the server says {error.code} {error.reason}") from error
            reason = f"{error.code} {error.reason}"
        except BREAKS as error:
            reason = " ".join(str(error).split()) or type(error).__name__
        tries = 0 if _size(part) > before else tries + 1
        if tries == MOST_TRIES:
            raise FetchError(f"{url}: {reason}; what has come stays in {part}, so call again")
        time.sleep(WAIT_SECONDS * 2 ** (tries - 1) if tries else 0)
    _check_hash(part, target, url, sha256)
    os.replace(part, target)
    target.with_name(target.name + TAG).unlink(missing_ok=True)
    return target


def fetch_hub(
    repository: str,
    folder: Path,
    patterns: Sequence[str] | None = None,
    revision: str | None = None,
) -> list[str]:
    """A data set of the hub, or its files of ``patterns``, in ``folder``; returns the wrong files.

    Resumed and shown by huggingface_hub; then each file's hash is compared with the hub's.
    FetchError where the hub does not give it.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        snapshot_download(
            repository,
            repo_type="dataset",
            revision=revision,
            local_dir=folder,
            allow_patterns=None if patterns is None else list(patterns),
        )
        found = HfApi().verify_repo_checksums(
            repository, repo_type="dataset", revision=revision, local_dir=folder
        )
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = " ".join(str(error).split())
        raise FetchError(f"cannot get the data set {repository} from the hub: {reason}") from error
    return sorted(one["path"] for one in found.mismatches)


def _load(url: str, target: Path, part: Path) -> bool:
    """One connection: append what it brings to ``part``; whether the file is whole now."""
    done, tag = _size(part), target.with_name(target.name + TAG)
    version = tag.read_text(encoding="ascii") if tag.is_file() else ""
    headers = {"Range": f"bytes={done}-", "If-Range": version} if done and version else {}
    request = urllib.request.Request(url, headers=headers)
    with _opened(request) as answer:
        goes_on = answer.status == PARTIAL
        start = done if goes_on else 0
        length = answer.headers.get("Content-Length")
        whole = None if length is None else start + int(length)
        named = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        tag.write_text("" if named.startswith("W/") else named, encoding="ascii")
        bar = tqdm(total=whole, initial=start, unit="B", unit_scale=True, desc=target.name)
        with bar, part.open("ab" if goes_on else "wb") as stream:
            for piece in _pieces(answer):
                stream.write(piece)
                bar.update(len(piece))
    return whole is None or _size(part) == whole


@contextmanager
def _opened(request: urllib.request.Request) -> Iterator[Any]:
    """The answer; a range behind the end of the file means that it has changed: from the start."""
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != RANGE_REFUSED:
            raise
        plain = urllib.request.Request(request.full_url)
        answer = urllib.request.urlopen(plain, timeout=TIMEOUT_SECONDS)
    with answer:
        yield answer


def _pieces(answer: IO[bytes]) -> Iterator[bytes]:
    while piece := answer.read(CHUNK):
        yield piece


def _check_hash(file: Path, target: Path, url: str, sha256: str | None) -> None:
    """FetchError for another hash: the file is deleted, so that the next call fetches it."""
    if sha256 is None:
        print(f"note: nobody says which hash {target.name} has", file=sys.stderr)
        return
    found = sha256_of_file(file)
    if found != sha256:
        file.unlink()
        raise FetchError(f"{url}: SHA-256 {found[:12]}..., expected {sha256[:12]}...; deleted")


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0
