"""What is read and what is a target of a conversation, in this kit's way and in the release's."""

import json

import pytest
from transformers import AutoTokenizer

from tempo_lib import prompts
from tempo_lib.config import LabelRules, load_preset
from tempo_lib.model.decoder_prompt import IGNORE, MEMORY_PLACEHOLDER
from tempo_lib.model.processing import TextEncoder
from tempo_lib.training.collate import Collator
from tempo_lib.training.data import load_samples
from tempo_lib.training.frames import FrameStore
from tempo_lib.training.records import read_record
from tempo_lib.training.targets import conversation_ids, tagged_turns
from tests.training_samples import manifest_of, turn, write_corpus

RELEASE = LabelRules(query="context-turns", conversation="whole", targets="turn")
NAMES = (
    "one_turn_letter",
    "one_turn_sentence",
    "two_turns",
    "tag_inside",
    "text_only",
    "gpt_first",
    "empty_human",
    "two_images",
    "unicode",
)


def read_one(conversation, folder, rules):
    """The sample of a conversation whose tags show files that are there."""
    num_tags = sum(one["value"].count("<image>") for one in conversation)
    names = [f"{number}.png" for number in range(num_tags)]
    for name in names:
        (folder / name).touch()
    record = {"id": "x", "conversations": conversation, **({"image": names} if names else {})}
    modality = "image" if names else "text"
    (sample,) = read_record(record, modality, folder / "a.json", 0, rules)
    return sample


@pytest.mark.parametrize("name", NAMES)
def test_the_releases_rows_targets_and_queries_are_as_recorded(
    shared_dir, golden_dir, tmp_path, name
):
    recorded = json.loads((shared_dir / "golden/training/labels.json").read_text())[name]
    text = TextEncoder(AutoTokenizer.from_pretrained(golden_dir / "Tempo-tiny"))
    sample = read_one(recorded["conversation"], tmp_path, RELEASE)
    media = [[MEMORY_PLACEHOLDER]] * len(sample.all_media)
    turns = tagged_turns(sample)
    ids, labels = conversation_ids(text, prompts.DECODER_SYSTEM, turns, media, "turn")
    assert ids == recorded["input_ids"]
    assert labels == recorded["labels"]
    assert (sample.query or prompts.BLANK_QUERY) == recorded["training_query"]


def test_a_letter_has_two_targets_here_and_eighteen_in_the_release(tiny_tempo):
    """Start, end and line break of three turns, the assistant's header, lines of the options."""
    question = "<image>\nWhich?\nA. 2019\nB. 2020\nC. 2021\nD. 2022"
    counts = {}
    for targets in ("answer", "turn"):
        _, labels = conversation_ids(
            tiny_tempo.encoder, "System.", [(question, "D")], [[]], targets
        )
        counts[targets] = sum(label != IGNORE for label in labels)
    header = len(tiny_tempo.encoder.encode("assistant\n"))
    # turns: 3 starts, 3 ends, 3 breaks after them; 2 breaks of headers, 5 of the question
    assert counts == {"answer": 2, "turn": 3 + 3 + 3 + 2 + 5 + header + 1}


def test_the_releases_query_is_made_of_the_first_sixteen_messages():
    messages = [("human", f"q{n}") if n % 2 == 0 else ("gpt", "a") for n in range(20)]
    query = prompts.context_query(messages)
    assert query.splitlines()[0] == "Context turn 1: q0"
    assert query.splitlines()[-1] == "Context turn 8: q14"
    assert prompts.context_query([("human", " \n"), ("gpt", "a")]) == ""


@pytest.fixture
def corpus(tmp_path):
    write_corpus(tmp_path)
    return tmp_path


def collated(model, root, rules):
    numbers = load_preset("tiny").training.stages[2]
    store = FrameStore(model, model.config.video_numbers, numbers.max_frames, root / "frames")
    collate = Collator(model, store, 4, 8192, labels=rules)
    samples = load_samples(manifest_of(), 2, root, rules)
    return collate, samples, collate(samples)


def test_a_conversation_is_one_row_with_all_its_answers(tiny_tempo, corpus):
    collate, samples, batch = collated(tiny_tempo, corpus, RELEASE)
    assert [len(one.turns) for one in samples] == [1, 1, 2, 1]
    assert samples[2].query == "Context turn 1: Who?\nContext turn 2: When?"
    tokenizer = tiny_tempo.encoder.tokenizer
    read = tokenizer.batch_decode(batch["compressor_ids"])
    assert sum("Context turn 2: When?" in row for row in read) == 3  # windows of 8 of 20 frames
    targets = batch["labels"][2][batch["labels"][2] >= 0]
    words = tokenizer.decode(targets.tolist())
    assert "Blue." in words and "Now." in words
    assert "When?" not in words
    slots = (batch["input_ids"] == MEMORY_PLACEHOLDER).sum(1) // collate.tokens
    assert slots.tolist() == [1, 2, 3, 0]


@pytest.mark.parametrize(
    "rules",
    [
        RELEASE,
        LabelRules(query="context-turns", conversation="split", targets="answer"),
        LabelRules(query="question", conversation="split", targets="turn"),
        LabelRules(query="context-turns", conversation="whole", targets="answer"),
    ],
    ids=lambda rules: f"{rules.query}-{rules.conversation}-{rules.targets}",
)
def test_targets_are_counted_as_the_loss_counts_them(tiny_tempo, corpus, rules):
    """The loss of a step is divided by these counts, before any media is read."""
    collate, samples, batch = collated(tiny_tempo, corpus, rules)
    found = (batch["labels"][:, 1:] != IGNORE).sum(1).tolist()
    assert [collate.num_targets(sample) for sample in samples] == found


def test_a_split_conversation_may_still_be_compressed_for_all_its_questions(tiny_tempo, corpus):
    rules = LabelRules(query="context-turns", conversation="split", targets="answer")
    _, samples, _ = collated(tiny_tempo, corpus, rules)
    assert [one.question for one in samples[2:4]] == ["Who?", "When?"]
    assert {one.query for one in samples[2:4]} == {"Context turn 1: Who?\nContext turn 2: When?"}


def test_a_whole_conversation_needs_a_query_of_all_its_questions():
    with pytest.raises(ValueError, match="conversation whole is compressed once: it needs query"):
        load_preset("6b", ["training.labels.conversation=whole"])
    changes = ["training.labels.conversation=whole", "training.labels.query=context-turns"]
    assert load_preset("6b", changes).training.labels.targets == "answer"


def test_tags_and_media_must_agree(tiny_tempo):
    with pytest.raises(ValueError, match="1 media tags but 2 media"):
        conversation_ids(tiny_tempo.encoder, "S.", [("<image>?", "A")], [[], []], "turn")


def test_media_without_a_tag_stand_in_front(tmp_path):
    (tmp_path / "0.png").touch()
    record = {"image": "0.png", "conversations": turn("Who?", "Red.") + turn("When?", "Now.")}
    (sample,) = read_record(record, "image", tmp_path / "a.json", 0, RELEASE)
    assert [question for question, _ in tagged_turns(sample)] == ["<video>\nWho?", "When?"]
