"""Whether the sampled frames of a video fit into memory, before they are read."""

from pathlib import Path

from tempo_lib.video.base import video_error

GIGABYTE = 1e9
MEMINFO = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")  # a container's own limit is often far below the machine's


def free_bytes() -> int | None:
    """Memory that this process can still get; None where the system does not say."""
    found = []
    try:
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        found.append(int(lines["MemAvailable"].split()[0]) * 1024)
    except (OSError, KeyError, ValueError):
        pass
    try:
        most = int((GROUP / "memory.max").read_text())  # "max": no limit, ValueError
        found.append(most - int((GROUP / "memory.current").read_text()))
    except (OSError, ValueError):
        pass
    return max(0, min(found)) if found else None


def check_fits(num_frames: int, shape: tuple[int, ...], source: str | None) -> None:
    """Raise VideoError with the numbers for frames of ``shape`` (H, W, 3) that do not fit."""
    free = free_bytes()
    height, width = shape[:2]
    needed = num_frames * height * width * 3
    if free is not None and needed > free:
        sizes = f"{needed / GIGABYTE:.1f} GB, {free / GIGABYTE:.1f} GB are free"
        reason = f"{num_frames} frames of {width}x{height} need {sizes}"
        raise video_error(source or "frames", reason + "; lower max_frames or max_edge")
