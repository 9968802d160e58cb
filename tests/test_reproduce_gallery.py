"""What a batch run shows of itself: times, and the gallery from provenance files."""

import json

import matplotlib
import pytest
from matplotlib.figure import Figure

from tempo_lib.config import load_preset
from tempo_lib.reproduce import gallery
from tempo_lib.reproduce.workflow import Workflow

MEASURED = "s\th:m:s\tmax_rss\tcpu_time\n{seconds}\t0:00:01\t512.5\t60.25\n"


@pytest.fixture
def flow(tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    return Workflow(preset=load_preset("tiny"), root=tmp_path)


def measure(flow, job, seconds):
    path = flow.root / flow.benchmark(job)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(MEASURED.format(seconds=seconds))


def publish(folder):
    """One published result with a picture; returns the gallery's folder."""
    facts = {"name": "fig4", "preset": "tiny", "dirty": False, "commit": "abc", "device": "cpu"}
    facts |= {"parameters": {"seed": 0, "num_questions": 64}, "files": {"fig4.png": "0"}}
    facts |= {"finished": "2026-01-01T00:00:00+00:00", "duration_seconds": 1.5}
    (folder / "tiny").mkdir(parents=True)
    (folder / "tiny" / "fig4.json").write_text(json.dumps(facts))
    matplotlib.use("agg")
    Figure(figsize=(1, 1)).savefig(folder / "tiny" / "fig4.png")
    return folder


def test_the_gallery_shows_every_published_picture_with_its_origin(tmp_path):
    folder = publish(tmp_path / "figures")
    gallery.write_gallery(folder)
    text = (folder / "README.md").read_text()
    assert "](tiny/fig4.png)" in text
    assert "[provenance](tiny/fig4.json)" in text
    assert "seed=0, num_questions=64" in text
    assert "commit abc, clean" in text
    gallery.write_gallery(folder)
    assert (folder / "README.md").read_text() == text


def test_the_committed_gallery_shows_every_committed_result(repo_root):
    text = (repo_root / "figures" / "README.md").read_text()
    for path in (repo_root / "figures" / "tiny").glob("*.png"):
        assert f"](tiny/{path.name})" in text


def test_times_of_all_jobs_are_published_with_provenance(flow):
    measure(flow, "predictions", 12.5)
    measure(flow, "20_claims", 90.0)
    gallery.publish_times(flow, {"seconds": 60.0, "jobs": 1})
    folder = flow.root / "figures" / "tiny"
    assert (folder / "reproduce.csv").read_text().splitlines() == [
        "job,seconds,cpu_seconds,memory_mb",
        "20_claims,90,60.25,512.5",
        "predictions,12.5,60.25,512.5",
    ]
    provenance = json.loads((folder / "reproduce.json").read_text())
    assert provenance["name"] == "reproduce"
    assert provenance["whole_run"] == {"seconds": 60.0, "jobs": 1}
