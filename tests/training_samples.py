"""A handful of training samples on disk: one image, two clips, one text, in LLaVA form."""

import json
from pathlib import Path

import numpy as np

from tempo_lib.miniature.world.clips import write_clip, write_image
from tempo_lib.miniature.world.rendering import render
from tempo_lib.miniature.world.scenes import make_story
from tempo_lib.training.collate import Collator
from tempo_lib.training.data import Manifest, Source, load_samples
from tempo_lib.training.frames import FrameStore


def turn(question, answer):
    return [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]


def write_corpus(root: Path) -> Manifest:
    """Files of all three modalities under ``root``; stage 0 has images only."""
    (root / "videos").mkdir(parents=True, exist_ok=True)
    frames = render(make_story(np.random.default_rng(0), 20), seed=0)
    write_clip(root / "videos/a.mp4", frames[:8])
    write_clip(root / "videos/b.mp4", frames)
    write_image(root / "image.png", frames[0])
    files = {
        "images": [{"id": "i", "image": "image.png", "conversations": turn("<image>\nA?", "B.")}],
        "clips": [
            {"id": "a", "video": "videos/a.mp4", "conversations": turn("<video>\nWho?", "Red.")},
            {
                "id": "b",
                "video": "videos/b.mp4",
                "window": 8,
                "conversations": turn("<video>\nWho?", "Blue.") + turn("When?", "Now."),
            },
        ],
        "texts": [{"id": "t", "conversations": turn("What is this?", "Text.")}],
    }
    for name, records in files.items():
        (root / f"{name}.json").write_text(json.dumps(records))
    return manifest_of()


def manifest_of() -> Manifest:
    """The manifest of what ``write_corpus`` writes."""
    sources = {
        name: Source(
            name=name,
            annotations=f"{name}.json",
            modality=modality,
            licence="Apache-2.0",
            made_by="a test",
            note="",
        )
        for name, modality in (("images", "image"), ("clips", "video"), ("texts", "text"))
    }
    everything = tuple(sources.values())
    stages = {f"stage{stage}": everything for stage in (1, 2, 3)}
    return Manifest(preset="tiny", stages={"stage0": (sources["images"],), **stages})


def world_samples(root: Path, stage: int):
    return load_samples(write_corpus(root), stage, root)


def collator(model, root, numbers, varied_prompt_share=0.0, seed=0) -> Collator:
    store = FrameStore(model, model.config.video_numbers, numbers.max_frames, root / "frames")
    return Collator(model, store, numbers.window, numbers.max_context, varied_prompt_share, seed)
