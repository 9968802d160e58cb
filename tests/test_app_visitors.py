"""Visitors' files: kept apart, bounded in number, and gone when the tab is closed."""

import os
from types import SimpleNamespace

import pytest

from tempo_lib.app.ask_request import RefusedError
from tempo_lib.app.visitors import MOST_FILES, Visitors


@pytest.fixture
def visitors(tmp_path):
    return Visitors(SimpleNamespace(forget=lambda name: None), tmp_path / "visitors")


def upload_of(tmp_path, name, content=b"film"):
    path = tmp_path / "uploads" / name / "clip.MP4"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_an_upload_stays_where_the_page_links_to_it_and_goes_with_the_tab(visitors, tmp_path):
    uploaded = upload_of(tmp_path, "a")
    visitors.take(visitors["one"], uploaded)
    own = visitors["one"].path
    assert uploaded.read_bytes() == own.read_bytes() == b"film" and own.suffix == ".mp4"
    token = visitors["one"].address.rsplit("/", 1)[1]
    assert visitors.file(token) == own
    visitors.leave("one")
    assert not uploaded.exists() and not own.exists() and visitors.file(token) is None


def test_a_disk_without_links_takes_a_copy(visitors, tmp_path, monkeypatch):
    def refused(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refused)
    visitors.take(visitors["one"], upload_of(tmp_path, "a"))
    assert visitors["one"].path.read_bytes() == b"film"
    with pytest.raises(RefusedError, match="did not arrive whole"):
        visitors.take(visitors["one"], tmp_path / "absent.mp4")


def test_the_oldest_files_go_first(visitors, tmp_path):
    uploads = [upload_of(tmp_path, f"{n}") for n in range(MOST_FILES + 2)]
    for uploaded in uploads:
        visitors.take(visitors["one"], uploaded)
    assert [path.exists() for path in uploads] == [False] * 2 + [True] * MOST_FILES
    assert len(list(visitors["one"].folder.iterdir())) == MOST_FILES


def test_what_two_tabs_have_sent_stays_until_the_second_leaves(visitors, tmp_path):
    same = upload_of(tmp_path, "a")
    visitors.take(visitors["one"], same)
    visitors.hold(visitors["two"], [same])
    visitors.leave("one")
    assert same.exists()
    visitors.leave("two")
    assert not same.exists()
