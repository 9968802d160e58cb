"""``tempo evaluate``: one variant, several or all, of the checkpoint or of a training's folder."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from evaluation_samples import brief, small_suite
from transformers import Qwen3VLForConditionalGeneration

from tempo_lib import prompts
from tempo_lib.checkpoints import folders as checkpoint_folders
from tempo_lib.cli.app import run
from tempo_lib.config import load_preset
from tempo_lib.evaluation import benchmark, clip, runner
from tempo_lib.evaluation.variants import VARIANTS
from tempo_lib.miniature.pretrain.build import compressor_config


@pytest.fixture(scope="module")
def work(make_tiny_tempo, tmp_path_factory):
    """What a training of another seed leaves: stages 2 and 3 and the base; no reranker."""
    folder = tmp_path_factory.mktemp("train-seed1")
    model = brief(make_tiny_tempo(1))
    config = compressor_config(load_preset("tiny"), model.encoder.tokenizer)
    base = Qwen3VLForConditionalGeneration(config)
    base.save_pretrained(folder / "base_compressor")
    model.encoder.tokenizer.save_pretrained(folder / "base_compressor")
    yes, no = (model.encoder.encode(word)[0] for word in (prompts.YES, prompts.NO))
    model.compressor.relevance_rows.copy_(base.lm_head.weight.detach()[[yes, no]])
    for name in ("stage2", "stage3"):
        model.save_pretrained(folder / name)
    return folder


@pytest.fixture(autouse=True)
def small(tmp_path, tmp_path_factory, monkeypatch):
    """A suite of seconds, records in a folder of the test, and no checkpoints but those above."""
    suite = small_suite(tmp_path_factory.getbasetemp() / "suites")
    monkeypatch.setattr(benchmark, "load_benchmark", lambda *_, **__: suite)
    for module in (runner, checkpoint_folders):
        monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    monkeypatch.setattr(
        checkpoint_folders, "resources", SimpleNamespace(files=lambda name: tmp_path)
    )


def evaluate(*arguments, work):
    base = ["evaluate", "--suite", "mini-longvideobench", "--budget", "60"]
    return run([*base, "--checkpoint", str(work), *arguments])


def test_one_variant_writes_an_object_with_types_and_forms(work, tmp_path):
    out = tmp_path / "out.json"
    assert evaluate("--variant", "ata", "--out", str(out), work=work / "stage3") == 0
    facts = json.loads(out.read_text())
    for key in ("n", "accuracy", "interval", "per_type", "per_form", "tokens_per_frame"):
        assert key in facts
    assert sum(part["n"] for part in facts["per_form"].values()) == facts["n"]
    assert set(facts["per_form"]) <= {"open", "choice"}
    assert (facts["variant"], facts["matched_to"], facts["budget"]) == ("ata", None, 60)
    assert facts["checkpoint"] == str(work / "stage3")


def test_several_variants_of_a_trainings_folder_write_a_list(work, tmp_path):
    out = tmp_path / "out.json"
    names = ["--variant", "ata", "--variant", "top-k-matched", "--variant", "ata-f16-b20"]
    assert evaluate(*names, "--out", str(out), work=work) == 0
    ata, control, point = json.loads(out.read_text())
    assert ata["checkpoint"] == str(work / "stage3")
    assert control["matched_to"] == "ata"
    assert control["token_mismatch"] == 0
    assert point["budget"] == 20


def test_all_leaves_out_what_lacks_a_part_and_names_it(work, tmp_path, capsys):
    out = tmp_path / "out.json"
    assert evaluate("--variant", "all", "--out", str(out), work=work) == 0
    err = capsys.readouterr().err
    missing = {"prior-reranker", "prior-reranker-matched"}
    assert {facts["variant"] for facts in json.loads(out.read_text())} == set(VARIANTS) - missing
    for name in missing:
        assert f"left out: variant {name}: " in err
    assert "tempo train --preset tiny --from-scratch" in err


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("prior-reranker", "no checkpoint reranker"),
        ("ata-k-min", "unknown variant 'ata-k-min'"),
        ("ata-f0-b20", "unknown variant 'ata-f0-b20'"),
    ],
)
def test_a_named_variant_that_lacks_a_part_is_bad_input(work, capsys, name, word):
    assert evaluate("--variant", name, work=work) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert len(errors) == 1
    assert word in errors[0]


def test_a_budget_goes_by_the_papers_name_where_the_suite_has_it(work, tmp_path, capsys):
    out = tmp_path / "out.json"
    assert evaluate("--variant", "ata", "--budget", "2K", "--out", str(out), work=work) == 0
    assert json.loads(out.read_text())["budget"] == benchmark.load_benchmark().tokens("2K")
    assert evaluate("--variant", "ata", "--budget", "9K", work=work) == 2
    assert "no budget '9K'; known: 2K, 4K, 8K, 12K" in capsys.readouterr().err


def test_questions_that_fail_are_counted_and_the_exit_code_is_2(
    work, tmp_path, monkeypatch, capsys
):
    suite = benchmark.load_benchmark()
    bad = replace(suite, videos=(replace(suite.videos[0], problem="gone"), *suite.videos[1:]))
    monkeypatch.setattr(benchmark, "load_benchmark", lambda *_, **__: bad)
    out = tmp_path / "out.json"
    assert evaluate("--variant", "ata", "--out", str(out), work=work) == 2
    facts = json.loads(out.read_text())
    assert (facts["n"], facts["errors"]) == (3, 3)
    assert "3 answers failed, first" in capsys.readouterr().err
    monkeypatch.setattr(benchmark, "load_benchmark", lambda *_, **__: suite)
    assert evaluate("--variant", "ata", "--out", str(out), work=work) == 0
    assert json.loads(out.read_text())["errors"] == 0


def test_a_damaged_file_is_an_error_record_and_decoding_may_be_apart(work, tmp_path, monkeypatch):
    suite = benchmark.load_benchmark()
    half = tmp_path / "half.mp4"
    half.write_bytes(suite.videos[0].path.read_bytes()[:900])
    damaged = replace(suite, videos=(replace(suite.videos[0], path=half), *suite.videos[1:]))
    decoded, real = [], clip.load_video
    monkeypatch.setattr(clip, "load_video", lambda *a, **o: decoded.append(o) or real(*a, **o))
    monkeypatch.setattr(benchmark, "load_benchmark", lambda *_, **__: damaged)
    out = tmp_path / "out.json"
    assert evaluate("--safe", "--salvage", "--out", str(out), work=work) == 2
    facts = json.loads(out.read_text())
    assert (facts["n"], facts["errors"]) == (3, 3)
    assert {(options["safe"], options["salvage"]) for options in decoded} == {(True, True)}


def test_a_run_in_which_everything_fails_has_no_accuracy(work, tmp_path, monkeypatch, capsys):
    suite = benchmark.load_benchmark()
    bad = replace(suite, videos=tuple(replace(v, problem="gone") for v in suite.videos))
    monkeypatch.setattr(benchmark, "load_benchmark", lambda *_, **__: bad)
    out = tmp_path / "out.json"
    assert evaluate("--variant", "ata", "--out", str(out), work=work) == 2
    assert not out.exists()
    assert "all 6 answers failed, first: gone" in capsys.readouterr().err


def test_a_folder_of_real_videos_makes_no_sense_for_a_generated_suite(work, capsys):
    assert evaluate("--root", "films", work=work) == 2
    assert "--root is of the real benchmarks" in capsys.readouterr().err


def test_a_variant_that_always_fails_takes_no_other_with_it(work, tmp_path, capsys):
    out = tmp_path / "out.json"
    names = ["--variant", "ata", "--variant", "no-ata", "--set", "model.max_context=130"]
    assert evaluate(*names, "--out", str(out), work=work) == 2
    facts = json.loads(out.read_text())
    assert (facts["variant"], facts["n"], facts["errors"]) == ("ata", 6, 0)
    assert "6 answers failed, first" in capsys.readouterr().err
