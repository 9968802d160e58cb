"""Rates by step, and which parameters Muon trains."""

from transformers import Qwen3Config, Qwen3ForCausalLM

from tempo_lib.miniature.pretrain.optimiser import PretrainingOptimiser, rate_factor


def test_rates_warm_up_stay_and_fall_to_zero():
    rates = [rate_factor(step, 100, 0.5, warmup_steps=10) for step in (0, 9, 49, 75, 100)]
    assert rates == [0.1, 1.0, 1.0, 0.5, 0.0]


def test_only_matrices_inside_layers_are_trained_by_muon():
    size = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "head_dim": 16}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    model = Qwen3ForCausalLM(Qwen3Config(vocab_size=99, tie_word_embeddings=True, **size, **heads))
    rates = {"matrix_rate": 0.02, "rate": 0.002, "steps": 9, "decay_share": 0.5}
    muon, adam = PretrainingOptimiser(model, **rates).optimisers
    shapes = [p.ndim for group in muon.param_groups for p in group["params"]]
    assert shapes == [2] * 14  # 7 matrices in each of 2 layers
    assert muon.param_groups[0]["lr"] == 0.02 / 20  # the first of 20 steps of warm-up
    count = sum(len(g["params"]) for o in (muon, adam) for g in o.param_groups)
    assert count == len(list(model.parameters()))
