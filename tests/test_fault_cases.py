"""Bad days of questions, runs, records, numbers and strangers: right, or refused in one line."""

import re
from collections import Counter

import pytest
from fault_cases import CASES, Done, outcome
from video_fault_cases import cell

NAMES = [f"{case.group}: {case.name}" for case in CASES]


@pytest.fixture(autouse=True)
def own_project(monkeypatch, tmp_path):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))  # a case sets it too: it ends with the test


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_a_bad_day_is_handled_right(case, tmp_path):
    is_right, what = outcome(case, tmp_path)
    assert is_right, f"{what}; right is: {case.says}"


def test_a_wrong_outcome_is_seen(tmp_path):
    """The judge of this file can say no: an answer, two errors, a traceback, another refusal."""
    from dataclasses import replace

    refusal = next(case for case in CASES if isinstance(case.right, str))

    def fails(folder):
        raise KeyError("config")

    for act in (
        lambda folder: Done(0, "{}"),
        lambda folder: Done(2, err="error: one\nerror: two"),
        lambda folder: Done(2, err="error: something else"),
        fails,
    ):
        assert not outcome(replace(refusal, act=act), tmp_path)[0]


def test_the_committed_table_is_of_these_cases(repo_root):
    page = (repo_root / "BAD_DAYS.md").read_text(encoding="ascii")
    own = page.split("# Bad days of everything else")[1]
    listed = re.findall(r"^\| (\w+: .*?[^\\]) \| ", own, re.MULTILINE)
    assert listed == [cell(name) for name in NAMES]
    assert "**wrong**" not in own and f"| all | {len(CASES)} |" in own
    assert [name for name, times in Counter(NAMES).items() if times > 1] == []
