import json
from collections import Counter
from dataclasses import replace

import av
import numpy as np
import pytest
import yaml
from PIL import Image

from tempo_lib import prompts
from tempo_lib.miniature.world import corpora
from tempo_lib.miniature.world.captions import CAPTION_QUESTION, caption, describe_actor
from tempo_lib.miniature.world.corpora import build_corpus
from tempo_lib.miniature.world.corpus_specs import (
    CorpusSpec,
    SourceSpec,
    SuiteSpec,
    story_of,
    suite_corpus,
)
from tempo_lib.miniature.world.question_sets import QuestionMix, right_option
from tempo_lib.miniature.world.questions import all_questions, is_correct
from tempo_lib.miniature.world.scenes import Story, read_scene
from tempo_lib.miniature.world.sprites import INKS

IMAGES = SourceSpec(
    name="images",
    modality="image",
    num_stories=6,
    min_frames=1,
    max_frames=1,
    frame_step=2,
    window=4,
    questions_per_story=0,
    captions=True,
)
CLIPS = SourceSpec(
    name="clips",
    modality="video",
    num_stories=3,
    min_frames=12,
    max_frames=20,
    frame_step=4,
    window=4,
    questions_per_story=4,
    captions=False,
)
TEXTS = replace(CLIPS, name="texts", modality="text", num_stories=4)
SPEC = CorpusSpec(name="stage2", size=64, crf=30, sources=(IMAGES, CLIPS, TEXTS))
SUITE = SuiteSpec(
    name="mini-mlvu",
    num_videos=3,
    mix=QuestionMix(
        kind_weights=(("needle", 3.0), ("comparison", 1.0), ("counting", 1.0), ("global", 1.0)),
        per_story=((4, 1), (6, 1)),
    ),
    choice_share=0.5,
    lengths=(("", 64),),
    jitter=0.15,
    window=8,
    size=64,
    crf=30,
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora") / "stage2"
    return folder, build_corpus(folder, SPEC, seed=7)


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suites") / SUITE.name
    return folder, build_corpus(folder, suite_corpus(SUITE), seed=7)


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def stories_in(folder):
    for entry in load(folder / "questions-stories.json"):
        yield entry["video"], Story(tuple(map(read_scene, entry["scenes"])))


@pytest.mark.parametrize("source", SPEC.sources, ids=lambda source: source.modality)
def test_samples_are_llava_conversations(corpus, source):
    folder, _ = corpus
    records = load(folder / f"{source.name}.json")
    assert len({record["id"] for record in records}) == len(records) > 0
    for record in records:
        human, answer = record["conversations"]
        assert (human["from"], answer["from"]) == ("human", "gpt")
        assert record["window"] == 4
        for modality in ("image", "video"):
            assert (modality in record) == (modality == source.modality)
            assert human["value"].startswith(f"<{modality}>\n") == (modality == source.modality)
        if source.modality != "text":
            assert (folder / record[source.modality]).is_file()


def test_an_image_shows_what_its_caption_says(corpus):
    folder, _ = corpus
    for record in load(folder / "images.json"):
        human, answer = record["conversations"]
        assert human["value"] == f"<image>\n{CAPTION_QUESTION}"
        picture_HWC = np.asarray(Image.open(folder / record["image"])).astype(int)
        seen = {
            colour
            for colour, ink in INKS.items()
            if (np.abs(picture_HWC - ink).max(-1) <= 8).sum() > 15
        }
        assert seen == {colour for colour in INKS if colour in answer["value"].split()}


def test_a_clip_holds_its_story_and_its_answers_are_true(corpus):
    folder, manifest = corpus
    records = load(folder / "clips.json")
    num_frames = 0
    for index in range(CLIPS.num_stories):
        story = story_of("stage2", CLIPS, 7, index)
        path = f"videos/clips-{index:06d}.mp4"
        with av.open(str(folder / path)) as container:
            assert sum(1 for _ in container.decode(video=0)) == story.num_frames
        num_frames += story.num_frames
        known = {(q.text, q.answer) for q in all_questions(story, CLIPS.window)}
        turns = [record["conversations"] for record in records if record["video"] == path]
        assert turns
        for human, answer in turns:
            assert (human["value"].removeprefix("<video>\n"), answer["value"]) in known
    assert manifest["counts"]["clips"]["frames"] == num_frames


def test_a_text_sample_carries_its_transcript(corpus):
    folder, _ = corpus
    for record in load(folder / "texts.json"):
        index = int(record["id"].split("-")[2])
        story = story_of("stage2", TEXTS, 7, index)
        text, question = record["conversations"][0]["value"].split("\n")
        assert text.startswith(f"<1.0 seconds> {caption(story, 0, 4)}<3.0 seconds>")
        assert question.endswith("?")


def test_captions_of_clips_name_all_scenes_in_order(tmp_path):
    short = replace(CLIPS, num_stories=2, min_frames=8, max_frames=8, captions=True)
    build_corpus(tmp_path / "c", replace(SPEC, name="stage1", sources=(short,)), seed=0)
    captions = [r for r in load(tmp_path / "c" / "clips.json") if r["kind"] == "caption"]
    expected = [caption(story_of("stage1", short, 0, index), 0, 8) for index in range(2)]
    assert [record["conversations"][1]["value"] for record in captions] == expected


def test_a_kind_named_twice_is_asked_twice_as_often(tmp_path):
    kinds = ("needle", "needle", "global")
    source = replace(CLIPS, num_stories=12, min_frames=60, max_frames=60, kinds=kinds)
    source = replace(source, modality="text", questions_per_story=3)
    manifest = build_corpus(tmp_path, replace(SPEC, sources=(source,)), seed=0)
    asked = manifest["counts"]["clips"]["kinds"]
    assert asked["needle"] >= 22
    assert asked["global"] <= 12


def test_the_same_spec_and_seed_give_the_same_bytes_with_two_workers(corpus, tmp_path):
    folder, manifest = corpus
    assert build_corpus(tmp_path / "again", SPEC, seed=7, workers=2) == manifest
    assert contents(tmp_path / "again") == contents(folder)


def test_another_seed_gives_other_stories():
    assert story_of("stage2", CLIPS, 0, 0) != story_of("stage2", CLIPS, 1, 0)
    assert story_of("stage2", CLIPS, 0, 0) == story_of("stage2", CLIPS, 0, 0)


def test_an_interrupted_build_goes_on_where_it_stopped(tmp_path):
    spec = replace(SPEC, sources=(replace(CLIPS, num_stories=2),))
    manifest = build_corpus(tmp_path, spec, seed=1)
    before = contents(tmp_path)
    kept, lost = (tmp_path / "videos" / f"clips-00000{index}.mp4" for index in range(2))
    written = kept.stat().st_mtime_ns
    lost.unlink()
    (tmp_path / "corpus.json").unlink()
    assert build_corpus(tmp_path, spec, seed=1) == manifest
    assert contents(tmp_path) == before
    assert kept.stat().st_mtime_ns == written


def test_a_finished_corpus_that_lost_a_clip_is_completed(tmp_path):
    spec = replace(SPEC, sources=(replace(CLIPS, num_stories=1),))
    build_corpus(tmp_path, spec, seed=1)
    (tmp_path / "videos" / "clips-000000.mp4").unlink()
    build_corpus(tmp_path, spec, seed=1)
    assert (tmp_path / "videos" / "clips-000000.mp4").is_file()


def test_a_finished_corpus_is_only_read(tmp_path, monkeypatch):
    """Jobs side by side read one corpus: two that write its marker would trip each other."""
    made = build_corpus(tmp_path, SPEC, seed=0)
    monkeypatch.setattr(corpora, "write_atomic", lambda path, _: pytest.fail(f"wrote {path}"))
    assert build_corpus(tmp_path, SPEC, seed=0) == made


def test_a_folder_of_another_spec_or_seed_is_refused(corpus):
    folder, _ = corpus
    before = contents(folder)
    with pytest.raises(ValueError, match="delete the folder or name another one"):
        build_corpus(folder, SPEC, seed=8)
    with pytest.raises(ValueError, match="another spec or seed"):
        build_corpus(folder, replace(SPEC, crf=31), seed=7)
    assert contents(folder) == before


def test_corpus_json_counts_what_is_there(corpus):
    folder, manifest = corpus
    assert manifest["media"]["num_files"] == 6 + 3
    assert manifest["media"]["bytes"] == sum(
        path.stat().st_size for name in ("images", "videos") for path in (folder / name).iterdir()
    )
    for source in SPEC.sources:
        counts = manifest["counts"][source.name]
        assert counts["samples"] == len(load(folder / f"{source.name}.json"))
        assert counts["samples"] == sum(counts["kinds"].values())


def test_no_sample_holds_a_system_prompt(corpus, suite):
    for folder, _ in (corpus, suite):
        for path in folder.glob("*.json"):
            text = path.read_text(encoding="utf-8")
            for prompt in (prompts.STANDARD, prompts.ROUTING):
                assert prompt not in text
            assert "relevan" not in text.lower()
            assert "routing" not in text.lower()


def test_a_suite_gives_an_evaluator_all_it_needs(suite):
    folder, _ = suite
    stories = dict(stories_in(folder))
    for record in load(folder / "questions.json"):
        story = stories[record["video"]]
        human, answer = (turn["value"] for turn in record["conversations"])
        text, *lines = human.removeprefix("<video>\n").split("\n")
        every = all_questions(story, SUITE.window)
        known = {(q.kind, q.text, q.actors, q.interval): q for q in every}
        key = (record["kind"], text, tuple(record["actors"]), tuple(record["interval"]))
        assert record["options"] == [line[1:].strip() for line in lines]
        if lines:
            assert is_correct(known[key], record["options"]["ABCD".index(answer[-2])])
            assert right_option(known[key]) in record["options"]
        else:
            assert answer == known[key].answer
        assert record["duration_seconds"] == story.num_frames / 2
        assert 54 <= story.num_frames <= 74


def test_corpus_json_records_the_mix_that_came_out(suite):
    folder, manifest = suite
    records = load(folder / "questions.json")
    counts = manifest["counts"]["questions"]
    assert counts["kinds"] == dict(sorted(Counter(r["kind"] for r in records).items()))
    assert counts["choices"] == sum(bool(record["options"]) for record in records)
    assert 0 < counts["choices"] < len(records)
    per_video = Counter(record["video"] for record in records)
    assert set(per_video.values()) <= {4, 6}


def test_a_share_of_a_training_source_lists_options_and_the_rest_stays_as_it_is(corpus, tmp_path):
    folder, _ = corpus
    half = replace(CLIPS, choice_share=0.5)
    manifest = build_corpus(tmp_path, replace(SPEC, sources=(half,)), seed=7)
    before, after = load(folder / "clips.json"), load(tmp_path / "clips.json")
    assert [record["kind"] for record in before] == [record["kind"] for record in after]
    listed = [record for record in after if record not in before]
    assert manifest["counts"]["clips"]["choices"] == len(listed) == len(after) / 2
    for record in listed:
        human, answer = (turn["value"] for turn in record["conversations"])
        assert len(human.split("\n")) == 2 + 4  # <video>, the question, four options
        assert answer[-2:] in ("A.", "B.", "C.", "D.")
        assert "options" not in record  # details are for suites


def test_the_tiny_manifest_names_sources_of_all_four_stages(repo_root):
    path = repo_root / "data_manifests" / "training" / "tiny.yaml"
    stages = yaml.safe_load(path.read_text(encoding="utf-8"))["stages"]
    assert list(stages) == ["stage0", "stage1", "stage2", "stage3"]
    names = [source["name"] for sources in stages.values() for source in sources]
    assert len(set(names)) == len(names)
    for stage, sources in stages.items():
        for source in sources:
            keys = {"name", "annotations", "modality", "licence", "made_by", "note"}
            assert set(source) - {"first"} == keys
            assert source["modality"] in ("image", "video", "text")
            short = source["name"].removeprefix(f"{stage}-")
            assert source["annotations"] == f"{stage}/{short}.json"


def test_descriptions_tell_all_of_every_actor_that_appears_once(tmp_path):
    spec = replace(SPEC, sources=(replace(CLIPS, descriptions=True), IMAGES))
    build_corpus(tmp_path / "stage2", spec, seed=7)
    records = json.loads((tmp_path / "stage2" / "clips.json").read_text())
    told = [record for record in records if record["kind"] == "description"]
    stories = [story_of("stage2", CLIPS, 7, index) for index in range(CLIPS.num_stories)]
    once = [
        story.scenes[i[0]] for story in stories for i in story.appearances.values() if not i[1:]
    ]
    assert [record["conversations"][1]["value"] for record in told] == [
        describe_actor(scene) for scene in once
    ]
    human = told[0]["conversations"][0]["value"]
    assert human == f"<video>\nDescribe the {once[0].actor}."
    assert "description" not in {
        r["kind"] for r in json.loads((tmp_path / "stage2/images.json").read_text())
    }
