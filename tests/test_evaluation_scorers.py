"""Other other_scorers of relevance: the same scores from the same weights, and clear refusals."""

import json
from types import SimpleNamespace

import pytest
import torch
from evaluation_samples import brief, first_video, other_scorers, run, small_suite, without_memory
from transformers import Qwen3VLForConditionalGeneration

from tempo_lib import prompts
from tempo_lib.checkpoints import folders as checkpoint_folders
from tempo_lib.checkpoints.folders import CheckpointError
from tempo_lib.config import load_preset
from tempo_lib.evaluation.scorers import VlmScorer, check_scorer, load_base, load_reranker
from tempo_lib.miniature.pretrain.build import compressor_config
from tempo_lib.model.tempo import Tempo
from tempo_lib.video.clip import load_video


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    return small_suite(tmp_path_factory.mktemp("suites"))


@pytest.fixture(scope="module")
def one_video(suite):
    return first_video(suite)


@pytest.fixture(scope="module")
def brief_tempo(make_tiny_tempo):
    return brief(make_tiny_tempo())


@pytest.fixture(scope="module")
def scorers(make_tiny_tempo):
    return other_scorers(make_tiny_tempo)


@pytest.fixture(scope="module")
def session(brief_tempo, suite):
    return brief_tempo.open(load_video(suite.videos[0].path))


@pytest.fixture(scope="module")
def work(make_tiny_tempo, tmp_path_factory):
    """A work folder of a training: stage3 beside the base model that it came from."""
    folder = tmp_path_factory.mktemp("work")
    save_base(make_tiny_tempo(0), folder / "base_compressor")
    model = make_tiny_tempo(0)
    vlm = Qwen3VLForConditionalGeneration.from_pretrained(folder / "base_compressor")
    yes, no = (model.encoder.encode(word)[0] for word in (prompts.YES, prompts.NO))
    model.compressor.relevance_rows.copy_(vlm.lm_head.weight.detach()[[yes, no]])
    model.save_pretrained(folder / "stage3")
    return folder


def save_base(model, folder):
    """The model's compressor as a Hugging Face folder; its head is tied to its embeddings."""
    config = compressor_config(load_preset("tiny"), model.encoder.tokenizer)
    vlm = Qwen3VLForConditionalGeneration(config)
    vlm.model.load_state_dict(model.compressor.vlm.state_dict())
    vlm.save_pretrained(folder)
    model.encoder.tokenizer.save_pretrained(folder)


@pytest.mark.parametrize("prompt", ["standard", "routing"])
def test_a_scorer_with_the_models_own_weights_gives_the_models_own_scores(
    brief_tempo, session, prompt
):
    scorer = VlmScorer(without_memory(brief_tempo.compressor), "same")
    for question in ("When is the red star seen?", ""):
        ours = session.compress(question, prompt)
        torch.testing.assert_close(scorer.open(session).logits(question, prompt), ours.logits)
        torch.testing.assert_close(
            scorer.open(session).logits(question, prompt).sigmoid(), ours.scores
        )


def test_a_scored_video_answers_many_questions_from_one_prefix(session, scorers):
    video = scorers["base"].open(session)
    first = video.logits("Which place is seen most?", "routing")
    other = video.logits("When is the red star seen?", "routing")
    torch.testing.assert_close(video.logits("Which place is seen most?", "routing"), first)
    assert not torch.equal(first, other)
    with pytest.raises(ValueError, match="unknown prompt 'odd'; known: assistant, rerank, routing"):
        video.logits("?", "odd")


def test_the_base_model_beside_the_checkpoint_scores_as_the_untrained_tempo(work, suite):
    model = Tempo.from_pretrained(work / "stage3", device="cpu")
    scorer = load_base(model)
    assert scorer.name == str(work / "base_compressor")
    session = model.open(load_video(suite.videos[0].path))
    ours = session.compress("When is the red star seen?").scores
    torch.testing.assert_close(
        scorer.open(session).logits("When is the red star seen?", "routing").sigmoid(), ours
    )


def test_a_base_model_of_another_tempo_is_refused(work, make_tiny_tempo, tmp_path):
    save_base(make_tiny_tempo(3), tmp_path / "base_compressor")
    Tempo.from_pretrained(work / "stage3", device="cpu").save_pretrained(tmp_path / "stage3")
    model = Tempo.from_pretrained(tmp_path / "stage3", device="cpu")
    with pytest.raises(CheckpointError, match=r"is not the base model of.*Yes and No rows"):
        load_base(model)


def test_a_scorer_of_other_words_is_refused(work, tmp_path):
    model = Tempo.from_pretrained(work / "stage3", device="cpu")
    save_base(model, tmp_path / "reranker")
    file = tmp_path / "reranker" / "tokenizer.json"
    words = json.loads(file.read_text())
    words["model"]["vocab"]["newword"] = 999_999
    file.write_text(json.dumps(words))
    model.save_pretrained(tmp_path / "stage3")
    model = Tempo.from_pretrained(tmp_path / "stage3", device="cpu")
    with pytest.raises(CheckpointError, match=r"another tokenizer.*--from-scratch"):
        load_reranker(model)


def test_a_missing_scorer_names_the_command_that_makes_it(work, monkeypatch, tmp_path):
    model = Tempo.from_pretrained(work / "stage3", device="cpu")
    monkeypatch.setattr(checkpoint_folders, "project_root", lambda: tmp_path)
    monkeypatch.setattr(
        checkpoint_folders, "resources", SimpleNamespace(files=lambda name: tmp_path)
    )
    with pytest.raises(CheckpointError, match=r"no checkpoint reranker.*tempo train --preset tiny"):
        check_scorer("reranker", model)


def test_other_scorers_score_but_tempo_answers(brief_tempo, one_video, session, scorers):
    for name, source, prompt in (
        ("prior-base-std", "base", "assistant"),
        ("prior-base-route", "base", "routing"),
        ("prior-reranker", "reranker", "rerank"),
    ):
        record = run(brief_tempo, one_video, [name], scorers=scorers)[0]
        expected_N = scorers[source].open(session).logits(record.question, prompt).sigmoid()
        torch.testing.assert_close(torch.tensor(record.scores), expected_N)
        answer = brief_tempo.decode(
            session.compress(record.question), record.question, counts=torch.tensor(record.counts)
        )
        assert record.prediction == answer.text


def test_another_scorer_makes_other_records(brief_tempo, one_video, scorers, tmp_path):
    for scorer in scorers.values():
        options = {"cache": True, "root": tmp_path, "scorers": {"base": scorer}}
        run(brief_tempo, one_video, ["prior-base-route"], **options)
    assert len(list(tmp_path.rglob("prior-base-route-*.jsonl"))) == 2
