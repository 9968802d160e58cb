"""Two processes that share an evaluation give the records of one."""

import multiprocessing
import socket
from dataclasses import replace

from evaluation_samples import BUDGET, brief, run, small_suite

from tempo_lib.evaluation.ranks import Ranks, ranks_of_torchrun
from tempo_lib.evaluation.runner import run_evaluation

NAMES = ["ata", "random-drop"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def one_rank(rank, port, model, suite, root, results):
    """What ``torchrun`` does for one process; puts what it returned and what it answered itself."""
    import os

    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    options = {"budget": BUDGET, "progress": False, "root": root}
    with ranks_of_torchrun() as ranks:
        done = run_evaluation(model, suite, NAMES, ranks=ranks, **options)
        own = [video.id for video in ranks.share(suite.videos)]
    results.put((own, done.records))


def test_two_processes_give_the_records_of_one(make_tiny_tempo, tmp_path):
    model, suite = brief(make_tiny_tempo()), small_suite(tmp_path / "suites")
    alone = run(model, suite, NAMES)
    context, port = multiprocessing.get_context("fork"), free_port()
    results = context.Queue()
    processes = [
        context.Process(target=one_rank, args=(rank, port, model, suite, tmp_path, results))
        for rank in (0, 1)
    ]
    for process in processes:
        process.start()
    found = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert sorted(own for own, _ in found) == sorted([video.id] for video in suite.videos)
    assert all(records == alone for _, records in found)
    for path in tmp_path.rglob("*.jsonl"):
        assert len(path.read_text().splitlines()) == suite.num_questions


def test_without_torchrun_there_is_one_rank(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with ranks_of_torchrun() as ranks:
        assert ranks == Ranks(0, 1)
        ranks.wait()  # nobody to wait for


def test_ranks_deal_whole_videos_out_by_length(tmp_path):
    lengths = {"a": 100, "b": 60, "c": 50, "d": 10}
    first = small_suite(tmp_path).videos[0]
    videos = [replace(first, id=name, num_frames=n) for name, n in lengths.items()]
    shares = [[video.id for video in Ranks(rank, 2).share(videos)] for rank in (0, 1)]
    assert shares == [["a", "d"], ["b", "c"]]
    assert Ranks().share(videos) == videos
