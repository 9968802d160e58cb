"""Which files decide whether a job runs again."""

import json
from dataclasses import replace

import pytest
from batch_samples import write_notebook

from tempo_lib.analysis.training_summaries import read_measurement
from tempo_lib.config import load_preset
from tempo_lib.miniature.world.corpus_specs import SUITE_SECONDS
from tempo_lib.reproduce.batch_notebooks import find_notebooks, read_notebook
from tempo_lib.provenance import manifest_path
from tempo_lib.reproduce.gallery import TIMES_MANIFEST
from tempo_lib.reproduce.workflow import PACKAGE, PARTS, Workflow, library_files


@pytest.fixture
def flow(tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    return Workflow(preset=load_preset("tiny"), root=tmp_path)


def modules(sources):
    return {path.relative_to(PACKAGE).as_posix() for path in library_files(sources)}


def test_imports_are_followed_through_the_library():
    found = modules(["from tempo_lib import Tempo\nimport pandas"])
    assert {"__init__.py", "model.py", "compressor.py", "prompts.py"} <= found
    assert not any(name.startswith(("figures/", "training/")) for name in found)


def test_a_pure_module_depends_on_little():
    assert modules(["from tempo_lib.allocation.ata import allocate"]) <= {
        "__init__.py",
        "allocation.py",
        "allocation_policies.py",
    }
    assert modules(["import json"]) == set()


def test_imports_inside_functions_count():
    assert "model.py" in modules(["def f():\n    from tempo_lib.model.tempo import Tempo"])


def test_the_longest_suite_is_asked_first(flow):
    seconds = [SUITE_SECONDS[name] for name in flow.suites]
    assert seconds == sorted(seconds, reverse=True)
    assert set(flow.suites) == set(SUITE_SECONDS)


def test_a_whole_run_asks_suites_in_jobs_of_their_own(flow, tmp_path):
    text = 'suite: str = "mini-mlvu"  # which'
    path = write_notebook(tmp_path, "01_a", "from tempo_lib.figures import style", parameters=text)
    notebook = read_notebook(path)
    records = [flow.receipt("records-mini-mlvu")]
    inputs = flow.notebook_inputs(notebook)
    assert "notebooks/01_a.ipynb" in inputs
    assert (PACKAGE / "figures" / "style.py").as_posix() in inputs
    assert (PACKAGE / "presets" / "tiny.yaml").as_posix() in inputs
    assert [name for name in inputs if "records-" in name] == records
    alone = replace(flow, only="01_a").notebook_inputs(notebook)
    assert set(inputs) - set(alone) == set(records)


def test_a_notebook_of_all_variants_needs_all_records_even_alone(repo_root):
    flow = Workflow(preset=load_preset("tiny"), root=repo_root, only="20_claims")
    (claims,) = flow.notebooks
    wanted = {flow.receipt(f"records-{suite}") for suite in flow.suites}
    assert wanted <= set(flow.notebook_inputs(claims))


def test_every_notebook_depends_on_library_manifests_and_checkpoints(repo_root):
    flow = Workflow(preset=load_preset("tiny"), root=repo_root)
    for notebook in find_notebooks(repo_root):
        inputs = flow.notebook_inputs(notebook)
        assert "tempo_lib/runs.py" in inputs, notebook.name
        assert "data_manifests/suites/mini-mlvu.yaml" in inputs
        assert any(name.endswith("stage3/model.safetensors") for name in inputs)


def test_a_notebook_depends_on_the_measurements_that_it_reads(repo_root):
    flow = Workflow(preset=load_preset("tiny"), root=repo_root)
    read = {}
    for notebook in find_notebooks(repo_root):
        inputs = flow.notebook_inputs(notebook)
        read[notebook.name] = [name for name in inputs if "measurements/" in name]
    folder = "data_manifests/measurements"
    assert {name: files for name, files in read.items() if files} == {
        "23_training_seeds": [
            f"{folder}/training_seeds.json",
            f"{folder}/training_switches.json",
        ],
        "40_semantic_front_loading": [f"{folder}/conditions.json"],
        "43_train_your_own": [f"{folder}/conditions.json"],
    }


def test_the_shipped_parts_stand_in_for_those_not_trained_here(flow):
    assert flow.part_files("stage3")[0].endswith("tempo_lib/assets/tiny/stage3/card.json")
    own = flow.root / "runs" / "tiny" / "train" / "stage3"
    own.mkdir(parents=True)
    (own / "card.json").write_text("{}")
    assert flow.part_files("stage3") == ["runs/tiny/train/stage3/card.json"]


def test_from_scratch_reads_only_what_it_trains(flow):
    files = replace(flow, from_scratch=True).checkpoint
    assert {file.split("/")[3] for file in files} == set(PARTS)
    assert all(file.startswith("runs/tiny/train/") for file in files)


def test_snakemake_config_becomes_a_workflow(monkeypatch, tmp_path):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    flow = Workflow.from_config({"preset": "tiny", "only": "20_claims", "from_scratch": True})
    assert (flow.root, flow.only, flow.from_scratch) == (tmp_path, "20_claims", True)
    assert Workflow.from_config({}).only is None
    with pytest.raises(ValueError, match="unknown preset"):
        Workflow.from_config({"preset": "huge"})


def test_a_part_of_the_questions_keeps_apart_from_whole_suites(tmp_path):
    write_notebook(tmp_path, "01_a", 'start_run("a")')
    preset = load_preset("tiny")
    whole = Workflow(preset=preset, root=tmp_path)
    part = Workflow(preset=preset, root=tmp_path, num_questions=60)
    assert whole.published(whole.notebooks[0]) == ["figures/tiny/a.json"]
    assert part.published(part.notebooks[0]) == []
    assert part.receipt("x") != whole.receipt("x")
    assert part.command.endswith("--num-questions 60")
    shown = replace(part, publish=True)
    assert shown.published(shown.notebooks[0]) == ["figures/tiny/a.json"]
    assert shown.command.endswith("--num-questions 60 --publish")
    assert Workflow.from_config({"num_questions": "60"}).num_questions == 60


def test_a_slow_lesson_is_published_where_it_is_asked_for_by_name(tmp_path):
    text = 'preset: str = "6b"  # preset\nsuite: str = "mini-mlvu"  # which'
    write_notebook(tmp_path, "40_a", 'start_run("a")', parameters=text)
    every = Workflow(preset=load_preset("tiny"), root=tmp_path)
    named = replace(every, only="40_a")
    assert every.published(every.notebooks[0]) == []
    assert named.published(named.notebooks[0]) == ["figures/tiny/a.json"]
    assert named.command.endswith("--only 40_a")


def test_the_plan_foretells_the_trainings_as_the_run_from_scratch_took_them():
    known = json.loads(manifest_path(TIMES_MANIFEST).read_text(encoding="utf-8"))["seconds"]
    tables, _ = read_measurement("from_scratch", "tiny")
    took = tables["times"].set_index("job")["seconds"]
    assert set(PARTS) < set(known) == set(took.index)
    assert {name: known[name] for name in PARTS} == {name: took[name] for name in PARTS}
