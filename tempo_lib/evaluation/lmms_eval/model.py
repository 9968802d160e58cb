"""lmms-eval's interface to Tempo: requests in, replies out, each video decoded and encoded once."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator
from lmms_eval.api.instance import Instance
from lmms_eval.api.model import lmms
from tqdm import tqdm

from tempo_lib.checkpoints.folders import find_checkpoint
from tempo_lib.config import load_preset
from tempo_lib.model.tempo import Tempo
from tempo_lib.video.clip import Video, load_video

GREEDY = "Tempo decodes greedily: it takes no do_sample"


class TempoLmms(lmms):
    """One checkpoint of Tempo behind ``--model tempo``.

    ``--model_args``: preset (6b), checkpoint (the preset's), base_compressor, budget, k_min,
    max_frames, adaptive, device. What is left out is the checkpoint's, but for context and fewest
    frames, which are those of the preset's section ``evaluation``, as in ``tempo evaluate``; the
    task decides the length of a reply. Ranks of torchrun or ``accelerate launch`` share the
    requests as lmms-eval deals them out. ValueError for arguments of another name.
    """

    is_simple = True

    def __init__(
        self,
        preset: str = "6b",
        checkpoint: str | None = None,
        base_compressor: str | None = None,
        budget: int | None = None,
        k_min: int | None = None,
        max_frames: int | None = None,
        adaptive: bool = True,
        device: str | None = None,
        batch_size: int | str = 1,  # lmms-eval passes both; questions are read one by one
        max_batch_size: int | None = None,
        **others: Any,
    ) -> None:
        super().__init__()
        if others:
            raise ValueError(f"--model_args of tempo has no {', '.join(sorted(others))}")
        self.accelerator = Accelerator(cpu=device == "cpu")
        self._rank = self.accelerator.process_index
        self._world_size = self.accelerator.num_processes
        numbers = load_preset(preset)
        where = find_checkpoint(numbers) if checkpoint is None else checkpoint
        place = self.accelerator.device.type if device is None else device
        self.model = Tempo.from_pretrained(where, base_compressor=base_compressor, device=place)
        config = self.model.config
        if numbers.evaluation is not None:
            config.max_context = numbers.evaluation.max_context
            config.video["min_frames"] = numbers.evaluation.min_frames
        if max_frames is not None:
            config.video["max_frames"] = int(max_frames)
        self.options = {"budget": budget, "k_min": k_min, "adaptive": adaptive}

    @property
    def device(self) -> Any:
        """Where lmms-eval may put the tensors that ranks exchange."""
        return self.model.device

    def generate_until(self, requests: Sequence[Instance]) -> list[str]:
        """Replies in the order of the requests; those about one video are answered together."""
        by_media: dict[str | int, list[int]] = {}
        for index, request in enumerate(requests):
            medium = self._media(request)  # an image in memory is fetched again when it is read
            by_media.setdefault(medium if isinstance(medium, str) else index, []).append(index)
        replies = [""] * len(requests)
        hidden = self.rank != 0
        with tqdm(total=len(requests), desc="tempo", disable=hidden) as bar:
            for indices in by_media.values():
                video = self._video(self._media(requests[indices[0]]))
                session = None if video is None else self.model.open(video)
                for index in indices:
                    context, given = requests[index].args[:2]
                    options = {**self.options, **_generation(given)}
                    ask = partial(self.model.answer, None) if session is None else session.ask
                    answer = ask(context, **options)
                    replies[index] = _until(answer.text, given.get("until"))
                    self.cache_hook.add_partial("generate_until", (context, given), replies[index])
                    bar.update()
        return replies

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        raise NotImplementedError("Tempo answers in text; it ranks no given continuations")

    def generate_until_multi_round(self, requests: Sequence[Instance]) -> list[str]:
        raise NotImplementedError("Tempo answers one question at a time, without rounds")

    def _media(self, request: Instance) -> Any:
        """What a request shows: a path, an image, or None; ValueError for more than one."""
        doc_to_visual, doc_id, task, split = request.args[2:6]
        shown = doc_to_visual(self.task_dict[task][split][doc_id]) or []
        if len(shown) > 1:
            raise ValueError(
                f"{task}: Tempo takes one video or image per question, not {len(shown)}"
            )
        return shown[0] if shown else None

    def _video(self, medium: Any) -> Video | None:
        """Frames of a file at the checkpoint's sampling, or of one image."""
        if medium is None:
            return None
        numbers, rules = self.model.config.video_numbers, self.model.config.pixel_rules
        if not isinstance(medium, str | Path):
            frame_1HW3 = np.array(medium.convert("RGB"))[None]
            return Video(frame_1HW3, fps=numbers.fps, is_image=True)
        return load_video(
            medium,
            fps=numbers.fps,
            max_frames=numbers.max_frames,
            min_frames=numbers.min_frames,
            max_edge=rules.max_edge,
        )


def _generation(given: Mapping[str, Any]) -> dict[str, Any]:
    """What of a task's generation_kwargs Tempo follows. ValueError where it samples."""
    if given.get("do_sample"):
        raise ValueError(GREEDY)
    return {"max_new_tokens": given["max_new_tokens"]} if "max_new_tokens" in given else {}


def _until(text: str, stops: str | Sequence[str] | None) -> str:
    """The text before the first of the stops that occurs in it."""
    for stop in [stops] if isinstance(stops, str) else stops or []:
        text = text.split(stop, 1)[0] if stop else text
    return text
