"""Work that is killed at random moments: what is on disk then, and what comes of it.

`python tests/kills.py data_manifests/measurements/kills [WORK ...]` (with the package importable)
writes the report of twenty kills each, .csv and .json; tests/test_kills.py reads it and makes a
short one.
"""

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd
import torch
from filelock import FileLock
from matplotlib.figure import Figure
from safetensors import SafetensorError

from tempo_lib import Tempo
from tempo_lib.evaluation import runner
from tempo_lib.evaluation.benchmark import load_benchmark
from tempo_lib.evaluation.records import read_records
from tempo_lib.fingerprint import sha256_of_file
from tempo_lib.provenance import provenance_facts, start_run
from tempo_lib.reproduce.published import altered
from tempo_lib.training.loop import train_and_summarise
from tempo_lib.training.progress import FACTS, LOSSES, newest_state
from tests import evaluation_samples
from tests.test_training_loop import stage_run
from tests.training_samples import world_samples


class Training:
    """Steps of a training with a state after each: most kills fall into a save or next to one."""

    unit = "steps"

    def __init__(self, make_model, folder, size):
        self.make_model, self.steps = make_model, size
        self.samples = world_samples(folder, 1)
        self.manifest = folder / "own.yaml"
        self.manifest.write_text("a manifest")

    def stage(self, folder):
        return replace(stage_run(folder, self.steps), save_every=1)

    def run(self, folder):
        train_and_summarise(self.make_model(3), self.samples, self.stage(folder), self.manifest)

    def finished(self, folder):
        return (folder / "out" / "card.json").is_file()

    def look(self, folder):
        out_dir = folder / "out"
        state = newest_state(out_dir)
        if state is None:
            return 0, partials(folder), 0
        done = json.loads((state / FACTS).read_text(encoding="utf-8"))["done"]
        losses = [json.loads(line)["step"] for line in lines_of(state / LOSSES)]
        return done, partials(folder), int(losses != list(range(done)))

    def end(self, whole, cut):
        rows = [[json.loads(line) for line in lines_of(f / "out" / LOSSES)] for f in (whole, cut)]
        curves = [[(row["step"], row["loss"]) for row in curve] for curve in rows]
        weights = [(folder / "out/model.safetensors").read_bytes() for folder in (whole, cut)]
        steps = Counter(step for step, _ in curves[1])
        same = curves[0] == curves[1] and weights[0] == weights[1]
        return self.steps - len(steps), steps.total() - len(steps), same


class Recording:
    """Records of an evaluation: four variants, written question by question."""

    unit = "records"
    variants = ("ata", "no-ata", "uniform", "tail-fixed")

    def __init__(self, make_model, folder, size):
        self.model = evaluation_samples.brief(make_model(0))
        numbers = replace(evaluation_samples.NUMBERS, num_questions=size)
        self.suite = load_benchmark(
            "tiny", "mini-longvideobench", world_seed=1, root=folder, numbers=numbers
        )

    def run(self, folder):
        runner.SECONDS_BETWEEN_WRITES = 0.0
        runner.run_evaluation(self.model, self.suite, self.variants, root=folder, progress=False)

    def finished(self, folder):
        return False  # a finished one is asked for again, and makes nothing

    def made(self, folder):
        """(variant, question) -> record, of each file as the kit reads it; and lines on disk."""
        files = [read_records(path) for path in folder.rglob("*.jsonl")]
        found = {
            (record.variant, name): record
            for kept in files
            for name, record in kept.records.items()
        }
        raw = [line for kept in files for line in kept.path.read_bytes().split(b"\n")]
        return found, [line for line in raw if line]

    def look(self, folder):
        found, raw = self.made(folder)
        right = self.made(folder.with_name("whole"))[0]
        wrong = sum(right[key] != record for key, record in found.items())
        halves = sum(not line.endswith(b"}") for line in raw)
        return len(found), halves, wrong + len(raw) - halves - len(found)

    def end(self, whole, cut):
        (right, _), (found, raw) = self.made(whole), self.made(cut)
        return len(right.keys() - found.keys()), len(raw) - len(found), right == found


class Figures:
    """Versions of one published figure, each with table, two pictures and provenance."""

    unit = "version"

    def __init__(self, make_model, folder, size):
        self.versions, self.bytes = range(1, size + 1), {}
        for version in self.versions:
            self.save(folder / "reference", version)
            self.bytes[version] = self.files(folder / "reference")

    def save(self, folder, version):
        folder.mkdir(exist_ok=True)
        os.environ["TEMPO_HOME"] = str(folder)
        figure = Figure(figsize=(2, 2))
        figure.subplots().plot([0, 1], [version, 0])
        table = pd.DataFrame({"version": [version]})
        start_run("killed", preset="tiny").save(figure, table, publish=True)

    def files(self, folder):
        shown = (folder / "figures" / "tiny").glob("[a-z]*.*")
        return {path.name: path.read_bytes() for path in shown if path.suffix != ".json"}

    def version(self, folder):
        """The version that is taken for whole, 0 for none, and whether it is."""
        found = self.files(folder)
        if not found or altered(folder / "figures" / "tiny"):
            return 0, True
        version = int(found["killed.csv"].split()[1])
        return version, found == self.bytes[version]

    def run(self, folder):
        for version in self.versions:
            if version > self.version(folder)[0]:
                self.save(folder, version)

    def finished(self, folder):
        return self.version(folder)[0] == self.versions[-1]

    def look(self, folder):
        version, is_whole = self.version(folder)
        noticed = len(altered(folder / "figures" / "tiny"))
        return version, partials(folder / "figures") + noticed, int(not is_whole)

    def end(self, whole, cut):
        left = partials(cut / "figures")
        return 0, left, self.files(cut) == self.files(whole) == self.bytes[self.versions[-1]]


class Checkpoints:
    """Folders of a checkpoint in several files, one after the other."""

    unit = "checkpoints"

    def __init__(self, make_model, folder, size):
        self.models = [make_model(seed) for seed in range(size)]

    def state(self, folder):
        """What is loaded: 1 the right one, 0 refused or not there, -1 another."""
        if not folder.is_dir():
            return 0
        model = self.models[int(folder.name)]
        try:
            found = Tempo.from_pretrained(folder)
        except (OSError, ValueError, SafetensorError):
            return 0
        pairs = zip(found.state_dict().values(), model.state_dict().values(), strict=True)
        texts = [one.encoder.tokenizer.backend_tokenizer.to_str() for one in (found, model)]
        maps = [one.encoder.tokenizer.special_tokens_map for one in (found, model)]
        same = texts[0] == texts[1] and maps[0] == maps[1]
        return 1 if same and all(torch.equal(*pair) for pair in pairs) else -1

    def run(self, folder):
        for number, model in enumerate(self.models):
            if self.state(folder / str(number)) != 1:
                model.save_pretrained(folder / str(number), max_shard_size="2MB")

    def finished(self, folder):
        return all(self.state(folder / str(number)) == 1 for number in range(len(self.models)))

    def look(self, folder):
        states = [self.state(path) for path in folder.glob("*")]
        return states.count(1), states.count(0) + partials(folder), states.count(-1)

    def end(self, whole, cut):
        names = [{path.name for path in f.rglob("[a-z]*.*")} for f in (whole, cut)]
        return len(self.models) - self.look(cut)[0], 0, self.finished(cut) and names[0] == names[1]


class Suites:
    """Videos and questions of a suite."""

    unit = "files"

    def __init__(self, make_model, folder, size):
        # below 64 pixels the bytes of a clip may differ (write_clip)
        self.numbers = replace(evaluation_samples.NUMBERS, num_questions=size, size=64)

    def run(self, folder):
        load_benchmark(
            "tiny", "mini-longvideobench", world_seed=1, root=folder, numbers=self.numbers
        )

    def finished(self, folder):
        return any(folder.rglob("corpus.json"))

    def files(self, folder):
        paths = [path for path in folder.rglob("*.*") if ".partial" not in path.name]
        return {
            str(path.relative_to(folder)): sha256_of_file(path) for path in paths if path.is_file()
        }

    def look(self, folder):
        right, found = self.files(folder.with_name("whole")), self.files(folder)
        wrong = sum(right.get(name) != content for name, content in found.items())
        early = self.finished(folder) and found != right
        return len(found), partials(folder), wrong + early

    def end(self, whole, cut):
        right, found = self.files(whole), self.files(cut)
        return len(right.keys() - found.keys()), len(found.keys() - right.keys()), right == found


WORKS = {  # name -> what is killed, and how much of it: for the report, and for a test
    "training": (Training, 12, 4),
    "recording": (Recording, 6, 3),
    "figures": (Figures, 8, 2),
    "checkpoints": (Checkpoints, 4, 2),
    "suites": (Suites, 12, 3),
}


def kill_until_done(work, folder, kills, seed=0):
    """Run with ``kills`` SIGKILLs, then to the end: rows of the kills, facts of the end.

    A row: when, units that are whole on disk, half-written things that are known as such, and
    things that are wrong: doubled, or taken for whole though they are not.
    """
    whole, cut = folder / "whole", folder / "cut"
    started = time.monotonic()
    in_child(lambda: work.run(whole))
    took, moments, rows = time.monotonic() - started, random.Random(seed), []
    while len(rows) < kills:
        seconds = moments.uniform(0.02, took)
        if in_child(lambda: work.run(cut), seconds):
            rows.append((round(seconds, 2), *work.look(cut)))
            if not work.finished(cut):
                continue
        shutil.rmtree(cut)  # it was over: once more from nothing
    in_child(lambda: work.run(cut))
    lost, doubled, equal = work.end(whole, cut)
    return rows, {"unit": work.unit, "lost": lost, "doubled": doubled, "equal": equal}


def in_child(function, seconds=None):
    """Run in a process of its own, killed after ``seconds``; whether the kill met it alive."""
    child = os.fork()
    if child == 0:
        code = 3
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # its bar
            function()
            code = 0
        finally:
            os._exit(code)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if not os.WIFSIGNALED(status) and os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"the work ended with code {os.waitstatus_to_exitcode(status)}")
    return os.WIFSIGNALED(status)


def partials(folder):
    """Half-written files: ours, and safetensors' own."""
    return sum(".part" in path.name or path.name[:4] == ".tmp" for path in folder.rglob("*"))


def lines_of(path):
    return path.read_text(encoding="utf-8").splitlines()


def main(stem, names):
    """Twenty kills of each named work: their rows of ``stem``.csv, their facts in ``stem``.json."""
    from tests import conftest

    torch.set_num_threads(1)
    make_model = conftest.make_tiny_tempo._get_wrapped_function()()
    for name in names:
        started, (kind, size, _) = datetime.now(UTC), WORKS[name]
        with tempfile.TemporaryDirectory() as folder:
            work = kind(make_model, Path(folder), size)
            rows, end = kill_until_done(work, Path(folder), kills=20)
        os.environ.pop("TEMPO_HOME", None)  # of the work
        facts = provenance_facts(started, "tempo_lib.cli.app", Path(__file__))
        with FileLock(f"{stem}.lock"):
            keep(Path(f"{stem}.csv"), Path(f"{stem}.json"), name, rows, {**end, **facts})
        print(name, end, Counter(row[-1] for row in rows), file=sys.stderr)


def keep(table, document, name, rows, facts):
    """Put one work's rows and facts in the place of older ones."""
    columns = ["work", "after_seconds", "whole", "half_written", "wrong"]
    fresh = pd.DataFrame([(name, *row) for row in rows], columns=columns)
    if table.exists():
        known = pd.read_csv(table)
        fresh = pd.concat([known[known["work"] != name], fresh])
    fresh.to_csv(table, index=False)
    said = json.loads(document.read_text()) if document.exists() else {"made_by": "tests/kills.py"}
    document.write_text(json.dumps({**said, name: facts}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] or WORKS)
