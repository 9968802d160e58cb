"""Which files decide whether a job runs again, and which it leaves."""

from dataclasses import replace

import pytest
from batch_samples import write_notebook

from tempo_lib.checkpoints.folders import part_names
from tempo_lib.config import load_preset
from tempo_lib.evaluation.benchmark import benchmark_names
from tempo_lib.fingerprint import PACKAGE
from tempo_lib.reproduce.notebook_facts import find_notebooks, read_notebook
from tempo_lib.reproduce.workflow import TIMES_MANIFEST, Workflow

TINY = load_preset("tiny")
SUITES = benchmark_names(TINY)
WHOLE = 'suites: list = ["mini-mlvu"]  # which; the batch run: all'


@pytest.fixture
def flow(tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    return Workflow(preset=TINY, root=tmp_path)


def test_a_whole_run_evaluates_suites_in_jobs_of_their_own(flow, tmp_path):
    code = "from tempo_lib.figures import style"
    notebook = read_notebook(write_notebook(tmp_path, "01_a", code, suites=["mini-mlvu"]))
    records = [flow.marker("records-mini-mlvu")]
    inputs = flow.notebook_inputs(notebook)
    assert flow.suites == ["mini-mlvu"]
    assert "notebooks/01_a.ipynb" in inputs
    assert (PACKAGE / "figures" / "style.py").as_posix() in inputs
    assert (PACKAGE / "presets" / "tiny.yaml").as_posix() in inputs
    assert [name for name in inputs if "records-" in name] == records
    alone = replace(flow, only="01_a").notebook_inputs(notebook)
    assert set(inputs) - set(alone) == set(records)


def test_a_notebook_of_all_variants_needs_all_records_even_alone(repo_root):
    flow = Workflow(preset=TINY, root=repo_root, only="20_claims")
    (claims,) = flow.notebooks
    assert set(flow.suites) == set(SUITES)
    assert {flow.marker(f"records-{name}") for name in SUITES} <= set(flow.notebook_inputs(claims))


def test_code_that_reads_benchmarks_depends_on_the_files_that_register_them(flow):
    suite = (PACKAGE / "miniature" / "benchmark.py").as_posix()
    assert suite in flow.code("from tempo_lib.evaluation.benchmark import load_benchmark")
    assert suite in flow.records_inputs
    assert suite not in flow.code("from tempo_lib.allocation.ata import allocate")
    assert not any("reproduce/workflow.py" in name for name in flow.records_inputs)


def test_every_notebook_depends_on_library_manifests_and_checkpoints(repo_root):
    flow = Workflow(preset=TINY, root=repo_root)
    for notebook in find_notebooks(repo_root):
        inputs = flow.notebook_inputs(notebook)
        assert "tempo_lib/provenance.py" in inputs, notebook.name
        assert "data_manifests/suites/mini-mlvu.yaml" in inputs
        assert any(name.endswith("stage3/model.safetensors") for name in inputs)


def test_a_notebook_depends_on_the_measurements_that_it_names(repo_root):
    flow, folder = Workflow(preset=TINY, root=repo_root), "data_manifests/measurements"
    for notebook in find_notebooks(repo_root):
        found = [name for name in flow.notebook_inputs(notebook) if name.startswith(folder)]
        assert bool(found) == bool(notebook.facts.inputs), notebook.name
        if notebook.name.startswith("43"):
            assert found == [f"{folder}/position_losses.csv", f"{folder}/position_losses.json"]


def test_the_suite_that_took_longest_comes_first(flow, tmp_path):
    write_notebook(tmp_path, "01_a", parameters=WHOLE, suites="all", tables=["a"])
    for name, seconds in zip(SUITES, (3.0, 9.0, 5.0, 7.0), strict=True):
        path = tmp_path / flow.benchmark(f"records-{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:01\t5\n")
    assert flow.suites == [SUITES[1], SUITES[3], SUITES[2], SUITES[0]]


def test_times_come_from_the_manifest_of_the_preset_until_measured_here(tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    manifest = tmp_path / "data_manifests" / TIMES_MANIFEST
    manifest.parent.mkdir(parents=True)
    manifest.write_text('{"preset": "6b", "seconds": {"clips": 1.0}}')
    assert Workflow(preset=TINY, root=tmp_path).seconds == {}
    manifest.write_text('{"preset": "tiny", "seconds": {"a": 3.0, "stage0": 70.0}}')
    flow = Workflow(preset=TINY, root=tmp_path)
    (tmp_path / flow.benchmark("a")).parent.mkdir(parents=True)
    (tmp_path / flow.benchmark("a")).write_text("s\tmax_rss\n4.0\t5\n")
    assert flow.seconds == {"a": 4.0, "stage0": 70.0}


def test_the_batch_run_gives_whole_suites_where_they_are_parameters(flow, tmp_path):
    text = 'preset: str = "6b"  # preset\nnum_questions: int = 8  # 0: all\nother: int = 3  # own'
    notebook = read_notebook(write_notebook(tmp_path, "01_a", parameters=text))
    assert flow.parameters(notebook) == {"preset": "tiny", "num_questions": 0}
    for given, taken in ((60, 60), (3, 8)):  # never fewer than its own
        part = replace(flow, num_questions=given)
        assert part.parameters(notebook) == {"preset": "tiny", "num_questions": taken}
    every = read_notebook(write_notebook(tmp_path, "02_b", parameters=WHOLE, suites="all"))
    assert flow.parameters(every) == {"suites": SUITES}
    assert flow.suites_of(notebook) == []
    assert flow.suites_of(every) == SUITES


def test_a_slow_notebook_is_whole_and_published_only_where_it_is_named(flow, tmp_path):
    text = 'preset: str = "6b"  # preset\nnum_questions: int = 8  # 0: all'
    path = write_notebook(tmp_path, "40_a", parameters=text, slow=True, tables=["a"])
    slow, named = read_notebook(path), replace(flow, only="40_a")
    assert flow.parameters(slow) == {"preset": "tiny"}
    assert flow.published(slow) == []
    assert named.parameters(slow) == {"preset": "tiny", "num_questions": 0}
    assert named.published(slow) == ["figures/tiny/a.csv", "figures/tiny/a.json"]


def test_every_file_of_a_result_is_named(flow, tmp_path):
    path = write_notebook(tmp_path, "01_a", results=["fig"], tables=["t"], files=["page.md"])
    files = [f"fig.{suffix}" for suffix in ("png", "pdf", "csv", "json")]
    files += ["t.csv", "t.json", "page.md"]
    assert flow.published(read_notebook(path)) == [f"figures/tiny/{name}" for name in files]
    assert {f"figures/tiny/{name}" for name in files} < set(flow.targets)


def test_a_part_of_the_questions_keeps_apart_from_whole_suites(flow, tmp_path):
    write_notebook(tmp_path, "01_a", tables=["a"])
    part = replace(flow, num_questions=60)
    assert part.published(part.notebooks[0]) == []
    assert part.marker("x") != flow.marker("x")
    shown = replace(part, publish=True)
    assert shown.published(shown.notebooks[0]) == flow.published(flow.notebooks[0]) != []
    assert Workflow.from_config({"num_questions": "60"}).num_questions == 60


def real_flow(root, preset="6b", **options):
    return Workflow(preset=load_preset(preset), root=root, **options)


def test_the_real_benchmarks_take_the_same_cells_with_their_own_names(flow, tmp_path):
    text = """preset: str = "tiny"  # preset
suites: list = ["mini-mlvu"]  # panels
longest: str = "mini-lvbench"  # of LVBench
kinds: list = ["needle"]  # of the miniature
frames: list = []  # caps
what_if_budget: int = 192  # tokens
seed: int = 3  # own"""
    facts = {"tables": ["a"], "suites": ["mini-lvbench"], "real": True}
    both = read_notebook(write_notebook(tmp_path, "01_a", parameters=text, **facts))
    write_notebook(tmp_path, "02_b", tables=["b"])
    there = real_flow(tmp_path)
    assert [book.name for book in there.notebooks] == ["01_a"]
    assert there.suites_of(both) == ["lvbench"]
    assert there.parameters(both) == {
        "preset": "6b",
        "suites": benchmark_names("6b"),
        "longest": "lvbench",
        "kinds": [],
        "frames": [128, 256, 512, 1024, 2048],
        "what_if_budget": 0,
        "seed": 3,
    }
    assert flow.parameters(both) == {"preset": "tiny", "suites": SUITES}
    assert [book.name for book in flow.notebooks] == ["01_a", "02_b"]


def test_a_rehearsal_publishes_below_runs(tmp_path):
    path = write_notebook(tmp_path, "01_a", tables=["a"], real=True)
    there = real_flow(tmp_path, "6b-rehearsal")
    assert there.published(read_notebook(path)) == [
        "runs/6b-rehearsal/figures/a.csv",
        "runs/6b-rehearsal/figures/a.json",
    ]
    code = there.code("from tempo_lib.config import load_preset")
    for name in ("6b", "6b-rehearsal"):
        assert (PACKAGE / "presets" / f"{name}.yaml").as_posix() in code


def test_records_in_parts_are_jobs_that_a_notebook_waits_for(tmp_path):
    path = write_notebook(tmp_path, "01_a", parameters=WHOLE, suites="all", tables=["a"], real=True)
    there = real_flow(tmp_path, parts=2)
    assert there.records_jobs("mlvu") == {"records-mlvu-1of2": 0, "records-mlvu-2of2": 1}
    inputs = there.notebook_inputs(read_notebook(path))
    assert sum("records-" in name for name in inputs) == 2 * len(there.suites) == 8
    assert there.resources(1, 2)["gpu"] == 1
    assert real_flow(tmp_path, "6b-rehearsal").resources(1, 2) == {"mem_mb": 1, "runtime": 2}


@pytest.mark.parametrize("name", ["table1", "table2a", "fig1c", "fig3", "figa", "figc", "claims"])
def test_tables_and_figures_run_on_the_real_benchmarks(repo_root, name):
    made = {result for book in real_flow(repo_root).notebooks for result in book.made}
    assert name in made
    for book in real_flow(repo_root).notebooks:
        assert not any("mini-" in str(v) for v in real_flow(repo_root).parameters(book).values())


def test_the_shipped_parts_stand_in_for_those_not_trained_here(flow):
    assert flow.part_files("stage3")[0].endswith("tempo_lib/assets/tiny/stage3/card.json")
    own = flow.root / "runs" / "tiny" / "train" / "stage3"
    own.mkdir(parents=True)
    (own / "card.json").write_text("{}")
    assert flow.part_files("stage3") == ["runs/tiny/train/stage3/card.json"]


def test_from_scratch_reads_only_what_it_trains(flow):
    files = replace(flow, from_scratch=True).checkpoint
    assert {file.split("/")[3] for file in files} == set(part_names(TINY))
    assert all(file.startswith("runs/tiny/train/") for file in files)


def test_snakemake_config_becomes_a_workflow(monkeypatch, tmp_path):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    flow = Workflow.from_config({"preset": "tiny", "only": "20_claims", "from_scratch": True})
    assert (flow.root, flow.only, flow.from_scratch) == (tmp_path, "20_claims", True)
    assert Workflow.from_config({}).only is None
    with pytest.raises(ValueError, match="unknown preset"):
        Workflow.from_config({"preset": "huge"})
