"""The entry that makes one part of the miniature, as the workflow calls it."""

import pytest
import typer

from tempo_lib.miniature.pretrain import __main__ as module


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Calls of the functions behind the entry, which train nothing here."""
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    calls = []
    monkeypatch.setattr(module, "make_base", lambda mini, name: calls.append((mini.work, name)))
    monkeypatch.setattr(
        module, "make_corpus", lambda mini, stage, workers: calls.append((mini.work, stage))
    )
    return calls


def test_a_base_model_and_a_corpus_go_into_the_trainings_folder(tmp_path, made):
    module.main("tiny", "reranker")
    module.main("tiny", "stage2")
    work = tmp_path / "runs" / "tiny" / "train"
    assert made == [(work, "reranker"), (work, 2)]


def test_an_unknown_part_lists_the_known_ones(made):
    with pytest.raises(typer.BadParameter, match="no part 'stage9' of tiny; known: base_decoder"):
        module.main("tiny", "stage9")
    assert made == []
