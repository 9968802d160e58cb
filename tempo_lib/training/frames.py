"""Media of training samples: decoded once and kept at the size the model reads.

An epoch costs no decoding. What cannot be decoded is counted and left out, within limits.
"""

import hashlib
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np
from tqdm.auto import tqdm

from tempo_lib.config import VideoNumbers
from tempo_lib.fingerprint import code_fingerprint
from tempo_lib.model.processing import resize_frames
from tempo_lib.model.tempo import Tempo
from tempo_lib.training.records import Sample, TrainingError
from tempo_lib.video.clip import Video, load_video

PIXEL_CODE = ("tempo_lib.video.clip", "tempo_lib.model.processing")  # what stored frames come from


def without_broken(
    samples: Sequence[Sample], broken: Mapping[Path, str], most: float
) -> list[Sample]:
    """The samples all of whose media can be read; each broken file is said on stderr.

    TrainingError, which names the first file, where more than the share ``most`` of samples go.
    """
    kept = [one for one in samples if not any(path in broken for path in one.all_media)]
    num_lost = len(samples) - len(kept)
    for path, reason in broken.items():
        print(f"skipped: {reason if str(path) in reason else f'{path}: {reason}'}", file=sys.stderr)
    if num_lost > most * len(samples):
        first = next(iter(broken.items()))
        raise TrainingError(
            f"{num_lost} of {len(samples)} samples show one of {len(broken)} broken files, more "
            f"than the {most:.0%} that may be skipped; the first: {first[0]}: {first[1]}"
        )
    return kept


class FrameStore:
    """Decoded, resized clips: once from the file, then from a small array on disk or in memory.

    ``safe``: each file is decoded in a process of its own, which may hang or crash alone.
    """

    def __init__(
        self, model: Tempo, video: VideoNumbers, max_frames: int, folder: Path, safe: bool = False
    ) -> None:
        self.safe = safe
        self.rules, self.factor = model.config.pixel_rules, model.patch_shape.factor
        self.video, self.max_frames, self.folder = video, max_frames, folder
        self._held: dict[Path, Video] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, path: Path) -> Video:
        """The clip as a ``Video`` whose frames already have the model's size."""
        if path not in self._held:
            self._held[path] = self._load(path)
        return self._held[path]

    def prepare(self, paths: list[Path]) -> dict[Path, str]:
        """Decode everything that is not there yet; returns the files that cannot be, and why."""
        broken: dict[Path, str] = {}
        for path in tqdm(paths, desc="decode", unit="clip", disable=len(paths) < 50):
            try:
                self.get(path)
            except ValueError as error:  # VideoError, or a picture too narrow for the model
                broken[path] = " ".join(str(error).split())
        return broken

    def _load(self, path: Path) -> Video:
        stat = path.stat()
        key = (str(path.resolve()), stat.st_size, stat.st_mtime_ns, self.max_frames)
        numbers = (self.rules.model_dump_json(), self.factor, self.video.model_dump_json())
        facts = repr((*key, *numbers, code_fingerprint(*PIXEL_CODE)))
        cached = self.folder / f"{hashlib.sha256(facts.encode()).hexdigest()[:32]}.npz"
        held = self._cached(cached, path)
        if held is not None:
            return held
        clip = self._decode(path)
        part = cached.with_suffix(f".{uuid4().hex}.part.npz")  # two ranks may write at once
        np.savez(part, frames=clip.frames, fps=clip.fps, seconds=clip.seconds, image=clip.is_image)
        part.replace(cached)  # an interrupted write never looks like a finished one
        return clip

    def _cached(self, file: Path, path: Path) -> Video | None:
        """The clip as it was stored; None where it was not, or where the file is damaged."""
        try:
            with np.load(file) as held:
                return Video(
                    held["frames"],
                    float(held["fps"]),
                    held["seconds"],
                    str(path),
                    bool(held["image"]),
                )
        except FileNotFoundError:
            return None
        except (EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile):
            return None  # it is decoded and written again

    def _decode(self, path: Path) -> Video:
        clip = load_video(  # an image by its content, whatever its name: one frame at native size
            path,
            fps=self.video.fps,
            max_frames=self.max_frames,
            min_frames=min(self.video.min_frames, self.max_frames),
            max_edge=self.rules.max_edge,
            safe=self.safe,
        )
        small_T3HW = resize_frames(clip.frames, self.rules, self.factor, clip.is_image)
        frames = small_T3HW.permute(0, 2, 3, 1).contiguous().numpy()
        return Video(frames, clip.fps, clip.seconds, clip.source, clip.is_image)
