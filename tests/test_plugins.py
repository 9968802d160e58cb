"""One file adds an allocation policy, a scorer or a benchmark, and ``tempo evaluate`` runs it."""

import json

import numpy as np
import pytest
import torch
from evaluation_samples import brief, small_suite
from evaluation_samples import run as evaluated

from tempo_lib.allocation.policies import POLICIES
from tempo_lib.checkpoints import folders
from tempo_lib.cli.app import run
from tempo_lib.evaluation import benchmark, runner
from tempo_lib.evaluation.benchmark import BENCHMARKS
from tempo_lib.evaluation.scorers import SCORERS
from tempo_lib.miniature.world.clips import write_clip
from tempo_lib.model.tempo import Tempo

SUITE = "mini-longvideobench"

POLICY = """
import torch

from tempo_lib.allocation.policies import POLICIES


@POLICIES.register("{name}")
def newest_first(logits_N, limits, options, generator):
    counts_N = torch.zeros(len(logits_N), dtype=torch.int64)
    left = limits.budget{more}
    for segment in reversed(range(len(logits_N))):
        counts_N[segment] = min(limits.k_max, left)
        left -= int(counts_N[segment])
    return counts_N
"""

# Reads no pixel and is no Qwen3-VL: later segments score higher.
SCORER = """
import torch

from tempo_lib.evaluation.scorers import SCORERS


class Clock:
    weights = "none"

    def open(self, session):
        self.num_segments = session.num_segments
        return self

    def logits(self, question, prompt):
        return torch.arange(self.num_segments, dtype=torch.float32)


@SCORERS.register("clock")
def load(model):
    return Clock()
"""

BENCHMARK = """
from pathlib import Path

from tempo_lib.evaluation.benchmark import BENCHMARKS, Benchmark, BenchmarkVideo, Question
from tempo_lib.fingerprint import sha256_of_file

HERE = Path(__file__).parent


@BENCHMARKS.register("toy-shades")
class Shades:
    @staticmethod
    def load(preset, num_questions=0, **options):
        videos = tuple(
            BenchmarkVideo(
                id=path.stem,
                path=path,
                sha256=sha256_of_file(path),
                num_frames=24,
                questions=tuple(
                    Question(id=f"{path.stem}-{group}", text=text, answer="none", group=group)
                    for group, text in (("shade", "Which shade?"), ("motion", "What moves?"))
                ),
            )
            for path in sorted(HERE.glob("*.mp4"))
        )
        return Benchmark(
            name="toy-shades", preset=preset.name, identity="1", data_hash="1", videos=videos
        )

    @staticmethod
    def score(question, text):
        return question.group == "shade"  # an untrained model knows nothing: all shades count
"""


@pytest.fixture(scope="module")
def checkpoint(make_tiny_tempo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins") / "stage3"
    brief(make_tiny_tempo(0)).save_pretrained(folder)
    return folder


@pytest.fixture
def evaluate(checkpoint, tmp_path, tmp_path_factory, monkeypatch, capsys):
    """``evaluate(source, suite, *variants)``: the facts of --out, one per variant."""
    monkeypatch.delenv("TEMPO_PLUGINS", raising=False)
    for registry in (POLICIES, SCORERS, BENCHMARKS):  # what a test registers goes with it
        monkeypatch.setattr(registry, "_found", dict(registry._found))
    for module in (runner, folders):
        monkeypatch.setattr(module, "project_root", lambda: tmp_path)

    def tempo(source, suite, *variants, code=0):
        file, out = tmp_path / "toy.py", tmp_path / "out.json"
        file.write_text(source, encoding="utf-8")
        named = [word for variant in variants for word in ("--variant", variant)]
        options = ["--plugin", str(file), "--checkpoint", str(checkpoint), "--out", str(out)]
        assert run(["evaluate", "--suite", suite, "--budget", "60", *options, *named]) == code
        if code:
            return capsys.readouterr().err
        facts = json.loads(out.read_text(encoding="utf-8"))
        return facts if isinstance(facts, list) else [facts]

    small = small_suite(tmp_path_factory.getbasetemp() / "suites")
    monkeypatch.setattr(
        benchmark,
        "load_benchmark",
        lambda preset, name, **o: small if name == SUITE else BENCHMARKS.get(name).load(preset),
    )
    return tempo


def records(tmp_path, variant, suite=SUITE):
    folder = tmp_path / "runs" / "tiny" / "evaluations" / suite
    (path,) = folder.glob(f"{variant}-{'[0-9a-f]' * 16}.jsonl")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_policy_is_one_file_and_a_variant_by_its_name(evaluate, tmp_path):
    source = POLICY.format(name="newest", more="")
    plain, control = evaluate(source, SUITE, "newest", "newest-matched")
    assert (plain["variant"], plain["matched_to"]) == ("newest", None)
    assert (control["variant"], control["matched_to"]) == ("newest-matched", "ata")
    assert control["token_mismatch"] == 0
    for record in records(tmp_path, "newest"):
        kept = [count for count in record["counts"] if count]
        assert record["counts"][-len(kept) :] == kept
        assert record["tokens_used"] == record["budget"] == 60
        assert record["logits"] is not None


def test_a_policy_that_draws_follows_the_seed(checkpoint, tmp_path_factory, monkeypatch):
    monkeypatch.setattr(POLICIES, "_found", dict(POLICIES._found))

    @POLICIES.register("one-drawn")
    def one_drawn(logits_N, limits, options, generator):
        place = torch.randint(len(logits_N), (1,), generator=generator)
        return torch.zeros(len(logits_N), dtype=torch.int64).index_fill(0, place, limits.k_max)

    suite = small_suite(tmp_path_factory.getbasetemp() / "suites")
    model = Tempo.from_pretrained(checkpoint, device="cpu")
    counts = [
        [r.counts for r in evaluated(model, suite, ["one-drawn"], seed=seed)] for seed in (0, 0, 1)
    ]
    assert counts[0] == counts[1] != counts[2]


def test_a_policy_that_breaks_the_budget_is_refused(evaluate):
    error = r"policy 'greedy' gave 6\d tokens.*the budget is 60"
    with pytest.raises(ValueError, match=error):
        evaluate(POLICY.format(name="greedy", more=" + 5"), SUITE, "greedy")


def test_a_scorer_of_any_kind_is_one_file_and_a_prior_by_its_name(evaluate, tmp_path):
    (facts,) = evaluate(SCORER, SUITE, "prior-clock")
    assert facts["variant"] == "prior-clock"
    for record in records(tmp_path, "prior-clock"):
        assert record["scores"] == sorted(record["scores"])
        assert record["counts"] == sorted(record["counts"])


def test_a_benchmark_is_one_file_with_its_own_rule(evaluate, tmp_path):
    rng = np.random.default_rng(0)
    for name, shade in (("dark", 30), ("light", 220)):
        frames = np.full((24, 32, 32, 3), shade, dtype=np.uint8)
        write_clip(tmp_path / f"{name}.mp4", frames + rng.integers(0, 8, frames.shape, np.uint8))
    facts, _ = evaluate(BENCHMARK, "toy-shades", "ata", "uniform")
    assert (facts["n"], facts["accuracy"]) == (4, 0.5)
    assert facts["per_type"]["shade"]["accuracy"] == 1.0
    assert facts["relevance_auc"] is None
    assert {record["kind"] for record in records(tmp_path, "ata", "toy-shades")} == {
        "shade",
        "motion",
    }


def test_an_unknown_variant_names_those_of_plug_ins_too(evaluate):
    error = evaluate(POLICY.format(name="oldest", more=""), SUITE, "oldset", code=2)
    assert "unknown variant 'oldset'" in error
    assert "oldest" in error.split("known variants:")[1]


def test_a_plug_in_that_is_not_there_is_bad_input(capsys):
    words = ["evaluate", "--suite", SUITE, "--plugin", "nowhere.py"]
    assert run(words) == 2
    assert "no plug-in file nowhere.py" in capsys.readouterr().err
