"""What frames need is compared with what is free, and a long video needs no more than a short one.

`python tests/test_video_memory.py > data_manifests/measurements/video_memory.json` measures
`tempo ask` on 10 minutes, 1 hour and 3 hours.
"""

import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import numpy as np
import pytest
from video_clips import numbered_frames, write_video

from tempo_lib.bench.film import repeat
from tempo_lib.video import memory
from tempo_lib.video.base import VideoError
from tempo_lib.video.clip import load_video, open_video

LENGTHS = {"10 minutes": 600, "1 hour": 3600, "3 hours": 10800}
FRAMES = 256


def long_video(path, seconds, fps=10):
    """A film of 60 s, its packets repeated: hours without encoding hours."""
    rng = np.random.default_rng(0)
    frames = numbered_frames(60 * fps, 120, 160)
    frames[:, 40:80, 60:100] = rng.integers(0, 256, (60 * fps, 40, 40, 3))
    part = write_video(path.with_name("part.mp4"), frames, fps=fps, options={"bf": "0"})
    return repeat(part, path, seconds // 60)


def peak_of_ask(path):
    """(peak megabytes, seconds of CPU) of one `tempo ask` in a process of its own."""
    code = (
        "import resource, subprocess, sys; "
        "done = subprocess.run([sys.executable, '-m', 'tempo_lib.cli', *sys.argv[1:]]); "
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
        "print(done.returncode, used.ru_maxrss / 1024, used.ru_utime, file=sys.stderr)"
    )
    ask = ["ask", str(path), "When is the red star seen?", "--max-frames", str(FRAMES), "--json"]
    done = subprocess.run([sys.executable, "-c", code, *ask], capture_output=True, text=True)
    code, peak, seconds = done.stderr.split()[-3:]
    assert code == "0" and json.loads(done.stdout)["num_frames"] == FRAMES
    return float(peak), float(seconds)


def measured():
    """Length -> what `tempo ask` needs."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, seconds in LENGTHS.items():
            path = long_video(Path(folder) / "long.mp4", seconds)
            peak, used = peak_of_ask(path)
            found[name] = {"peak_megabytes": round(peak), "cpu_seconds": round(used)}
    return found


@pytest.mark.slow
def test_the_peak_of_ask_is_flat_over_ten_minutes_to_three_hours():
    peaks = [one["peak_megabytes"] for one in measured().values()]
    assert max(peaks) <= 1.1 * min(peaks), peaks


def test_the_committed_peaks_are_flat(repo_root):
    report = json.loads((repo_root / "data_manifests/measurements/video_memory.json").read_text())
    peaks = [report["measured"][name]["peak_megabytes"] for name in LENGTHS]
    assert max(peaks) <= 1.1 * min(peaks)


def test_hours_of_packets_are_one_steady_clip(tmp_path):
    path = long_video(tmp_path / "long.mp4", 180)
    stream = open_video(path, max_frames=8)
    assert stream.num_frames == 8 and stream.seconds[-1] == pytest.approx(180 * 7 / 8)


def test_frames_that_do_not_fit_are_refused_with_the_numbers(tmp_path, monkeypatch):
    path = write_video(tmp_path / "clip.mp4", numbered_frames(8))
    monkeypatch.setattr(memory, "free_bytes", lambda: 100_000)
    with pytest.raises(VideoError, match=r"8 frames of 96x64 need 0\.0 GB.* lower max_frames") as e:
        load_video(path, fps=10.0)
    assert str(path) in str(e.value)
    assert load_video(path, fps=10.0, max_frames=5).num_frames == 5
    monkeypatch.setattr(memory, "free_bytes", lambda: None)
    assert load_video(path, fps=10.0).num_frames == 8


def test_free_memory_is_the_least_of_the_machine_and_the_group(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    assert memory.free_bytes() is None
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:  3000 kB\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.free_bytes() == 3000 * 1024
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("400000\n")
    assert memory.free_bytes() == 600_000


if __name__ == "__main__":
    facts = {"command": f"tempo ask, --max-frames {FRAMES}", "film": "160x120, 10 fps, H.264"}
    facts |= {"python": platform.python_version(), "av": av.__version__, "measured": measured()}
    print(json.dumps(facts, indent=2))
