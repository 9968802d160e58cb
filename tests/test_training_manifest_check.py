"""Training manifests: names, counts against Table B, files on disk, and what is fetched."""

import json

import pytest

from tempo_lib.cli.app import run
from tempo_lib.training import manifest_check
from tempo_lib.training.data import Manifest, Source, load_manifest
from tempo_lib.training.manifest_check import check_manifest, fetch_manifest
from tempo_lib.training.plan import Mixture
from tests.training_samples import turn


def source(name="a", **changes):
    facts = {"annotations": f"set/{name}.json", "modality": "text", "licence": "CC0-1.0"}
    return Source(name=name, **{**facts, "made_by": "a test", "note": "", **changes})


def manifest(*sources, holes=()):
    return Manifest(preset="6b", stages={"stage1": sources}, holes={"stage1": holes})


def test_the_mixtures_of_the_paper_are_checked_and_their_holes_are_said(repo_root, capsys):
    path = repo_root / "data_manifests/training/6b.yaml"
    assert run(["data", "check", str(path)]) == 0
    out = capsys.readouterr().out
    assert "stage1, image: records 676000, without count 4" in out
    assert "images counted and 4 sources without, 2,000,000 published" in out
    assert "stage3, holes: Table B has 384,000 samples" in out
    assert "stage1, not known: sha256 of 12, revision of 12, media of 0" in out
    assert "no file was looked at: name their folder with --root" in out


def test_every_hole_that_is_not_named_is_a_problem(repo_root):
    full = load_manifest(repo_root / "data_manifests/training/6b.yaml")
    published = {3: Mixture(videos=384_000)}
    assert check_manifest(full, published).problems == []
    bare = full.model_copy(update={"holes": {}})
    (problem,) = check_manifest(bare, published).problems
    assert problem == ("stage3: 0 videos counted, 384,000 published, and its holes do not say so")


def test_counts_are_those_of_the_shares_that_are_read():
    two = manifest(source(count=100, share=0.25), source("b", count=10))
    (facts,) = check_manifest(two, {}).stages.values()
    assert facts["text"] == {"records": 35, "without count": 0}
    assert check_manifest(two, {1: Mixture(texts=35)}).problems == []
    assert (
        "35 texts counted, 40 published" in check_manifest(two, {1: Mixture(texts=40)}).problems[0]
    )


def test_names_paths_and_licences_are_checked():
    twice = manifest(source(), source(), source("b", licence=" "), holes=())
    problems = check_manifest(twice, {}).problems
    assert problems == [
        "stage1: 2 sources are named a",
        "stage1: set/a.json is read 2 times",
        "stage1: b names no licence",
    ]
    other = Manifest(preset="6b", stages={}, holes={"stage9": ("all",)})
    assert "holes are named of stage9" in check_manifest(other, {}).problems[0]


def test_files_records_and_media_below_a_root_are_checked(tmp_path, capsys):
    (tmp_path / "set").mkdir()
    good = [{"id": str(n), "conversations": turn("Why?", "So.")} for n in range(3)]
    (tmp_path / "set/a.json").write_text(json.dumps(good))
    shown = [{"id": "v", "video": "gone.mp4", "conversations": turn("<video>\nWho?", "Red.")}]
    (tmp_path / "set/v.json").write_text(json.dumps(shown))
    (tmp_path / "set/empty.json").write_text("[]")
    whole = manifest(
        source(count=3),
        source("b"),
        source("v", modality="video"),
        source("empty"),
        source("few", annotations="set/a.json ".strip(), count=5),
    )
    problems = check_manifest(whole, {}, tmp_path).problems
    assert problems[0] == "stage1: set/a.json is read 2 times"
    assert problems[1].startswith("stage1: b: ") and problems[1].endswith("b.json is missing")
    assert "gone.mp4" in problems[2]
    assert problems[3].endswith("empty.json holds no records")
    assert problems[4] == "stage1: few: 3 records, the manifest says 5"
    assert len(problems) == 5
    file, report = tmp_path / "own.yaml", tmp_path / "report.json"
    file.write_text(whole.model_dump_json())
    words = ["data", "check", str(file), "--root", str(tmp_path), "--json", str(report)]
    assert run(words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("problem: stage1: ") for line in lines) >= 5
    assert json.loads(report.read_text())["stages"]["stage1"]["sources"] == 5


def test_what_is_fetched_goes_where_the_manifest_looks_for_it(tmp_path, monkeypatch, capsys):
    hubs, urls = [], []

    def hub(name, folder, files, revision):
        hubs.append((name, folder.name, files, revision))
        (folder).mkdir()
        (folder / "a.json").write_text("[]")
        return []

    def url(address, target, sha256):
        urls.append((address, target.name, sha256))

    monkeypatch.setattr(manifest_check, "fetch_hub", hub)
    monkeypatch.setattr(manifest_check, "fetch_url", url)
    whole = manifest(
        source(hub="some/set", revision="abc", media="elsewhere"),
        source("b", hub="some/set", revision="abc"),
        source("c", url="http://localhost/c.json", sha256="0" * 64),
        source("d", hub="other/name"),
        source("e"),
    )
    file = tmp_path / "own.yaml"
    file.write_text(whole.model_dump_json())
    assert run(["data", "fetch", str(file), "--root", str(tmp_path), "--stage", "1"]) == 2
    assert hubs == [("some/set", "set", ["a.json", "b.json"], "abc")]
    assert urls == [("http://localhost/c.json", "c.json", "0" * 64)]
    err = capsys.readouterr().err
    assert "not fetched: pictures or videos from elsewhere" in err
    problems = [line for line in err.splitlines() if line.startswith("problem: ")]
    assert problems == [
        "problem: d: set/d.json is not below the name of its hub",
        "problem: e says neither hub nor url",
        "problem: some/set has no b.json",
    ]
    assert run(["data", "fetch", str(file), "--stage", "2"]) == 2
    assert "has no stage2; it has stage1" in capsys.readouterr().err


def test_a_benchmark_is_fetched_by_its_hub_id(tmp_path, monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(
        "tempo_lib.training.fetch.fetch_hub", lambda *given: calls.append(given) or ["x.json"]
    )
    words = ["data", "fetch", "lvbench", "--root", str(tmp_path)]
    assert run([*words, "--no-videos"]) == 2  # as a hash is wrong
    assert "x.json has another hash than the hub" in capsys.readouterr().err
    (name, folder, patterns) = calls[0]
    assert (name, folder) == ("lmms-eval/LVBench", tmp_path) and "*.parquet" in patterns
    run(words)
    assert calls[1][2] is None
    assert run([*words, "--stage", "1"]) == 2
    assert "--stage goes with a manifest" in capsys.readouterr().err


@pytest.mark.parametrize("hash", ["abc", "0" * 63 + "G"])
def test_a_hash_that_is_none_is_refused(hash):
    with pytest.raises(ValueError, match="sha256"):
        source(sha256=hash)


def test_a_set_on_disk_is_not_fetched_without_a_hub(tmp_path):
    assert fetch_manifest(manifest(source()), tmp_path, ["stage1"]) == [
        "a says neither hub nor url"
    ]
