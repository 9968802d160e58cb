"""The four real benchmarks: rows, prompts, counts on the real files, scores under both scorers."""

import json
import warnings

import pytest
from evaluation_samples import brief
from video_clips import numbered_frames, write_video
from video_fault_cases import changed, cut, noisy

from tempo_lib.config import load_preset
from tempo_lib.evaluation.benchmark import BENCHMARKS, Question, Reading, load_benchmark
from tempo_lib.evaluation.real.annotations import AnnotationError, read_rows, write_rows
from tempo_lib.evaluation.real.check import check
from tempo_lib.evaluation.real.source import as_question
from tempo_lib.evaluation.real.stand_in import make_stand_in
from tempo_lib.evaluation.runner import frame_of, run_evaluation
from tempo_lib.miniature.world.clips import write_clip
from tempo_lib.statistics.summaries import summarise

NAMES = ("longvideobench", "mlvu", "videomme", "lvbench")


@pytest.fixture(scope="module")
def recorded(repo_root):
    return json.loads((repo_root / "tests/data/benchmark_prompts.json").read_text())


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    return tmp_path


def lvbench_folder(folder, rows):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lvbench_clean.json").write_text(json.dumps(rows))
    return folder


def lvbench_row(**changes):
    row = {"video": "v1", "type": "tv", "question": "What is in the box?"}
    row |= {"candidates": ["(A) Tea", "(B) Ink"], "answer": "(B) Ink"}
    return row | {"question_type": ["reasoning"], "time_reference": "01:05-02:00"} | changes


def report_of(name, root, **options):
    return check(BENCHMARKS.get(name), load_preset("6b"), root, **options)


@pytest.mark.parametrize("name", NAMES)
def test_a_prompt_equals_the_one_of_lmms_eval(recorded, name):
    question = BENCHMARKS.get(name).read_question(recorded["rows"][name], "row-0")
    assert question.prompt == recorded["prompts"][name]
    assert question.answer == "B"


def test_the_same_mlvu_question_in_either_file_gives_the_same_prompt(recorded):
    theirs = {"video": "v1.mp4", "question": "What is in the box?", "question_type": "plotQA"}
    theirs |= {"candidates": ["Tea", "Ink", "Sand", "Nothing"], "answer": "Ink"}
    assert BENCHMARKS.get("mlvu").read_question(theirs, "0").prompt == recorded["prompts"]["mlvu"]


def test_evidence_of_lvbench_is_read_in_seconds():
    question = BENCHMARKS.get("lvbench").read_question(lvbench_row(), "0")
    assert (question.start, question.stop) == (65.0, 120.0)
    assert question.tags["question_type"] == ("reasoning",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answer": "(C) Sand"}, r"answer '\(C\) Sand' is not among its options"),
        ({"candidates": "Tea"}, "field 'candidates' must be a list of texts"),
        ({"question": " "}, "field 'question' must be a text"),
        ({"video": None}, "field 'video' must be a text"),
    ],
)
def test_a_row_that_is_no_question_is_named_with_file_and_row(tmp_path, changes, message):
    root = lvbench_folder(tmp_path, [lvbench_row(), lvbench_row(**changes)])
    _, refused, _ = BENCHMARKS.get("lvbench").questions(root)
    assert [str(error)[:25] for error in refused] == ["lvbench_clean.json, row 1"]
    with pytest.raises(AnnotationError, match=message):
        raise refused[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe{}", "is not UTF-8 text"),
        (b"[1, 2", "cannot be read"),
        (b"{}", "must hold a list of objects"),
        (b"[]", "must hold a list of objects"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path, content, message):
    path = tmp_path / "rows.json"
    path.write_bytes(content)
    with pytest.raises(AnnotationError, match=message):
        read_rows(path)


def test_lvbench_counts_of_the_real_file(shared_dir):
    report = report_of("lvbench", shared_dir / "annotations" / "lvbench", videos=False)
    assert (report.facts["questions"], report.facts["videos"]) == (1519, 101)
    assert report.facts["edition"] == "clean"
    assert "not the published one" in report.problems[0]


def test_videomme_counts_of_the_real_file(shared_dir):
    report = report_of("videomme", shared_dir / "annotations" / "videomme", videos=False)
    assert (report.facts["questions"], report.facts["videos"]) == (2700, 900)
    assert report.facts["answers"] == {"A": 677, "B": 735, "C": 684, "D": 604}
    assert report.facts["groups"] == {"short": 900, "medium": 900, "long": 900}
    assert report.is_good


def test_longvideobench_counts_of_the_real_file(shared_dir):
    report = report_of(
        "longvideobench", shared_dir / "annotations" / "longvideobench", videos=False
    )
    assert (report.facts["questions"], report.facts["videos"]) == (1337, 753)
    assert report.facts["options"] == {3: 1, 4: 353, 5: 983}
    assert report.facts["groups"] == {"3600": 564, "600": 412, "15": 189, "60": 172}
    assert report.is_good


def test_mlvu_counts_of_the_real_files_by_task(shared_dir):
    report = report_of("mlvu", shared_dir / "annotations" / "mlvu", videos=False)
    assert report.facts["groups"] == {"plotQA": 539, "needle": 353, "count": 206}
    refused = next(line for line in report.problems if "refused" in line)
    assert refused.startswith("2 rows refused: 2_needle.json, row 34")


def test_a_check_names_missing_and_unreadable_videos_and_double_ids(tmp_path):
    rows = [lvbench_row(uid=1), lvbench_row(uid=1), lvbench_row(video="gone", uid=2)]
    root = lvbench_folder(tmp_path, [*rows, lvbench_row(video="bad", uid=3)])
    write_video(root / "v1.mp4", numbered_frames(8))
    (root / "bad.mp4").write_bytes(b"no video")
    problems = " | ".join(report_of("lvbench", root).problems)
    assert "1 question ids occur more than once: 1" in problems
    assert "1 videos missing: gone" in problems
    assert "1 videos unreadable" in problems and "bad.mp4" in problems


def test_a_benchmark_on_disk_is_loaded_with_lengths_and_both_verdicts(home):
    root = lvbench_folder(home / "data" / "lvbench", [lvbench_row(uid=1), lvbench_row(uid=2)])
    write_video(root / "v1.mp4", numbered_frames(48))
    loaded = load_benchmark("6b", "lvbench")
    assert [question.id for question in loaded.videos[0].questions] == ["1", "2"]
    assert loaded.videos[0].num_frames >= 4
    question = loaded.videos[0].questions[0]
    verdict = BENCHMARKS.get("lvbench").judge(question, "Because (A) is wrong")
    assert (verdict.correct_before, verdict.correct) == (True, False)
    assert loaded.score(question, "(B)")
    kept = home / "runs" / "6b" / "benchmarks" / "lvbench-media.json"
    assert len(json.loads(kept.read_text())) == 1


def test_a_run_keeps_both_verdicts_and_the_types_of_a_question(home, make_tiny_tempo):
    types = ["reasoning", "entity recognition"]
    rows = [lvbench_row(uid=1, question_type=types), lvbench_row(uid=2, video="gone")]
    root = lvbench_folder(home / "films", rows)
    write_video(root / "v1.mp4", numbered_frames(48))
    benchmark = load_benchmark("6b", "lvbench", root=root)
    done = run_evaluation(brief(make_tiny_tempo()), benchmark, ["ata"], progress=False)
    (record,), (failure,) = done.records, done.failures
    verdict = benchmark.judge(benchmark.videos[0].questions[0], record.prediction)
    assert (record.letter, record.found_by) == (verdict.letter, verdict.found_by)
    assert (record.letter_before, record.correct_before) == (
        verdict.letter_before,
        verdict.correct_before,
    )
    assert record.tags["question_type"] == types
    assert failure.error == "the video's file is missing"
    assert benchmark.num_questions == 1  # that can be answered: tables hold no more
    table = summarise(frame_of(done.records, "question_type"), ["question_type"])
    assert dict(zip(table["question_type"], table["n"], strict=True)) == dict.fromkeys(types, 1)


@pytest.mark.parametrize("safe", [False, True])
def test_a_damaged_video_is_a_failure_or_salvaged_and_counted(home, make_tiny_tempo, safe):
    rows = [lvbench_row(uid=1), lvbench_row(uid=2, video="whole")]
    root = lvbench_folder(home / "films", rows)
    write_video(root / "whole.mp4", numbered_frames(48))
    changed(noisy("noise.mp4", movflags="faststart"), cut(6), "v1.mp4")(root)
    model, done = brief(make_tiny_tempo()), {}
    for salvage in (False, True):
        reading = Reading(salvage=salvage, safe=safe)
        benchmark = load_benchmark("6b", "lvbench", root=root, reading=reading)
        done[salvage] = run_evaluation(model, benchmark, ["ata"], progress=False)
    (failure,), (whole,) = done[False].failures, done[False].records
    assert failure.video == "v1" and "truncated: only 24 of 40 declared frames" in failure.error
    salvaged, again = done[True].records
    assert done[True].failures == [] and again == whole and whole.num_lost == 0
    assert (salvaged.video, 16 <= salvaged.num_lost < 25) == ("v1", True)
    files = list((home / "runs/6b/evaluations/lvbench").glob("ata-*.jsonl"))
    assert len(files) == 2  # salvaged answers are no answers about whole films


@pytest.mark.parametrize(("name", "new_tokens"), [("lvbench", 16), ("longvideobench", 32)])
def test_a_run_has_the_context_frames_and_length_of_the_release(name, new_tokens):
    source = BENCHMARKS.get(name)
    numbers = {"max_context": 32768, "min_frames": 8, "max_new_tokens": new_tokens}
    assert dict(source.profile(load_preset("6b"))) == numbers
    own = load_preset("6b", ["generation.max_new_tokens=4", "evaluation.max_context=20000"])
    assert dict(source.profile(own)) == {"max_context": 20000, "min_frames": 8}


def test_missing_videos_are_refused_with_the_command_that_lists_them(home):
    lvbench_folder(home / "data" / "lvbench", [lvbench_row()])
    with pytest.raises(ValueError, match=r"1 of 1 videos of lvbench .*`tempo data check lvbench`"):
        load_benchmark("6b", "lvbench")


def test_absent_annotations_name_where_they_come_from(home):
    with pytest.raises(ValueError, match=r"no annotations of Video-MME .* lmms-eval/Video-MME"):
        load_benchmark("6b", "videomme")


def test_a_world_seed_makes_no_sense_for_real_videos(home):
    with pytest.raises(ValueError, match="no generated benchmark"):
        load_benchmark("6b", "lvbench", world_seed=1)


def test_fewer_than_five_options_are_still_tried_as_lmms_eval_tries_them():
    question = Question(id="0", text="?", answer="C", options=("a", "b", "c"))
    assert BENCHMARKS.get("videomme").judge(question, "It is D").letter == "D"


def test_a_video_outside_the_folder_is_refused(tmp_path):
    rows = [lvbench_row(video="../secret"), lvbench_row(video="/etc/films"), lvbench_row()]
    questions, refused, _ = BENCHMARKS.get("lvbench").questions(lvbench_folder(tmp_path, rows))
    assert (len(questions), len(refused)) == (1, 2)
    assert "video '../secret' lies outside the folder" in str(refused[0])


def test_rows_that_are_known_to_be_broken_do_not_stop_a_run(home):
    def row(**changes):
        facts = {"video": "v.mp4", "question": "?", "question_type": "plotQA", "answer": "a"}
        return facts | {"candidates": ["a", "b"]} | changes

    root = home / "data" / "mlvu"
    (root / "json").mkdir(parents=True)
    write_video(root / "v.mp4", numbered_frames(16))
    broken = row(answer="neither")
    (root / "json" / "1_plotQA.json").write_text(json.dumps([row(), broken, broken]))
    with pytest.warns(UserWarning, match="2 rows are left out, as 1_plotQA.json, row 1"):
        assert load_benchmark("6b", "mlvu").num_questions == 1
    (root / "json" / "1_plotQA.json").write_text(json.dumps([row(), *[broken] * 3]))
    with pytest.raises(ValueError, match="3 such rows"):
        load_benchmark("6b", "mlvu")


def test_a_constant_answer_scores_on_videomme_what_lmms_eval_gives_it(shared_dir):
    source = BENCHMARKS.get("videomme")
    questions, _, _ = source.questions(shared_dir / "annotations" / "videomme")
    right = sum(source.score(as_question(row), "B") for row in questions)
    assert round(100 * right / len(questions), 4) == 27.2222  # its packaged task on this file


@pytest.mark.parametrize("name", NAMES)
def test_a_stand_in_rehearses_the_whole_way(name, home, shared_dir, make_tiny_tempo):
    source, folder = BENCHMARKS.get(name), home / "stand-in"
    real = shared_dir / "annotations" / name
    made = make_stand_in(source, real, folder, write_clip, share=0.001, num_videos=1)
    assert made.num_videos == 1 and made.num_questions >= 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # MLVU's two broken rows
        benchmark = load_benchmark("6b", name, root=folder, num_questions=2)
    assert benchmark.is_stand_in
    done = run_evaluation(brief(make_tiny_tempo()), benchmark, ["ata"], progress=False)
    assert (len(done.records), len(done.failures)) == (min(made.num_questions, 2), 0)
    assert not (home / "runs/6b/evaluations").exists()
    assert list((home / "runs/6b/rehearsal/evaluations" / name).glob("ata-*.jsonl"))


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".parquet"])
def test_rows_of_a_part_are_those_of_the_whole_file(tmp_path, suffix):
    rows = [{"a": index, "b": ["x", "y"], "c": f"\u00e9 {index}"} for index in range(3)]
    path = tmp_path / f"rows{suffix}"
    write_rows(path, rows[1:])
    assert read_rows(path) == rows[1:]
    nested = tmp_path / "nested.jsonl"
    nested.write_text(json.dumps({"key": "v", "qa": [{"question": "1"}, {"question": "2"}]}))
    write_rows(nested, read_rows(nested)[1:])
    assert read_rows(nested) == [{"key": "v", "question": "2"}]


def test_a_part_of_a_stand_in_is_spread_over_the_file(home):
    rows = [lvbench_row(video=f"v{index}", uid=index) for index in range(9)]
    real, folder = lvbench_folder(home / "real", rows), home / "stand-in"
    made = make_stand_in(BENCHMARKS.get("lvbench"), real, folder, write_clip, 0.001, 3)
    assert (made.num_videos, made.num_questions) == (3, 3)
    benchmark = load_benchmark("6b", "lvbench", root=folder)
    assert [video.id for video in benchmark.videos] == ["v1", "v4", "v7"]
    assert not any(video.problem for video in benchmark.videos)


def test_a_stand_in_never_fills_a_folder_of_something_else(home, tmp_path):
    annotations = lvbench_folder(tmp_path / "real", [lvbench_row()])
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "holiday.mp4").touch()
    arguments = (BENCHMARKS.get("lvbench"), annotations, tmp_path / "films", write_clip, 0.01)
    with pytest.raises(ValueError, match="is not empty and no stand-in"):
        make_stand_in(*arguments)


def test_two_questions_of_one_id_are_refused(home):
    lvbench_folder(home / "data" / "lvbench", [lvbench_row(uid=1), lvbench_row(uid=1)])
    with pytest.raises(ValueError, match="question id '1' of lvbench occurs twice"):
        load_benchmark("6b", "lvbench")
