"""Many questions over whole and damaged videos in one run, with faults injected; what is left.

`python tests/soak.py FILE.json` (with the package importable) makes the long one: 500 questions
over 60 videos. tests/test_soak.py makes a short one.
"""

import errno
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
import torch
import video_fault_cases as faults

from tempo_lib.config import load_preset
from tempo_lib.evaluation import runner
from tempo_lib.evaluation.benchmark import BENCHMARKS, Benchmark, BenchmarkVideo, Question
from tempo_lib.evaluation.real.source import measured
from tempo_lib.evaluation.records import read_records
from tempo_lib.evaluation.runner import run_evaluation
from tempo_lib.miniature.world.clips import write_clip
from tempo_lib.miniature.world.rendering import render
from tempo_lib.miniature.world.scenes import make_story
from tempo_lib.model.session import VideoSession
from tempo_lib.provenance import provenance_facts
from tests.kills import in_child

NAME, VARIANT = "soak", "ata"
TERMINAL = os.dup(2)
DAMAGED = [case for case in faults.DAMAGE if isinstance(case.right, str)]
WHOLE = [*faults.CONTAINERS, *faults.STREAMS]
ASK = ("Which number is shown with the {}?", "When is the {} seen?", "Who comes after the {}?")
THINGS = ("red star", "blue circle", "green square", "yellow heart", "white moon")


class Source:
    """Every answer counts as right: what is asked here is whether there is one."""

    @staticmethod
    def score(question, text):
        return True


def tell(text):
    """A line of progress on the error stream, also from children, whose own one is closed."""
    os.write(TERMINAL, f"soak, {time.process_time():.0f} s of CPU: {text}\n".encode())


def make_videos(folder, num_drawn, num_whole, num_damaged):
    """Video id -> (path, whether it is damaged)."""
    found = {}
    for number in range(num_drawn):
        path = folder / f"drawn-{number:02d}.mp4"
        rng = np.random.default_rng(number)
        write_clip(path, render(make_story(rng, 2 * int(rng.integers(10, 40))), number))
        found[path.stem] = (path, False)
    whole = [case for case in WHOLE if not isinstance(case.right, str)][:num_whole]
    for number, case in enumerate([*whole, *DAMAGED[:num_damaged]]):
        own = folder / f"{case.group}-{number:02d}"
        own.mkdir()
        found[own.name] = (case.make(own), isinstance(case.right, str))
    return found


def make_benchmark(videos, num_questions, home):
    """Questions dealt out among videos, whose lengths are measured as those of a real benchmark."""
    paths = {name: path for name, (path, _) in videos.items()}
    os.environ["TEMPO_HOME"] = str(home)
    media = measured(paths, load_preset("tiny").video, NAME, "tiny")
    texts = {name: [] for name in videos}
    for number in range(num_questions):
        name = list(videos)[number % len(videos)]
        text = ASK[number % len(ASK)].format(THINGS[number % len(THINGS)])
        texts[name].append(Question(id=f"q{number:03d}", text=f"{text} ({number})", answer=""))
    return Benchmark(
        name=NAME,
        preset="tiny",
        identity="soak",
        data_hash="",
        videos=tuple(
            BenchmarkVideo(id=name, path=paths[name], questions=tuple(texts[name]), **media[name])
            for name in videos
        ),
    )


class Soak:
    """One benchmark, one model, records in a folder; each method is a run with one fault.

    Every run is a process of its own. This one only forks and reads: a process that has decoded has
    threads, and a fork of it may wait for ever on what they held.
    """

    def __init__(self, model, benchmark, home, seed=0):
        self.model, self.benchmark, self.home = model, benchmark, home
        self.moments = random.Random(seed)
        runner.SECONDS_BETWEEN_WRITES = 0.0

    def run(self, home=None, videos=None):
        data = replace(self.benchmark, videos=videos or self.benchmark.videos)
        tell(f"a run over {len(data.videos)} videos")
        return run_evaluation(self.model, data, [VARIANT], root=home or self.home, progress=False)

    def undisturbed(self, home):
        """A run without faults: its seconds, and its process's memory after each video, MiB."""
        home.mkdir()
        measured_in_child = home / "memory.json"

        def watched():
            sizes, real, started = [], runner._run_video, time.monotonic()

            def one_video(*arguments):
                failed = real(*arguments)
                sizes.append(resident_mebibytes())
                tell(f"undisturbed, video {len(sizes)} of {len(self.benchmark.videos)}")
                return failed

            runner._run_video = one_video
            self.run(home)
            measured_in_child.write_text(json.dumps([time.monotonic() - started, sizes]))

        in_child(watched)
        return json.loads(measured_in_child.read_text())

    def kept(self, home=None):
        """Records and failures on disk, in the order of the questions."""
        found = read_records(self.files(home)[0])
        ids = [question.id for video in self.benchmark.videos for question in video.questions]
        return [
            [each[name] for name in ids if name in each] for each in (found.records, found.failures)
        ]

    def killed(self, seconds):
        return in_child(self.run, self.moments.uniform(0.1, seconds))

    def with_nan(self, first, last):
        """Weights are broken from the first to the last of these answers, and sound again."""
        weight, real, count = self.model.get_parameter("decoder.model.norm.weight"), [], [0]
        real.append(VideoSession.compress)
        sound = weight.detach().clone()

        def compress(*arguments):
            count[0] += 1
            weight.data.copy_(sound if not first <= count[0] <= last else sound * float("nan"))
            return real[0](*arguments)

        def broken():
            VideoSession.compress = compress
            self.run()

        in_child(broken)
        return self.failures(lambda each: "not finite" in each.error)

    def with_cut_files(self, number):
        """Some whole videos are cut while a run over the first third is at work, then whole again;
        failures of theirs."""
        part = self.benchmark.videos[: len(self.benchmark.videos) // 3 + 1]
        chosen = [video for video in part if not video.problem][:number]
        before = {video.path: video.path.read_bytes() for video in chosen}
        for path, data in before.items():
            path.write_bytes(data[: len(data) // 2])
        in_child(lambda: self.run(videos=part))
        for path, data in before.items():
            path.write_bytes(data)
        return self.failures(lambda each: each.video in {video.id for video in chosen})

    def with_full_disk(self, room):
        """No file may grow past what it has and ``room`` bytes; whether that ended the run."""
        ended = []

        def bounded():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            most = max(path.stat().st_size for path in self.files()) + room
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            try:
                self.run()
            except OSError as error:
                os._exit(9 if error.errno == errno.EFBIG else 3)

        try:
            in_child(bounded)
        except RuntimeError as error:
            ended.append("code 9" in str(error))
        return ended == [True]

    def with_cut_record(self):
        """The last line of the records is cut, as a crash of the machine leaves it."""
        (path,) = self.files()
        data = path.read_bytes()
        path.write_bytes(data[: data[:-1].rfind(b"\n") + 20])

    def failures(self, fits):
        """Failures on disk of one kind."""
        return sum(map(fits, read_records(self.files()[0]).failures.values()))

    def files(self, home=None):
        return list((home or self.home).rglob(f"{VARIANT}-*.jsonl"))


def resident_mebibytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def soak(model, folder, sizes, num_questions, kills):
    """Facts of a soak: what was injected, what was lost, doubled or wrong, and memory."""
    BENCHMARKS.register(NAME)(Source)
    media = folder / "media"
    media.mkdir()
    videos = make_videos(media, *sizes)
    benchmark = make_benchmark(videos, num_questions, folder)
    damaged = {name for name, (_, is_damaged) in videos.items() if is_damaged}
    one = Soak(model, benchmark, folder / "faulty")
    seconds, memory = one.undisturbed(folder / "undisturbed")
    right, _ = one.kept(folder / "undisturbed")
    cut = one.with_cut_files(3)
    met = sum(one.killed(seconds / (kills + 1)) for _ in range(kills))
    one.with_cut_record()
    in_child(one.run)
    answered = [each.question_id for each in right]
    rest = len(answered) // 2
    for path in one.files():  # forget the second half: the faults below need work
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[: len(lines) // 2]))
    full = one.with_full_disk(room=4000)
    with_nan = one.with_nan(2, 2 + rest // 4)
    in_child(one.run)
    done, failed = one.kept()
    lines = [json.loads(line) for line in one.files()[0].read_text().splitlines()]
    written = Counter(line["question_id"] for line in lines if "error" not in line)
    third = max(1, len(memory) // 3)
    return {
        "videos": len(videos),
        "damaged": len(damaged),
        "questions": num_questions,
        "failures_while_files_were_cut": cut,
        "kills_that_met_it": met,
        "disk_full_ended_a_run": full,
        "failures_while_weights_were_nan": with_nan,
        "answered": len(done),
        "failed": len(failed),
        "failed_of_whole_videos": sum(each.video not in damaged for each in failed),
        "answered_of_damaged_videos": sum(each.video in damaged for each in done),
        "lost": len(set(answered) - {each.question_id for each in done}),
        "doubled": sum(count - 1 for count in written.values()),
        "wrong": sum(map(str.__ne__, as_text(right), as_text(done))),
        "seconds_undisturbed": round(seconds, 1),
        "memory_mebibytes_first_third": round(max(memory[:third])),
        "memory_mebibytes_last_third": round(max(memory[-third:])),
    }


def as_text(records):
    """Of a NaN too, which equals nothing."""
    return [json.dumps(vars(record)) for record in records]


def main(target):
    from tempo_lib import Tempo
    from tempo_lib.checkpoints.folders import find_checkpoint
    from tests.soak_page import soak_page

    torch.set_num_threads(1)
    started = datetime.now(UTC)
    model = Tempo.from_pretrained(find_checkpoint("tiny"))
    model.config.max_new_tokens = 4
    with tempfile.TemporaryDirectory() as folder:
        found = soak(model, Path(folder), (20, 20, 20), 500, kills=20)
        page = Path(folder) / "page"
        page.mkdir()
        found["through_the_page"] = soak_page(model, make_videos(page, 20, 20, 20), 500)
    os.environ.pop("TEMPO_HOME", None)  # of the soak
    facts = provenance_facts(started, "tempo_lib.evaluation.runner", Path(__file__))
    document = {"made_by": "tests/soak.py", **facts, **found}
    Path(target).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(found, file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
