"""Media of training samples at the size the model reads: decoded once and kept, or when needed.

Kept, an epoch costs no decoding; what cannot be decoded is counted and left out, within limits.
"""

import hashlib
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np
from tqdm.auto import tqdm

from tempo_lib.config import VideoNumbers
from tempo_lib.fingerprint import code_fingerprint
from tempo_lib.model.processing import resize_frames
from tempo_lib.model.tempo import Tempo
from tempo_lib.training.parts import open_part
from tempo_lib.training.records import Part, Sample, TrainingError
from tempo_lib.video.clip import Video, collect, load_video

HELD_BYTES = 4 * 2**30  # of decoded clips in memory; the clips read last stay
# where nothing is kept: the clips of the sample at hand, which are read thrice
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

    ``folder`` None: nothing is kept, neither there nor here.
    ``safe``: each file is decoded in a process of its own, which may hang or crash alone.
    """

    def __init__(
        self,
        model: Tempo,
        video: VideoNumbers,
        max_frames: int,
        folder: Path | None,
        safe: bool = False,
    ) -> None:
        self.safe = safe
        self.rules, self.factor = model.config.pixel_rules, model.patch_shape.factor
        self.video, self.max_frames, self.folder = video, max_frames, folder
        self.most_bytes, self.num_bytes = HELD_BYTES, 0
        self._held: OrderedDict[tuple[Path, Part | None], Video] = OrderedDict()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def get(self, path: Path, part: Part | None = None) -> Video:
        """The clip as a ``Video`` whose frames already have the model's size."""
        if self.folder is None:
            return self._decode(path, part)
        key = path, part
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        clip = self._held[key] = self._load(path, part, self.folder)
        self.num_bytes += clip.frames.nbytes
        while self.num_bytes > self.most_bytes and len(self._held) > 1:
            self.num_bytes -= self._held.popitem(last=False)[1].frames.nbytes
        return clip

    def prepare(self, samples: Sequence[Sample]) -> dict[Path, str]:
        """Decode everything that is not there yet; returns the files that cannot be, and why."""
        broken: dict[Path, str] = {}
        whole = {(path, one.part or ()) for one in samples for path in one.all_media}
        for path, part in tqdm(sorted(whole), desc="decode", unit="clip", disable=len(whole) < 50):
            try:
                self.get(path, part or None)
            except ValueError as error:  # VideoError, or a picture too narrow for the model
                broken[path] = " ".join(str(error).split())
        return broken

    def _load(self, path: Path, part: Part | None, folder: Path) -> Video:
        stat = path.stat()
        key = (str(path.resolve()), stat.st_size, stat.st_mtime_ns, self.max_frames)
        numbers = (self.rules.model_dump_json(), self.factor, self.video.model_dump_json())
        shown = () if part is None else (part,)
        facts = repr((*key, *shown, *numbers, code_fingerprint(*PIXEL_CODE)))
        cached = folder / f"{hashlib.sha256(facts.encode()).hexdigest()[:32]}.npz"
        held = self._cached(cached, path)
        if held is not None:
            return held
        clip = self._decode(path, part)
        new = cached.with_suffix(f".{uuid4().hex}.part.npz")  # two ranks may write at once
        np.savez(new, frames=clip.frames, fps=clip.fps, seconds=clip.seconds, image=clip.is_image)
        new.replace(cached)  # an interrupted write never looks like a finished one
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

    def _decode(self, path: Path, part: Part | None) -> Video:
        fps, most, edge = self.video.fps, self.max_frames, self.rules.max_edge
        least = min(self.video.min_frames, most)
        if part is not None:
            clip = collect(open_part(path, part, fps, most, least, edge))
        else:  # an image by its content, whatever its name: one frame at native size
            clip = load_video(path, fps, most, least, max_edge=edge, safe=self.safe)
        small_T3HW = resize_frames(clip.frames, self.rules, self.factor, clip.is_image)
        frames = small_T3HW.permute(0, 2, 3, 1).contiguous().numpy()
        return Video(frames, clip.fps, clip.seconds, clip.source, clip.is_image)
