"""Manifests of the suites: what they state follows from what was counted, and can be recounted."""

import json
from importlib.util import find_spec

import pytest
import yaml

from tempo_lib.miniature import manifests
from tempo_lib.miniature.benchmark import SUITES
from tempo_lib.miniature.manifests import (
    FOLDER,
    SuiteManifest,
    load_manifest,
    main,
    per_video,
    question_mix,
    recount,
    stated,
)
from tempo_lib.miniature.world.corpus_specs import SUITE_SECONDS
from tempo_lib.miniature.world.questions import KINDS
from tempo_lib.provenance import manifest_path

ROWS = [
    {"id": "v1", "what": ["when"], "long": 10.0, "question": "a text that is not kept"},
    {"id": "v1", "what": ["when", "who"], "long": 10.0, "question": "another"},
    {"id": "v2", "what": ["who"], "long": 25.0, "question": "a third"},
]
HASH = "0" * 64


def content(**changes):
    real = {"count": 2, "counted_in": "files", "reason": "because"}
    return {
        "suite": "mini-mlvu",
        "benchmark": "Toy",
        "source": {
            "origin": "here",
            "licence": "none",
            "files": [{"path": "toy.json", "sha256": HASH, "questions": 3}],
            "fields": {"video": "id", "type": "what", "seconds": "long"},
            "published": None,
            "note": "",
        },
        "mean_seconds": {"paper": SUITE_SECONDS["mini-mlvu"], "files": 17.5},
        "questions_per_video": {"mean": 1.5, "min": 1, "max": 2, "videos": {1: 1, 2: 1}},
        "types": {
            "when": {**real, "kinds": ["grounding"]},
            "who": {**real, "kinds": ["after", "before"]},
            "far": {**real, "count": 5, "kinds": ["global"], "counted_in": "published"},
        },
        "kinds": {
            **dict.fromkeys(KINDS, 0.0),
            "grounding": 2.0,
            "after": 1.0,
            "before": 1.0,
            "global": 5.0,
        },
        **changes,
    }


def toy(**changes):
    return SuiteManifest.model_validate(content(**changes))


@pytest.mark.parametrize("suite", SUITES)
def test_every_suite_has_a_manifest_that_agrees_with_itself(suite):
    manifest = load_manifest(suite)
    assert manifest.suite == suite
    assert manifest_path(f"{FOLDER}/{suite}.yaml").is_file()
    assert all(real.reason and real.kinds for real in manifest.types.values())


@pytest.mark.parametrize("suite", SUITES)
def test_the_annotation_files_give_the_counts_that_are_stated(suite, shared_dir):
    manifest = load_manifest(suite)
    annotations = shared_dir / "annotations"
    paths = [annotations / file.path for file in manifest.source.files]
    if not all(path.is_file() for path in paths):
        pytest.skip("the benchmark's annotation files are absent")
    if any(path.suffix == ".parquet" for path in paths) and find_spec("pyarrow") is None:
        pytest.skip("pyarrow, which reads Parquet, is not installed")
    assert recount(manifest, annotations) == stated(manifest)


def test_no_text_of_a_question_is_in_a_manifest(shared_dir):
    annotations = shared_dir / "annotations"
    for suite in SUITES:
        manifest = load_manifest(suite)
        text = " ".join(manifest_path(f"{FOLDER}/{suite}.yaml").read_text(encoding="utf-8").split())
        for file in manifest.source.files:
            if file.path.endswith(".json"):
                for row in json.loads((annotations / file.path).read_text(encoding="utf-8")):
                    assert " ".join(row["question"].split()) not in text


def test_recounting_counts_each_type_that_a_question_names(tmp_path):
    (tmp_path / "toy.json").write_text(json.dumps(ROWS), encoding="utf-8")
    found, said = recount(toy(), tmp_path), stated(toy())
    assert found["types"] == said["types"] == {"when": 2, "who": 2}
    assert found["seconds"] == said["seconds"] == 17.5
    assert found["questions_per_video"] == said["questions_per_video"] == per_video({1: 1, 2: 1})
    assert found["files"]["toy.json"][1] == 3
    assert found["files"] != said["files"]  # the hash differs


def test_a_type_shares_its_count_among_its_kinds():
    assert toy().kinds["after"] == toy().kinds["before"] == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kinds": {**content()["kinds"], "after": 2.0}}, "types give kinds"),
        ({"mean_seconds": {"paper": 1, "files": None}}, "mean seconds differ"),
        (
            {"questions_per_video": {"mean": 1.4, "min": 1, "max": 2, "videos": {1: 1, 2: 1}}},
            "questions per video give",
        ),
        (
            {"questions_per_video": {"mean": 2.0, "min": 2, "max": 2, "videos": {2: 1}}},
            "different numbers of questions",
        ),
        ({"suite": "mini-mlvv"}, "mean seconds differ"),
        ({"extra": 1}, "Extra inputs"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        toy(**change)


def test_an_unknown_kind_is_answered_with_the_known_ones():
    types = content()["types"]
    types["who"]["kinds"] = ["whom"]
    with pytest.raises(ValueError, match=r"unknown kinds \['whom'\]; known: needle"):
        toy(types=types)


def test_a_broken_file_is_named(tmp_path):
    path = tmp_path / "mini-mlvu.yaml"
    path.write_text(yaml.safe_dump(content(benchmark=None)), encoding="utf-8")
    with pytest.raises(ValueError, match=r"suite manifest .*mini-mlvu.yaml is not valid"):
        load_manifest("mini-mlvu", tmp_path)


def test_a_missing_manifest_names_the_way_out(tmp_path):
    with pytest.raises(FileNotFoundError, match="set TEMPO_HOME"):
        load_manifest("mini-mlvu", tmp_path)


def test_numbers_of_questions_are_bounded_and_keep_their_frequency():
    manifest = load_manifest("mini-lvbench")
    real = manifest.questions_per_video.videos
    mix = question_mix(manifest, 3, 15)
    assert dict(mix.per_story)[15] == sum(often for n, often in real.items() if n >= 15)
    assert {n: often for n, often in mix.per_story if n < 15} == {
        n: often for n, often in real.items() if n < 15
    }
    assert dict(question_mix(load_manifest("mini-longvideobench"), 3, 15).per_story) == {3: 753}
    with pytest.raises(ValueError, match="1 <= fewest <= most, got 4 and 3"):
        question_mix(manifest, 4, 3)


def test_the_command_says_which_suite_differs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(manifests, "load_manifest", lambda suite: toy())
    monkeypatch.setattr(manifests, "SUITE_SECONDS", {"mini-mlvu": 651})
    assert main(tmp_path) == 0
    assert "mini-mlvu: not counted" in capsys.readouterr().out
    (tmp_path / "toy.json").write_text(json.dumps(ROWS), encoding="utf-8")
    assert main(tmp_path) == 1
    assert f"mini-mlvu: files: {{'toy.json': ('{HASH}', 3)}}, found" in capsys.readouterr().out
