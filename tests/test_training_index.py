"""The index: what is read in all forms, and 30 kinds of what is broken, each counted and named."""

import json

import numpy as np
import pytest

from tempo_lib.config import LabelRules, load_preset
from tempo_lib.miniature.world.clips import write_clip, write_image
from tempo_lib.model.processing import PatchShape
from tempo_lib.training.data import Manifest, Source, load_samples
from tempo_lib.training.index import PROBLEMS
from tempo_lib.training.indexing import Wanted, open_index
from tempo_lib.training.records import TrainingError
from tempo_lib.training.targets import OURS
from tests.training_samples import turn, write_corpus

IMAGE, VIDEO = "<image>", "<video>"
FRAMES = np.random.default_rng(0).integers(0, 255, (24, 32, 48, 3), np.uint8)


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """A folder with one good file of each kind, and the ways in which files are damaged."""
    root = tmp_path_factory.mktemp("media")
    write_clip(root / "good.mp4", FRAMES)
    write_image(root / "good.png", FRAMES[0])
    write_image(root / "thin.png", np.zeros((2, 500, 3), np.uint8))
    for place, frame in enumerate(FRAMES[:6]):
        (root / "folder").mkdir(exist_ok=True)
        write_image(root / "folder" / f"{place}.png", frame)
    (root / "nothing").mkdir()
    whole = (root / "good.mp4").read_bytes()
    (root / "empty.mp4").write_bytes(b"")
    (root / "cut.mp4").write_bytes(whole[: len(whole) // 3])
    (root / "noise.mp4").write_bytes(np.random.default_rng(1).bytes(4000))
    (root / "text.mp4").write_text("<html>not found</html>")
    (root / "cut.png").write_bytes((root / "good.png").read_bytes()[:60])
    return root


def wanted(root, sources, rules=OURS, most_broken=1.0):
    stage = [
        Source(**{"licence": "Apache-2.0", "made_by": "a test", "note": "", "name": f"s{n}", **one})
        for n, one in enumerate(sources)
    ]
    manifest = Manifest(preset="tiny", stages={"stage2": tuple(stage)})
    return Wanted(manifest, 2, root, rules, 2.0, most_broken)


def index_of(media, folder, records, modality="video", **more):
    """The index of one file of records, which lies beside the media."""
    (media / "own.json").write_text(json.dumps(records))
    asked = wanted(media, [{"annotations": "own.json", "modality": modality}], **more)
    return open_index(asked, folder / "own.arrow")


def problems(index):
    return [json.loads(line) for line in index.file.with_suffix(PROBLEMS).read_text().splitlines()]


def clip(**fields):
    return {
        "id": "x",
        "video": "good.mp4",
        "conversations": turn(f"{VIDEO}\nWho?", "Red."),
        **fields,
    }


def shown(**fields):
    return {
        "id": "x",
        "image": "good.png",
        "conversations": turn(f"{IMAGE}\nWho?", "Red."),
        **fields,
    }


def without(record, *keys):
    return {key: value for key, value in record.items() if key not in keys}


BROKEN = {
    "no object": ("video", 5, "expected an object"),
    "no turns": ("video", without(clip(), "conversations"), "expected one list of turns"),
    "two lists of turns": ("video", clip(messages=[]), "expected one list of turns"),
    "turns that are none": ("video", clip(conversations="Who?"), "must be a list of turns"),
    "empty list of turns": ("video", clip(conversations=[]), "turns must alternate"),
    "turn that is a text": ("video", clip(conversations=["Who?"]), "turn 0 must be an object"),
    "unknown role": ("video", clip(conversations=[{"from": "tool", "value": "?"}]), "is of 'tool'"),
    "question alone": ("video", clip(conversations=turn("Who?", "A")[:1]), "turns must alternate"),
    "answer first": ("video", clip(conversations=turn("Who?", "A")[::-1]), "turns must alternate"),
    "no text": ("video", clip(conversations=turn(None, "A.")), "must be a text, got None"),
    "number for a text": ("video", clip(conversations=turn("Who?", 7)), "must be a text, got 7"),
    "empty answer": ("video", clip(conversations=turn("Who?", " \n")), "turn 1 (gpt) is empty"),
    "half a letter": ("video", clip(conversations=turn("Who?", "\ud83d")), "lone surrogate"),
    "unknown part": (
        "image",
        shown(conversations=[{"role": "user", "content": [{"type": "audio"}]}]),
        "a part that is no text, image or video",
    ),
    "more tags than media": (
        "video",
        clip(conversations=turn(VIDEO * 2, "A.")),
        "2 media tags in its questions but 1 video",
    ),
    "fewer tags than media": ("image", shown(image=["good.png"] * 2), "1 media tags"),
    "no path": ("video", without(clip(), "video"), "no 'video' path"),
    "path that is a number": ("video", clip(video=3), "no 'video' path"),
    "empty list of paths": ("image", shown(image=[]), "no 'image' path"),
    "path too long": ("image", shown(image="n" * 300), "is no path"),
    "missing file": ("video", clip(video="none.mp4"), "none.mp4 does not exist"),
    "two videos": ("video", clip(video=["good.mp4"] * 2), "2 videos; one is read per record"),
    "other modality": ("image", clip(), "it has a key 'video'"),
    "window of none": ("video", clip(window=0), "'window' must be a whole number"),
    "start after end": ("video", clip(start=3, end=2), "'start' must come before 'end'"),
    "start that is a text": ("video", clip(start="0:02"), "'start' must be seconds from 0 on"),
    "part of an image": ("image", shown(start=1), "'start': its source is of modality"),
    "part past the end": ("video", clip(start=90, end=95), "no frame from second 90 to 95"),
    "empty video": ("video", clip(video="empty.mp4"), "the file is empty (0 bytes)"),
    "cut video": ("video", clip(video="cut.mp4"), "cannot read"),
    "noise": ("video", clip(video="noise.mp4"), "not a video"),
    "page of an error": ("video", clip(video="text.mp4"), "cannot read"),
    "folder without frames": ("video", clip(video="nothing"), "holds no frames"),
    "cut image": ("image", shown(image="cut.png"), "cannot read"),
    "text with an image": ("text", shown(), "it has a key 'image'"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_record_is_counted_named_and_left_out(media, tmp_path, kind, capsys):
    modality, record, reason = BROKEN[kind]
    good = {"image": shown, "video": clip}.get(modality, lambda: without(shown(), "image"))
    fine = good() if modality != "text" else {"conversations": turn("Who?", "A.")}
    index = index_of(media, tmp_path, [fine, record, fine], modality)
    (problem,) = problems(index)
    assert reason in problem["reason"] and "\n" not in problem["reason"]
    assert (problem["file"], problem["place"]) == ("own.json", "record 1")
    assert problem["id"] == (record.get("id", "1") if isinstance(record, dict) else "1")
    facts = index.facts
    assert (facts["samples"], facts["records"], facts["broken"]) == (2, 3, 1) and len(index) == 2
    assert capsys.readouterr().err.count("skipped: own.json, record 1") == 1


def test_there_are_thirty_kinds():
    assert len(BROKEN) >= 30


def test_past_the_share_it_stops_and_the_first_is_named(media, tmp_path):
    records = [clip(), clip(video="empty.mp4"), clip(window=0)]
    message = r"2 of 3 records cannot be read, more than the 50% .* record 1 \(x\): cannot read"
    with pytest.raises(TrainingError, match=message) as caught:
        index_of(media, tmp_path, records, most_broken=0.5)
    assert "\n" not in str(caught.value)
    assert len((tmp_path / "own.problems.jsonl").read_text().splitlines()) == 2
    assert len(index_of(media, tmp_path, records, most_broken=0.7)) == 1


def test_files_without_records_are_refused(media, tmp_path):
    with pytest.raises(TrainingError, match="stage 2 has no samples"):
        index_of(media, tmp_path, [])


@pytest.mark.parametrize(
    "rules",
    [OURS, LabelRules(query="context-turns", conversation="whole", targets="turn")],
)
def test_an_index_holds_the_samples_that_the_files_hold(tmp_path, rules):
    manifest = write_corpus(tmp_path)
    asked = Wanted(manifest, 2, tmp_path, rules, 2.0, 0.0)
    index = open_index(asked, tmp_path / "index/own.arrow")
    assert list(index) == load_samples(manifest, 2, tmp_path, rules)


def test_every_form_of_a_file_is_read(media, tmp_path):
    """LLaVA and chat, JSON, JSON Lines and Parquet, images, parts, folders of frames, texts."""
    import pyarrow
    from pyarrow import parquet

    system = {"from": "system", "value": "Be brief."}
    videos = [
        clip(id="whole"),
        clip(id="part", start=1.0, end=2.5),
        clip(id="folder", video="folder"),
        clip(id="turns", conversations=[system, *turn("Who?", "Red."), *turn("When?", "Now.")]),
    ]
    parts = [{"type": "image"}, {"type": "image"}, {"type": "text", "text": "Same?"}]
    chat = [{"role": "user", "content": parts}, {"role": "assistant", "content": "No."}]
    images = [{"id": "chat", "image": ["good.png"] * 2, "messages": chat}, shown(id="one")]
    texts = [{"id": n, "conversations": turn(f"What is {n}?", "Text.")} for n in range(3)]
    (media / "videos.jsonl").write_text("".join(json.dumps(one) + "\n" for one in videos))
    (media / "images.json").write_text(json.dumps(images))
    parquet.write_table(pyarrow.Table.from_pylist(texts), media / "texts.parquet")
    files = {"videos.jsonl": "video", "images.json": "image", "texts.parquet": "text"}
    sources = [{"annotations": name, "modality": kind} for name, kind in files.items()]
    asked = wanted(media, sources, most_broken=0.0)
    index = open_index(asked, tmp_path / "all.arrow")
    assert list(index) == load_samples(asked.manifest, 2, media)
    names = ["whole:0", "part:0", "folder:0", "turns:0", "turns:1", "chat:0", "one:0"]
    assert [one.id for one in index] == [*names, "0:0", "1:0", "2:0"]
    assert index[1].part == (1.0, 2.5) and index[4].system == "Be brief."
    assert [path.name for path in index[5].all_media] == ["good.png"] * 2
    assert index[7].question == "What is 0?" and index[7].media is None
    numbers = load_preset("6b").training.stages[2]
    sizes = index.sizes(
        numbers, load_preset("6b").video, load_preset("6b").pixels, PatchShape(16, 2, 2)
    )
    assert list(sizes.frames[:4]) == [24, 4, 6, 24]  # a part is filled up to the fewest frames
    assert list(sizes.segments) == [6, 1, 2, 6, 6, 2, 1, 0, 0, 0]
    area = 14 * 10  # 48x32 grown to the fewest pixels of a video, in blocks of 32
    assert sizes.loads[0] == pytest.approx(24 // 2 * area, rel=0.2)


def test_an_index_is_kept_until_what_it_is_of_changes(media, tmp_path):
    index = index_of(media, tmp_path, [clip()])
    before = index.file.stat().st_mtime_ns
    asked = wanted(media, [{"annotations": "own.json", "modality": "video", "weight": 2.0}])
    again = open_index(asked, index.file)
    assert again.file.stat().st_mtime_ns == before and again[0].weight == 2.0
    assert len(index_of(media, tmp_path, [clip(), clip(id="y")])) == 2
    index.file.with_suffix(".json").unlink()  # killed before its end
    assert len(open_index(asked, index.file)) == 2


def test_what_is_no_records_at_all_is_one_line(media, tmp_path):
    (media / "own.json").write_text("[{")
    asked = wanted(media, [{"annotations": "own.json", "modality": "video"}])
    with pytest.raises(ValueError, match="is not JSON"):
        open_index(asked, tmp_path / "own.arrow")
    asked = wanted(media, [{"annotations": "good.parquet", "modality": "video"}])
    (media / "good.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"good\.parquet is not Parquet"):
        open_index(asked, tmp_path / "own.arrow")
    asked = wanted(media, [{"annotations": "none.json", "modality": "video"}])
    with pytest.raises(ValueError, match="does not exist"):
        open_index(asked, tmp_path / "own.arrow")
