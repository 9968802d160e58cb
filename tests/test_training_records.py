"""The gate of training records: what is read, and that everything else is one line."""

import json

import pytest

from tempo_lib.training.records import RecordError, read_records
from tests.training_samples import turn

IMAGE, VIDEO = "<image>", "<video>"


def write(folder, content, name="own.json"):
    for image in ("a.png", "b.png", "c.mp4"):
        (folder / image).touch()
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    (folder / name).write_bytes(data)
    return folder / name


def shown(**fields):
    return {
        "id": "x",
        "image": "a.png",
        "conversations": turn("<image>\nWhat?", "A cat."),
        **fields,
    }


def test_json_lines_and_a_byte_order_mark_are_read(tmp_path):
    records = [shown(), shown(id="y")]
    lines = "\n".join(json.dumps(record) for record in records) + "\n\n"
    for content in (
        json.dumps(records).encode("utf-8-sig"),
        lines.encode(),
        lines.encode("utf-8-sig"),
        lines.replace("\n", "\r\n").encode(),
    ):
        found = read_records(write(tmp_path, content), "image")
        assert [sample.id for sample in found] == ["x:0", "y:0"]
    only = json.dumps(shown()).encode() + b"\n"
    assert len(read_records(write(tmp_path, only, "own.jsonl"), "image")) == 1


def test_chat_records_and_system_turns_are_read(tmp_path):
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "<image>What?"},
        {"role": "assistant", "content": "A cat."},
        {"role": "user", "content": "Where?"},
        {"role": "assistant", "content": "There."},
    ]
    parts = [{"type": "image"}, {"type": "text", "text": "What?"}]
    typed = [{"role": "user", "content": parts}, {"role": "assistant", "content": "A cat."}]
    records = [{"image": "a.png", "messages": turns}, {"image": ["a.png"], "messages": typed}]
    one, two, three = read_records(write(tmp_path, records), "image")
    assert (one.question, one.answer, one.system) == ("What?", "A cat.", "Be brief.")
    assert (two.question, two.answer, two.system) == ("Where?", "There.", "Be brief.")
    assert (three.question, three.system) == ("What?", None)


def test_several_images_of_a_record_keep_their_order(tmp_path):
    record = shown(image=["b.png", "a.png"], conversations=turn(f"{IMAGE}{IMAGE}\nSame?", "No."))
    (sample,) = read_records(write(tmp_path, [record]), "image")
    assert [path.name for path in sample.all_media] == ["b.png", "a.png"]


def without_value(role):
    turns = turn("What?", "A cat.")
    turns[("human", "gpt").index(role)].pop("value")
    return turns


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"conversations": turn(None, "A cat.")}, r"turn 0 \(human\) must be a text, got None"),
        ({"conversations": without_value("gpt")}, r"turn 1 \(gpt\) must be a text"),
        ({"conversations": turn("What?", "  ")}, r"turn 1 \(gpt\) is empty"),
        ({"conversations": "What?"}, "must be a list of turns"),
        ({"conversations": ["What?"]}, "turn 0 must be an object"),
        ({"conversations": [{"from": "tool", "value": "?"}]}, "turn 0 is of 'tool'"),
        ({"conversations": turn("What?", "\ud83d")}, r"lone surrogate \(U\+D83D, letter 1\)"),
        ({"messages": []}, "one list of turns"),
        ({"conversations": turn(IMAGE * 2, "A.")}, "2 media tags in its questions but 1 image"),
        ({"image": ["a.png", "b.png"]}, "1 media tags in its questions but 2 image paths"),
        ({"image": []}, "no 'image' path"),
        ({"image": 3}, "no 'image' path: expected a name or a list of names, got 3"),
        ({"image": "none.png"}, "none.png does not exist"),
        ({"image": "n" * 300}, "is no path"),
        ({"video": "c.mp4"}, "it has a key 'video'"),
        ({"window": 0}, "'window' must be a whole number"),
        ({"start": 2.0, "end": 4.0}, "'start': its source is of modality 'image'"),
    ],
)
def test_a_bad_record_is_one_line_with_file_record_and_reason(tmp_path, change, reason):
    path = write(tmp_path, [shown(), shown(**change)])
    with pytest.raises(RecordError, match=rf"own.json, record 1: .*{reason}") as caught:
        read_records(path, "image")
    assert "\n" not in str(caught.value)


def test_text_sources_have_neither_media_nor_tags(tmp_path):
    with pytest.raises(RecordError, match="1 media tags in its questions but 0 media"):
        read_records(write(tmp_path, [{"conversations": turn(IMAGE, "A.")}]), "text")
    with pytest.raises(RecordError, match="it has a key 'image'"):
        read_records(write(tmp_path, [shown(conversations=turn("A?", "A."))]), "text")


def test_videos_come_one_per_record_under_either_tag(tmp_path):
    record = {"video": "c.mp4", "conversations": turn("<image>\nWhat?", "A cat.")}
    assert len(read_records(write(tmp_path, [record]), "video")) == 1
    with pytest.raises(RecordError, match="2 videos; one is read per record"):
        read_records(write(tmp_path, [{**record, "video": ["c.mp4", "c.mp4"]}]), "video")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"data": [], "more": "\n"}, "line 1: .*one list of turns"),
        (b'{\n "data": []\n}', "got an object"),
        (b"[{", "is not JSON"),
        (b"\xff\xfe[]", "is not UTF-8 text"),
        (b'{"a": 1}\n{"b"\n', "line 1: .*more bad record"),
        (b'"text"', "got a str"),
        (b"[" * 100000, "is not JSON"),
    ],
)
def test_a_file_that_holds_no_records_is_named(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_records(write(tmp_path, content), "image")
    assert "own.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_more_bad_records_are_counted(tmp_path):
    path = write(tmp_path, [shown(image=3), shown(), shown(image=4), 5])
    with pytest.raises(RecordError, match=r"record 0: .*\(and 2 more bad records in this file\)"):
        read_records(path, "image")
