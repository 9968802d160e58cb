"""Training seeds side by side: what each of them says, what is kept, and how it is found again."""

import json

import numpy as np
import pandas as pd
import pytest
from evaluation_samples import BUDGET, brief, small_suite

from tempo_lib.analysis import training_seed_tables as tables
from tempo_lib.analysis import training_seeds
from tempo_lib.analysis.measurements import train_command
from tempo_lib.checkpoints.loading import CheckpointError
from tempo_lib.evaluation.variants import VARIANTS
from tempo_lib.reproduce import jobs as workflow_jobs
from tempo_lib.statistics.claims_table import claims_table, missing_part, seed_checkpoint

NUM_VIDEOS, EACH = 30, 4
MODEL_SEEDS = (0, 7)


def answers(shares, suites=("mini-mlvu",)):
    """Records of seeds and variants, ``{0: {"ata": 0.9}}``, right with the given share."""
    rng = np.random.default_rng(0)
    num = NUM_VIDEOS * EACH
    parts = [
        pd.DataFrame(
            {
                "model_seed": seed,
                "suite": suite,
                "world_seed": 0,
                "variant": name,
                "video": np.repeat([f"v{i}" for i in range(NUM_VIDEOS)], EACH),
                "question_id": [f"q{i}" for i in range(num)],
                "kind": ["needle", "after"] * (num // 2),
                "correct": rng.permutation(num) < share * num,
                "tokens_used": 60,
                "capacity": 100,
                "skewness": 1.0,
            }
        )
        for seed, of_seed in shares.items()
        for suite in suites
        for name, share in of_seed.items()
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def frame():
    """Seed 0 shows that ATA beats uniform subsampling, seed 2 shows the opposite."""
    shares = {0: {"ata": 0.9, "uniform": 0.5, "ata-two-pass": 0.9}}
    return answers({**shares, 2: {"ata": 0.4, "uniform": 0.7, "ata-two-pass": 0.9}})


@pytest.fixture(scope="module")
def claims(frame):
    return tables.claims_by_seed(frame)


def row_of(claims, claim, seed):
    return claims[(claims["claim"] == claim) & (claims["model_seed"] == seed)].iloc[0]


def test_each_seed_is_judged_alone_and_all_together(claims):
    assert tuple(claims.columns) == tables.CLAIM_COLUMNS
    assert row_of(claims, "uniform", "0")["effect"] == pytest.approx(0.4)
    assert row_of(claims, "uniform", "2")["effect"] == pytest.approx(-0.3)
    pooled = row_of(claims, "uniform", "pooled")
    assert pooled["effect"] == pytest.approx(0.05)
    assert pooled["n"] == 2 * row_of(claims, "uniform", "0")["n"] == 2 * NUM_VIDEOS * EACH
    verdicts = [row_of(claims, "uniform", seed)["verdict"] for seed in ("0", "2")]
    assert verdicts == ["shown", "reversed"]


def test_the_pooled_row_is_that_of_the_claims_table(frame, claims):
    found = claims_table(frame)
    wanted = found[(found["claim"] == "uniform") & (found["compared"] == "as the paper")].iloc[0]
    pooled = row_of(claims, "uniform", "pooled")
    for name in ("n", "effect", "low", "high", "p", "p_holm", "verdict"):
        assert pooled[name] == wanted[name]


def test_the_spread_is_between_seeds_and_unknown_for_one(frame, claims):
    assert row_of(claims, "uniform", "pooled")["spread"] == pytest.approx(0.7)
    assert np.isnan(row_of(claims, "uniform", "0")["spread"])
    alone = tables.claims_by_seed(frame[frame["model_seed"] == 0])
    assert np.isnan(row_of(alone, "uniform", "pooled")["spread"])


def test_what_was_not_asked_and_what_is_no_accuracy_is_left_out(claims):
    assert set(claims["claim"]) == {"uniform", "ata-two-pass"}
    assert set(claims["compared"]) == {"as the paper"}  # no twin was asked


def test_seeds_that_contradict_each_other_are_counted(claims):
    rows = tables.agreement(claims).set_index("claim")
    assert not rows.loc["uniform", "same_verdict"] and not rows.loc["uniform", "same_side"]
    assert rows.loc["uniform", "verdicts"] == "0: shown, 2: reversed"
    assert rows.loc["ata-two-pass", "same_side"]
    told = tables.sentences(claims)
    assert told[0] == "training seeds 0, 2: 2 comparisons"
    assert told[2] == "seeds lie on opposite sides of no difference: 1 of 2"
    assert any("0: shown, 2: reversed" in line and "-30.0 to +40.0" in line for line in told)


def test_the_grid_has_a_column_a_seed_and_names_unknown_families(claims):
    grid = tables.effect_grid(claims)
    assert grid.columns.tolist() == ["says", "source", "compared", "0", "2", "pooled", "spread"]
    assert grid.loc[0, "0"].startswith("+40.0 (") and grid.loc[0, "0"].endswith(", shown")
    assert grid.loc[0, "spread"] == 70.0
    with pytest.raises(ValueError, match="no claims of family 'mini'; the table holds all"):
        tables.effect_grid(claims, "mini")


def test_accuracies_are_by_seed_suite_and_kind():
    both = answers({0: {"ata": 1.0}, 1: {"ata": 0.0}}, ("mini-mlvu", "mini-lvbench"))
    table = tables.accuracy_by_seed(both)
    assert tables.longest_suite(table) == "mini-lvbench"
    cells = table.set_index(["model_seed", "suite", "variant", "kind"])
    assert cells.loc[(0, "all", "ata", "all"), "n"] == 2 * NUM_VIDEOS * EACH
    assert cells.loc[(1, "mini-lvbench", "ata", "needle"), "accuracy"] == 0.0
    alone = tables.accuracy_by_seed(both[both["suite"] == "mini-mlvu"])
    assert set(alone["suite"]) == {"mini-mlvu"}


@pytest.mark.parametrize("text", ["", "0,one", "0;1", "-1", "0,"])
def test_seeds_are_numbers_with_commas_between(text):
    with pytest.raises(ValueError, match="written like 0,1,2"):
        training_seeds.parse_seeds(text)


def test_a_seed_named_twice_is_measured_once():
    assert training_seeds.parse_seeds("2,0,2") == [2, 0]


def test_the_recorded_command_is_the_one_that_a_missing_seed_asks_for(tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    with pytest.raises(CheckpointError) as caught:
        seed_checkpoint("tiny", 3)
    assert f"`{train_command('tiny', 'train-seed3', 3, {})}`" in str(caught.value)


def test_the_recorded_command_names_the_switches_of_the_card():
    command = train_command("tiny", "train-seed3", 3, {"paper_prompt": True, "longer": 4.0})
    assert "--seed 3 --paper-prompt --longer 4 --work runs/tiny/train-seed3 " in command


def test_the_job_refuses_a_seed_that_is_not_trained(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    assert workflow_jobs.main(["seeds", "--name", "0,9"]) == 2
    assert "no model of training seed 9" in capsys.readouterr().err
    assert workflow_jobs.main(["seeds"]) == 2
    assert not (tmp_path / "data_manifests").exists()


def without_judges(row, models):
    """The shipped judges belong to the shipped model, not to untrained ones."""
    judged = row.score_source != "tempo"
    return f"scores of the {row.score_source}" if judged else missing_part(row, models)


@pytest.fixture(scope="module")
def measured(make_tiny_tempo, tmp_path_factory):
    """A home with two untrained seeds, of which the job measured six questions."""
    home = tmp_path_factory.mktemp("home")
    card = {"steps": 5, "seconds": 1.5, "switches": {"longer": 2.0}}
    for seed, folder in zip(MODEL_SEEDS, ("train", "train-seed7"), strict=True):
        model = brief(make_tiny_tempo(seed))
        model.config.budget = BUDGET
        place = home / "runs" / "tiny" / folder / "stage3"
        model.save_pretrained(place)
        (place / "card.json").write_text(json.dumps(card | {"seed": seed}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEMPO_HOME", str(home))
        patch.setattr(training_seeds, "SUITES", ("mini-longvideobench",))
        patch.setattr(training_seeds, "load_benchmark", lambda *_, **__: small_suite(home))
        patch.setattr(training_seeds, "missing_part", without_judges)
        code = workflow_jobs.main(["seeds", "--name", "0,7"])
    assert code == 0
    return home / "data_manifests" / "measurements"


def test_the_job_measures_every_seed_on_the_same_questions(measured):
    found = training_seeds.read("tiny", measured)
    whole = found.accuracy[found.accuracy["kind"] == "all"]
    assert set(whole["model_seed"]) == set(MODEL_SEEDS) and set(whole["n"]) == {6}
    assert set(found.claims["model_seed"]) == {"0", "7", "pooled"}
    wanted = {name for name, row in VARIANTS.items() if row.paper_row is not None}
    wanted |= {f"{name}-matched" for name in wanted} & set(VARIANTS) | {"ata-two-pass"}
    left_out = found.facts["variants_left_out"]
    assert set(found.facts["variants_asked"]) == wanted - set(left_out)
    assert left_out["without-stage3"] == "checkpoint stage2"


def test_the_measurement_says_where_it_comes_from(measured):
    facts = training_seeds.read("tiny", measured).facts
    stage = facts["checkpoints"]["7"]["stage3"]
    assert (stage["steps"], stage["seconds"], stage["seed"]) == (5, 1.5, 7)
    assert stage["sha256"] != facts["checkpoints"]["0"]["stage3"]["sha256"]
    assert list(facts["questions"].values()) == [6] and all(facts["data_hash"].values())
    assert facts["commands"] == [
        train_command("tiny", "train-seed7", 7, {"longer": 2.0}),
        "python -m tempo_lib.reproduce.jobs --preset tiny seeds --name 0,7",
    ]
    assert str(measured) not in (measured / "training_seeds.json").read_text()
    told = training_seeds.origin(facts)
    assert told == "measured on another checkpoint than the shipped one"


def test_the_shipped_checkpoint_is_recognised():
    shipped = training_seeds.shipped_checkpoint("tiny")
    facts = {"preset": "tiny", "checkpoints": {"0": {"stage3": {}}}}
    facts["checkpoints"]["0"]["stage3"]["sha256"] = training_seeds.checkpoint_digest(shipped)
    assert training_seeds.origin(facts) == "measured on the shipped checkpoint"
    assert training_seeds.origin({**facts, "checkpoints": {}}).endswith("0 was not measured")


def test_a_table_that_was_changed_or_is_not_there_is_refused(measured, tmp_path):
    command = "python -m tempo_lib.reproduce.jobs --preset tiny seeds --name 0,1,2"
    with pytest.raises(ValueError, match=f"no training_seeds.json of preset tiny .*{command}"):
        training_seeds.read("tiny", tmp_path)
    training_seeds.write(training_seeds.read("tiny", measured), tmp_path)
    with pytest.raises(ValueError, match="of preset 6b among the measurements"):
        training_seeds.read("6b", tmp_path)
    table = tmp_path / "training_seeds_claims.csv"
    table.write_text(table.read_text().replace("not shown", "shown"))
    with pytest.raises(ValueError, match=r"training_seeds_claims\.csv is not the table"):
        training_seeds.read("tiny", tmp_path)
