"""One video's frames, read from the file and brought to reading size once for all compressors."""

from tempo_lib.evaluation.benchmark import BenchmarkVideo
from tempo_lib.model.processing import resize_frames
from tempo_lib.model.tempo import Tempo
from tempo_lib.video.clip import Video, load_video


class SharedFrames:
    """The frames that models of the same video and pixel rules read of one video."""

    def __init__(self, video: BenchmarkVideo) -> None:
        self.video = video
        self._kept: dict[tuple[str, str, int, int], Video] = {}

    def num_frames(self, model: Tempo) -> int:
        """Frames of the video, up to the cap of the model."""
        return min(self.video.num_frames, model.config.video_numbers.max_frames)

    def at(self, model: Tempo, num_frames: int) -> Video:
        """The clip at ``num_frames`` evenly spread frames, as sampling the file gives them."""
        whole = self._read(model, self.num_frames(model))
        if num_frames == whole.num_frames:
            return whole
        if whole.num_frames == self.video.num_frames:  # nothing of the file is missing
            return load_video(whole.frames, fps=whole.fps, max_frames=num_frames, max_edge=None)
        return self._read(model, num_frames)

    def _read(self, model: Tempo, num_frames: int) -> Video:
        numbers, rules = model.config.video_numbers, model.config.pixel_rules
        factor = model.patch_shape.factor
        key = (numbers.model_dump_json(), rules.model_dump_json(), factor, num_frames)
        if key in self._kept:
            return self._kept[key]
        clip = load_video(
            self.video.path,
            fps=numbers.fps,
            max_frames=num_frames,
            min_frames=min(numbers.min_frames, num_frames),
            max_edge=rules.max_edge,
        )
        if clip.num_frames != num_frames:
            raise ValueError(
                f"{self.video.path} gave {clip.num_frames} frames instead of {num_frames}; "
                "delete the suite's folder to build it again"
            )
        small_T3HW = resize_frames(clip.frames, rules, factor)
        frames = small_T3HW.permute(0, 2, 3, 1).contiguous().numpy()
        self._kept[key] = Video(frames, clip.fps, clip.seconds, clip.source)
        return self._kept[key]
