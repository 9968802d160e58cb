"""What is shown of a batch run: times, the gallery from provenance files, one page of HTML."""

import json
import os

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
    page = publish(tmp_path / "figures") / "README.md"
    gallery.write_gallery(page)
    text = page.read_text()
    assert "](tiny/fig4.png)" in text
    assert "[provenance](tiny/fig4.json)" in text
    assert "seed=0, num_questions=64" in text
    assert "commit abc, clean" in text
    gallery.write_gallery(page)
    assert page.read_text() == text


def test_the_report_holds_its_pictures_and_fetches_nothing(tmp_path):
    figures = publish(tmp_path / "figures")
    gallery.write_report(tmp_path / "report.html", figures)
    page = (tmp_path / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert 'src="tiny/fig4.png"' not in page
    assert "commit abc, clean" in page
    assert 'src="http' not in page


def test_times_of_all_jobs_are_published_with_provenance(flow):
    measure(flow, "clips", 12.5)
    measure(flow, "20_claims", 90.0)
    assert gallery.publish_times(flow) == 2
    folder = flow.root / "figures" / "tiny"
    assert (folder / "reproduce.csv").read_text().splitlines() == [
        "job,seconds,cpu_seconds,memory_mb",
        "20_claims,90,60.25,512.5",
        "clips,12.5,60.25,512.5",
    ]
    assert json.loads((folder / "reproduce.json").read_text())["name"] == "reproduce"
    manifest = flow.root / "data_manifests" / gallery.TIMES_MANIFEST
    manifest.parent.mkdir(parents=True)
    manifest.write_text('{"preset": "tiny", "seconds": {}}')
    assert gallery.expected_seconds(flow) == {"clips": 12.5, "20_claims": 90.0}


def test_the_time_of_a_whole_run_counts_the_jobs_that_ended_in_it(flow, monkeypatch):
    measure(flow, "clips", 12.5)
    os.utime(flow.folder / "benchmarks" / "clips.tsv", (1000, 1000))
    monkeypatch.setattr(gallery.time, "time", lambda: 2060.0)
    assert gallery.whole_run(flow) is None
    monkeypatch.setenv(gallery.STARTED, "2000")
    assert gallery.whole_run(flow) == {"seconds": 60.0, "jobs": 0}
    measure(flow, "20_claims", 90.0)
    assert gallery.whole_run(flow) == {"seconds": 60.0, "jobs": 1}
    gallery.publish_times(flow)
    provenance = json.loads((flow.root / "figures" / "tiny" / "reproduce.json").read_text())
    assert provenance["whole_run"] == {"seconds": 60.0, "jobs": 1}


def test_times_come_from_the_manifest_of_the_preset_until_measured_here(flow):
    manifest = flow.root / "data_manifests" / gallery.TIMES_MANIFEST
    manifest.parent.mkdir(parents=True)
    manifest.write_text('{"preset": "6b", "seconds": {"clips": 1.0}}')
    assert gallery.expected_seconds(flow) == {}
    manifest.write_text('{"preset": "tiny", "seconds": {"clips": 3.0, "stage0": 70.0}}')
    assert gallery.expected_seconds(flow) == {"clips": 3.0, "stage0": 70.0}
    measure(flow, "clips", 4.0)
    gallery.publish_times(flow)
    assert gallery.expected_seconds(flow) == {"clips": 4.0, "stage0": 70.0}
