"""Measurements kept with the code are whole, and the plan of a run takes its times there."""

import json

import pytest

from tempo_lib.analysis.measurements import FOLDER, read_measurement
from tempo_lib.provenance import manifest_path
from tempo_lib.reproduce.gallery import TIMES_MANIFEST
from tempo_lib.reproduce.workflow import PARTS

KEPT = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in manifest_path(FOLDER).glob("*.json")
}


@pytest.mark.parametrize("name", sorted(name for name, facts in KEPT.items() if "files" in facts))
def test_every_table_is_the_one_that_its_provenance_tells_of(name):
    tables, facts = read_measurement(name, KEPT[name]["preset"], "nothing")
    assert len(tables) == len(facts["files"]) > 0
    assert all(len(table) for table in tables.values())
    assert facts["dirty"] is False


def test_the_plan_foretells_the_trainings_as_the_run_from_scratch_took_them():
    known = json.loads(manifest_path(TIMES_MANIFEST).read_text(encoding="utf-8"))["seconds"]
    tables, _ = read_measurement("from_scratch", "tiny", "make scratch")
    took = tables["times"].set_index("job")["seconds"]
    assert set(PARTS) < set(known) == set(took.index)
    assert {name: known[name] for name in PARTS} == {name: took[name] for name in PARTS}
