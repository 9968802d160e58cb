"""Tempo as a model of lmms-eval: against stubs of its types, and in its own environment.

The stubs have what lmms-eval 0.7.3 gives a model (api/model.py, api/instance.py,
models/registry_v2.py). The last test runs the package itself where TEMPO_LMMS_EVAL_PYTHON names a
Python that has it.
"""

import importlib
import json
import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace

import pytest
from evaluation_samples import BUDGET, brief, run, small_suite
from PIL import Image

from tempo_lib.checkpoints.folders import find_checkpoint
from tempo_lib.model.session import VideoSession
from tempo_lib.model.tempo import Tempo

MODEL = "tempo_lib.evaluation.lmms_eval.model"
PYTHON = os.environ.get("TEMPO_LMMS_EVAL_PYTHON")


class Lmms:
    """Base class of models."""

    is_simple = True

    def __init__(self):
        self._rank, self._world_size = 0, 1
        self.cache_hook = SimpleNamespace(add_partial=lambda *_: None)
        self.task_dict = {}

    rank = property(lambda self: self._rank)
    world_size = property(lambda self: self._world_size)


@dataclass(frozen=True)
class ModelManifest:
    model_id: str
    simple_class_path: str | None = None
    chat_class_path: str | None = None
    aliases: tuple[str, ...] = ()


@dataclass
class Instance:
    """A request; ``args``: context, generation_kwargs, doc_to_visual, doc_id, task, split."""

    args: tuple


@pytest.fixture
def package(monkeypatch):
    """The stubs in place of lmms-eval; what was imported over them goes with them."""
    holds = {
        "api.model": {"lmms": Lmms},
        "api.instance": {"Instance": Instance},
        "models.registry_v2": {"ModelManifest": ModelManifest},
    }
    for name in ("", ".api", ".models", *(f".{path}" for path in holds)):
        monkeypatch.setitem(sys.modules, f"lmms_eval{name}", ModuleType(f"lmms_eval{name}"))
    for path, names in holds.items():
        vars(sys.modules[f"lmms_eval.{path}"]).update(names)
    monkeypatch.delitem(sys.modules, MODEL, raising=False)
    yield importlib.import_module(MODEL)
    sys.modules.pop(MODEL, None)


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    return small_suite(tmp_path_factory.mktemp("suites"))


@pytest.fixture(scope="module")
def checkpoint(make_tiny_tempo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    brief(make_tiny_tempo()).save_pretrained(folder)
    return str(folder)


def model_of(package, checkpoint, **options):
    options = {"preset": "tiny", "device": "cpu", "budget": BUDGET, **options}
    return package.TempoLmms(checkpoint=checkpoint, **options)


def put(model, shown, questions, **generation):
    """Requests of one task whose document ``i`` shows ``shown[i]`` and has the text of its
    question."""
    model.task_dict = {"task": {"test": list(shown)}}
    return [
        Instance((text, generation, lambda doc: doc, index, "task", "test"))
        for index, text in enumerate(questions)
    ]


def pairs_of(suite):
    """(path of the video, question), the videos in turn."""
    videos = suite.videos
    return [(str(v.path), v.questions[i].text) for i in range(3) for v in videos]


def test_the_entry_point_names_the_model_and_its_class(package, repo_root):
    project = tomllib.loads((repo_root / "pyproject.toml").read_text())["project"]
    module, _, name = project["entry-points"]["lmms_eval.models"]["tempo"].partition(":")
    manifest = getattr(importlib.import_module(module), name)()
    assert manifest.model_id == "tempo"
    where, _, class_name = manifest.simple_class_path.rpartition(".")
    found = getattr(importlib.import_module(where), class_name)
    assert issubclass(found, Lmms) and found.is_simple


def test_replies_equal_those_of_the_runner_in_the_order_of_the_requests(
    package, suite, monkeypatch
):
    checkpoint = str(find_checkpoint("tiny"))  # trained: an untrained one answers with nothing
    opened, real = [], Tempo.open
    monkeypatch.setattr(Tempo, "open", lambda *a, **k: opened.append(a) or real(*a, **k))
    model = model_of(package, checkpoint)
    shown, questions = zip(*pairs_of(suite), strict=True)
    generation = {"max_new_tokens": 16}
    replies = model.generate_until(put(model, [[path] for path in shown], questions, **generation))
    assert len(opened) == len(suite.videos)  # each once, though they come in turn
    loaded = Tempo.from_pretrained(checkpoint, device="cpu")
    records = {r.question: r.prediction for r in run(loaded, suite, ["ata"])}
    assert len(set(replies)) > 2 and "" not in replies
    assert replies == [records[text] for text in questions]


def test_budget_and_length_of_a_reply_reach_the_model(package, checkpoint, suite, monkeypatch):
    seen = []
    real = VideoSession.ask
    monkeypatch.setattr(VideoSession, "ask", lambda *a, **k: seen.append(k) or real(*a, **k))
    model = model_of(package, checkpoint, budget=20, adaptive=False, max_frames=16)
    path, question = pairs_of(suite)[0]
    model.generate_until(put(model, [[path]], [question], max_new_tokens=1))
    assert seen == [{"budget": 20, "k_min": None, "adaptive": False, "max_new_tokens": 1}]
    assert model.model.config.video["max_frames"] == 16


def test_images_and_texts_are_answered_too(package, checkpoint):
    model = model_of(package, checkpoint)
    shown = [[Image.new("RGB", (64, 64), "red")], [], None]
    replies = model.generate_until(put(model, shown, ["What?", "Who?", "Where?"]))
    assert len(replies) == 3 and all(isinstance(text, str) for text in replies)


@pytest.mark.parametrize(
    ("shown", "generation", "message"),
    [
        (["a.mp4", "b.mp4"], {}, "one video or image per question, not 2"),
        ([], {"do_sample": True}, "decodes greedily"),
    ],
)
def test_what_tempo_cannot_do_is_refused(package, checkpoint, shown, generation, message):
    model = model_of(package, checkpoint)
    with pytest.raises(ValueError, match=message):
        model.generate_until(put(model, [shown], ["What?"], **generation))


def test_an_unknown_argument_is_named(package, checkpoint):
    with pytest.raises(ValueError, match="tempo has no bugdet"):
        model_of(package, checkpoint, bugdet=3)


@pytest.mark.parametrize(("stops", "text"), [(None, "A. b\n\nc"), ("\n\n", "A. b"), (["."], "A")])
def test_a_reply_ends_at_the_first_stop(package, stops, text):
    assert package._until("A. b\n\nc", stops) == text


TASK = """
task: mini
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: generate_until
doc_to_visual: !function utils.shown
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {max_new_tokens: 16}
process_results: !function utils.verdict
metric_list: [{metric: right, aggregation: mean, higher_is_better: true}]
"""
UTILS = """
def shown(doc):
    return [doc["path"]]


def verdict(doc, results):
    return {"right": float(results[0] == doc["answer"])}
"""


@pytest.mark.skipif(not PYTHON, reason="TEMPO_LMMS_EVAL_PYTHON names no Python with lmms-eval")
@pytest.mark.parametrize("num_ranks", [1, 2])
def test_lmms_eval_itself_gets_the_answers_of_the_runner(suite, tmp_path, repo_root, num_ranks):
    checkpoint = str(find_checkpoint("tiny"))  # trained, so that its answers differ by question
    data, tasks, out = tmp_path / "data.jsonl", tmp_path / "tasks", tmp_path / "out"
    rows = [
        {"path": str(video.path), "question": question.text, "answer": question.answer}
        for video in suite.videos
        for question in video.questions
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    tasks.mkdir()
    (tasks / "mini.yaml").write_text(TASK.replace("DATA", str(data)))
    (tasks / "utils.py").write_text(UTILS)
    plugin = tmp_path / "plugin" / "tempo_lib-0.dist-info"
    plugin.mkdir(parents=True)
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: tempo-lib-plugin\nVersion: 0\n")
    entry = "[lmms_eval.models]\ntempo = tempo_lib.evaluation.lmms_eval:manifest\n"
    (plugin / "entry_points.txt").write_text(entry)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(num_ranks)]
    given = f"preset=tiny,checkpoint={checkpoint},budget={BUDGET},device=cpu"
    command = [PYTHON, *(launch if num_ranks > 1 else []), "-m", "lmms_eval", "--model", "tempo"]
    command += ["--model_args", given, "--tasks", "mini", "--include_path", str(tasks)]
    command += ["--output_path", str(out), "--log_samples", "--batch_size", "1"]
    paths = [str(plugin.parent), str(repo_root), os.environ.get("PYTHONPATH", "")]
    settings = {"PYTHONPATH": os.pathsep.join(paths), "HF_HOME": str(tmp_path / "hub")}
    settings |= {"HF_HUB_OFFLINE": "1", "ACCELERATE_USE_CPU": "yes"}
    done = subprocess.run(
        command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (log,) = out.rglob("*_samples_mini.jsonl")
    samples = sorted(map(json.loads, log.read_text().splitlines()), key=lambda s: s["doc_id"])
    loaded = Tempo.from_pretrained(checkpoint, device="cpu")
    records = run(loaded, suite, ["ata"])
    predictions = [record.prediction for record in records]
    assert [s["filtered_resps"] for s in samples] == predictions
    assert len(set(predictions)) > 1
