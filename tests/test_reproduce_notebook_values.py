"""Values are judged before a kernel starts, for every notebook of the project."""

import pytest

from tempo_lib.analysis import evaluations
from tempo_lib.config import load_preset
from tempo_lib.provenance import project_root
from tempo_lib.reproduce import notebooks
from tempo_lib.reproduce.notebook_facts import find_notebooks, pick_notebook
from tempo_lib.reproduce.notebook_values import check_values, known_suites

BOOKS = find_notebooks(project_root())
NAMES = [book.name for book in BOOKS]


@pytest.fixture(autouse=True)
def no_kernel(monkeypatch):
    def starts(*_, **__):
        raise AssertionError("a kernel started")

    monkeypatch.setattr(notebooks.papermill, "execute_notebook", starts)


@pytest.mark.parametrize("book", BOOKS, ids=NAMES)
def test_every_notebook_takes_its_defaults_and_refuses_what_cannot_work(book, tmp_path):
    check_values(book, {})
    bad = {"no_such_parameter": 1, "preset": "7b", "suite": "m", "suites": ["m"]}
    bad |= {"num_questions": -1, "seed": -1, "world_seed": 1.5, "model_seeds": [], "ks": [0]}
    tried = 0
    for name, value in bad.items():
        if name not in book.parameters and name != "no_such_parameter":
            continue
        with pytest.raises(ValueError) as error:
            notebooks.run_notebook(book.path, {name: value}, tmp_path)
        assert "\n" not in str(error.value)
        tried += 1
    assert tried >= 2


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("17", {"panels": []}, "panels is empty; name at least one"),
        ("17", {"budgets": [0]}, "budgets must hold more than 0"),
        ("17", {"panels": ["lvbench"]}, "unknown suite 'lvbench' of preset tiny"),
        ("13", {"model_seeds": ["0"]}, "model_seeds holds '0'; its default is"),
        ("13", {"model_seeds": [-1]}, "model_seeds must hold 0 or more"),
        ("13", {"suites": ["mini-mlvu", "mlvu"]}, "unknown suite 'mlvu' of preset tiny; known: mi"),
        ("13", {"preset": "6b"}, "unknown suite 'mini-longvideobench' of preset 6b; known: longv"),
        ("40", {"preset": "6b"}, "40_semantic_front_loading needs questions of the miniature's"),
        ("40", {"ks": [4, 0]}, "ks must hold 1 or more"),
    ],
)
def test_a_value_is_refused_in_one_line(name, given, message):
    with pytest.raises(ValueError, match=r"^[^\n]+$") as error:
        check_values(pick_notebook(BOOKS, name), given)
    assert message in str(error.value)


def test_a_table_runs_on_real_benchmarks_and_a_lesson_about_the_world_does_not():
    check_values(pick_notebook(BOOKS, "13"), {"preset": "6b", "suites": ["lvbench"]})
    assert known_suites(load_preset("6b")) == ["longvideobench", "lvbench", "mlvu", "videomme"]


def test_no_weights_are_fetched_without_a_benchmark_to_ask_about(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluations, "project_root", lambda: tmp_path)
    monkeypatch.setattr(evaluations.Tempo, "from_pretrained", lambda *_: "fetched")
    with pytest.raises(ValueError, match=r"^preset 6b needs a benchmark in .*\(.*lvbench.*none"):
        evaluations.load_models("6b", [0])
    (tmp_path / "data" / "lvbench").mkdir(parents=True)
    assert evaluations.load_models("6b", [0]) == {0: "fetched"}
