"""Files of records: older ones stay readable, failures never count, several writers share one."""

import json
import multiprocessing
from dataclasses import replace

import pytest
from allocation_samples import planted

from tempo_lib.evaluation.records import Failure, Record, RecordsError, open_records, read_records

FACTS = {"budget": 60}
ADDED_LATER = ("letter", "found_by", "letter_before", "correct_before", "tags")


def failure(record, error="the file has no video stream"):
    shared = {
        name: getattr(record, name) for name in Failure.__dataclass_fields__ if name != "error"
    }
    return Failure(**shared, error=error)


def lines_of(kept):
    return [json.loads(line) for line in kept.path.read_text().splitlines()]


def test_a_record_of_the_miniature_written_before_verdicts_is_still_read(tmp_path):
    kept = open_records(tmp_path, "ata", FACTS)
    old = vars(planted([0.1, 0.9]))
    kept.path.write_text(json.dumps({k: v for k, v in old.items() if k not in ADDED_LATER}) + "\n")
    (record,) = read_records(kept.path).records.values()
    assert record == Record(**old)
    assert (record.letter, record.tags) == (None, {})


def test_a_record_of_another_version_is_refused(tmp_path):
    kept = open_records(tmp_path, "ata", FACTS)
    kept.path.write_text(json.dumps({**vars(planted([0.1])), "mood": "good"}) + "\n")
    with pytest.raises(ValueError, match="holds records of another version"):
        read_records(kept.path)


def test_a_damaged_line_is_named_with_its_file(tmp_path):
    kept = open_records(tmp_path, "ata", FACTS)
    kept.path.write_text('{"suite": "min\n' + json.dumps(vars(planted([0.1]))) + "\n")
    with pytest.raises(RecordsError, match=rf"{kept.path.name} is damaged: .*delete the line"):
        open_records(tmp_path, "ata", FACTS)


def test_a_failure_is_kept_apart_and_gives_way_to_a_record(tmp_path):
    record = planted([0.1, 0.9])
    kept = open_records(tmp_path, "ata", FACTS)
    kept.add([failure(record)])
    again = open_records(tmp_path, "ata", FACTS)
    assert (again.records, list(again.failures)) == ({}, ["q-0"])
    assert lines_of(kept)[0]["error"] == "the file has no video stream"
    again.add([record])
    assert (again.failures, again.records["q-0"]) == ({}, record)
    again.add([failure(record)])  # of a process that was slower
    assert read_records(kept.path).failures == {}
    assert len(lines_of(kept)) == 2


def test_the_same_failure_is_written_once(tmp_path):
    kept = open_records(tmp_path, "ata", FACTS)
    for _ in range(3):
        kept.add([failure(planted([0.1]))])
    assert len(lines_of(kept)) == 1


def test_what_another_process_wrote_is_seen_and_not_doubled(tmp_path):
    one, other = (open_records(tmp_path, "ata", FACTS) for _ in range(2))
    first, second = planted([0.1], "a"), planted([0.2], "b")
    one.add([first])
    other.add([replace(first, prediction="later"), second])
    assert [line["question_id"] for line in lines_of(one)] == ["a", "b"]
    assert other.records["a"] == first
    one.refresh()
    assert one.records["b"] == second


def test_a_line_cut_off_by_another_process_is_removed_before_the_next_write(tmp_path):
    one, other = (open_records(tmp_path, "ata", FACTS) for _ in range(2))
    one.add([planted([0.1], "a")])
    with one.path.open("a") as stream:
        stream.write('{"question_id": "b", "sc')  # killed in the middle
    assert list(read_records(one.path).records) == ["a"]
    other.refresh()
    other.add([planted([0.2], "c")])
    assert [line["question_id"] for line in lines_of(one)] == ["a", "c"]


def write_all(folder, numbers):
    kept = open_records(folder, "ata", FACTS)
    for number in numbers:
        kept.add([planted([0.5] * 40, f"q-{number}")])


def test_two_processes_lose_and_double_nothing(tmp_path):
    start = multiprocessing.get_context("fork").Process  # importing torch anew takes seconds
    orders = (range(120), range(119, -1, -1))
    both = [start(target=write_all, args=(tmp_path, order)) for order in orders]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    (path,) = tmp_path.glob("*.jsonl")
    names = [json.loads(line)["question_id"] for line in path.read_text().splitlines()]
    assert sorted(names) == sorted({f"q-{number}" for number in range(120)})
