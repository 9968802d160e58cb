"""One fingerprint of code: it follows imports, also those of public names and of plug-in files."""

import os

import pytest

from tempo_lib import fingerprint
from tempo_lib.fingerprint import PACKAGE, code_files, code_fingerprint, digest, write_atomic


def names(*sources):
    return {path.relative_to(PACKAGE).as_posix() for path in code_files(*sources)}


def test_code_is_followed_through_imports_and_packages():
    found = names("tempo_lib.allocation.extensions")
    assert {"allocation/__init__.py", "allocation/ata.py", "registry.py", "__init__.py"} <= found
    assert not any(name.startswith("model/") for name in found)


def test_a_public_name_stands_for_the_module_that_defines_it():
    assert "allocation/ata.py" in names("from tempo_lib import allocate")


def test_late_imports_count_too():
    assert "config/__init__.py" in names("def f():\n    from tempo_lib.config import load_preset")


def test_a_plug_in_file_is_hashed_with_what_it_imports(tmp_path):
    plugin = tmp_path / "toy.py"
    plugin.write_text("from tempo_lib.prompts import YES\n", encoding="utf-8")
    assert plugin in code_files(plugin)
    assert PACKAGE / "prompts.py" in code_files(plugin)
    other = tmp_path / "more" / "toy.py"
    other.parent.mkdir()
    other.write_text(plugin.read_text(encoding="utf-8"), encoding="utf-8")
    assert code_fingerprint(plugin) == code_fingerprint(other)  # wherever it lies


def test_changed_code_changes_the_fingerprint(monkeypatch):
    before = code_fingerprint("tempo_lib.registry")
    code_fingerprint.cache_clear()
    real = fingerprint.sha256_of_file
    monkeypatch.setattr(
        fingerprint,
        "sha256_of_file",
        lambda path: "0" if path.name == "registry.py" else real(path),
    )
    assert code_fingerprint("tempo_lib.registry") != before
    code_fingerprint.cache_clear()


def test_equal_content_has_an_equal_digest():
    assert digest({"b": 1, "a": [1.5]}) == digest({"a": [1.5], "b": 1})
    assert digest([1]) != digest([2])


def test_a_file_is_written_whole_or_left_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "folder" / "facts.json"
    write_atomic(path, "old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, b"new")
    assert path.read_text(encoding="utf-8") == "old"
    assert [file.name for file in path.parent.iterdir()] == ["facts.json"]
