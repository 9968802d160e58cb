"""What is registered is found by its name; plug-ins are modules or files, loaded once."""

from pathlib import Path

import pytest

from tempo_lib.registry import PLUGINS_VARIABLE, Registry, load_plugins


def test_an_unknown_name_is_answered_with_the_known_ones():
    registry = Registry("toy")
    registry.register("one")(print)
    assert registry.get("one") is print
    assert "one" in registry and "two" not in registry
    with pytest.raises(ValueError, match="unknown toy 'two'; known: one"):
        registry.get("two")


def test_a_name_belongs_to_one_thing():
    registry = Registry("toy")
    registry.register("one")(print)
    registry.register("one")(print)
    with pytest.raises(ValueError, match="toy 'one' is registered already"):
        registry.register("one")(len)


def test_the_file_that_registers_a_name_is_known():
    registry = Registry("toy")
    registry.register("here")(test_a_name_belongs_to_one_thing)
    assert registry.source_file("here") == Path(__file__)


def test_plug_ins_of_the_environment_are_loaded_once(tmp_path, monkeypatch):
    log, plugin = tmp_path / "log", tmp_path / "toy.py"
    plugin.write_text(f"open({str(log)!r}, 'a').write('x')\n", encoding="utf-8")
    monkeypatch.setenv(PLUGINS_VARIABLE, f"{plugin}, json")
    load_plugins()
    load_plugins([str(plugin)])
    assert log.read_text() == "x"


@pytest.mark.parametrize("name", ["no_such_module_anywhere", "no/such/file.py"])
def test_a_plug_in_that_is_not_there_is_named(name, monkeypatch):
    monkeypatch.delenv(PLUGINS_VARIABLE, raising=False)
    with pytest.raises(ValueError, match=f"no plug-in .*{name}"):
        load_plugins([name])


def test_a_broken_plug_in_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.delenv(PLUGINS_VARIABLE, raising=False)
    plugin = tmp_path / "toy.py"
    plugin.write_text("1 / 0\n", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            load_plugins([str(plugin)])
