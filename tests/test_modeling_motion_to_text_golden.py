# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Motion-to-text against the original: its numbers on the golden weights, and the conversion of its checkpoints."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import AutoModel, StoppingCriteria

from tm2t_hf import MotionToTextModel
from tm2t_hf.conversion import convert_motion_to_text

CODES = 32
TEXT_PAD = 59


@pytest.fixture(scope="module", params=["", "_toy"], ids=["random", "toy"])
def golden(request, golden_dir):
    """A converted model and what the original computed with its weights."""
    model = converted(golden_dir, f"m2t_small{request.param}")
    io = load_file(golden_dir / f"m2t_small{request.param}.io.safetensors")
    trg_in, gold = io["trg_in"], io["trg_gold"]
    decoder = {"decoder_input_ids": trg_in, "decoder_attention_mask": (trg_in != TEXT_PAD).long()}
    labels = gold.masked_fill(gold == TEXT_PAD, -100)
    return SimpleNamespace(model=model, io=io, decoder=decoder, labels=labels, mask=(io["src"] != CODES + 2).long())


def converted(golden_dir, name: str) -> MotionToTextModel:
    weights = load_file(golden_dir / f"{name}.weights.safetensors")
    part = {key.removeprefix("m2t_transformer."): weight for key, weight in weights.items()}
    return convert_motion_to_text({"m2t_transformer": part}, num_heads=2)


def test_golden_ids(golden):
    output = golden.model(input_ids=golden.io["src"], **golden.decoder, labels=golden.labels)
    torch.testing.assert_close(output.encoder_last_hidden_state, golden.io["enc_output"], atol=1e-4, rtol=0)
    torch.testing.assert_close(output.logits, golden.io["logits"], atol=1e-4, rtol=0)
    torch.testing.assert_close(output.loss, golden.io["loss_sum"], atol=0, rtol=1e-6)
    kept = golden.labels != -100
    assert kept.sum() == golden.io["n_word"]
    assert (output.logits.argmax(-1)[kept] == golden.labels[kept]).sum() == golden.io["n_correct"]


def test_golden_label_smoothing(golden):
    golden.model.config.label_smoothing = 0.1
    loss = golden.model(input_ids=golden.io["src"], labels=golden.labels).loss
    golden.model.config.label_smoothing = 0.0
    torch.testing.assert_close(loss, golden.io["loss_sum_smooth"], atol=0, rtol=1e-6)


def test_golden_hard_one_hots(golden):
    probs = F.one_hot(golden.io["src"], CODES + 3).float()
    output = golden.model(input_probs=probs, attention_mask=golden.mask, **golden.decoder)
    torch.testing.assert_close(output.logits, golden.io["logits_onehot_hard"], atol=1e-4, rtol=0)
    kept = golden.mask.bool()
    encoded, expected = output.encoder_last_hidden_state[kept], golden.io["enc_output_onehot_hard"][kept]
    torch.testing.assert_close(encoded, expected, atol=1e-4, rtol=0)


def test_golden_soft_one_hots_and_their_gradient(golden):
    probs = golden.io["soft_src"].clone().requires_grad_()
    output = golden.model(input_probs=probs, attention_mask=golden.mask, **golden.decoder, labels=golden.labels)
    torch.testing.assert_close(output.logits, golden.io["logits_onehot_soft"], atol=1e-4, rtol=0)
    torch.testing.assert_close(output.loss, golden.io["loss_sum_soft"], atol=0, rtol=1e-6)
    (gradient,) = torch.autograd.grad(output.loss, probs)
    assert_gradient(gradient, golden.io["grad_soft_src"])


def assert_gradient(gradient, expected, floor=0.0):
    tolerance = max(3e-5 * expected.abs().max().item(), floor)
    torch.testing.assert_close(gradient, expected, atol=tolerance, rtol=0)


def test_golden_parameter_gradients(golden_dir):
    model = converted(golden_dir, "m2t_small")
    io = load_file(golden_dir / "m2t_small.io.safetensors")
    labels = io["trg_gold"].masked_fill(io["trg_gold"] == TEXT_PAD, -100)
    model(input_ids=io["src"], labels=labels).loss.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    expected = load_file(golden_dir / "m2t_small.grads.safetensors")
    names = original_names(model)
    assert {f"grad.{name}" for name in names} | {"grad.trg_word_prj.weight"} >= set(expected)
    assert set(names.values()) == set(gradients)
    for original, ours in names.items():
        # the keys' biases cancel in the softmax: their gradient is zero but for rounding
        floor = 1e-5 if "w_ks.bias" in original else 0.0
        assert_gradient(gradients[ours], expected[f"grad.{original}"], floor)


def original_names(model) -> dict[str, str]:
    """The original's name of each parameter, written from the module names (not from the converter's tables)."""
    words = {
        "model.encoder.embed_tokens": "encoder.src_word_emb",
        "model.decoder.embed_tokens": "decoder.trg_word_emb",
        "model.": "",
        ".layers.": ".layer_stack.",
        "self_attn_layer_norm": "slf_attn.layer_norm",
        "encoder_attn_layer_norm": "enc_attn.layer_norm",
        "final_layer_norm": "pos_ffn.layer_norm",
        "self_attn": "slf_attn",
        "encoder_attn": "enc_attn",
        "q_proj": "w_qs",
        "k_proj": "w_ks",
        "v_proj": "w_vs",
        "out_proj": "fc",
        ".fc1": ".pos_ffn.w_1",
        ".fc2": ".pos_ffn.w_2",
    }
    names = {}
    for ours, _ in model.named_parameters():
        original = ours
        for word, theirs in words.items():
            original = original.replace(word, theirs)
        names[original] = ours
    return names


@pytest.mark.parametrize("attention", ["early", "late"])
def test_golden_motion_without_end(golden_dir, attention):
    """The source of the inverse alignment: Gumbel one-hots behind a `<bom>`, no `<eom>`, each of its own length."""
    model = converted(golden_dir, "m2t_small")
    rollout = load_file(golden_dir / f"t2m_small_{attention}.io.safetensors")
    words = load_file(golden_dir / "t2m_small.inputs.safetensors")["word_tokens"]
    mask = (torch.arange(rollout["gumbel_out"].shape[1]) <= rollout["gumbel_len_map"]).long()
    labels = words[:, 1:].masked_fill(words[:, 1:] == TEXT_PAD, -100)
    output = model(
        input_probs=rollout["gumbel_out"],
        attention_mask=mask,
        decoder_input_ids=words[:, :-1],
        decoder_attention_mask=(words[:, :-1] != TEXT_PAD).long(),
        labels=labels,
    )
    torch.testing.assert_close(output.logits, rollout["cycle_logits"], atol=2e-5, rtol=0)
    torch.testing.assert_close(output.loss, rollout["cycle_loss_sum"], atol=0, rtol=1e-6)
    assert (labels != -100).sum() == rollout["cycle_n_word"]


# The original's captions


@pytest.fixture(scope="module")
def decoded(golden_dir):
    return load_file(golden_dir / "m2t_small.decode.safetensors")


@pytest.fixture(scope="module")
def captioners(golden_dir):
    return {"toy": converted(golden_dir, "m2t_small_toy"), "rand": converted(golden_dir, "m2t_small")}


def sources(decoded, weights: str) -> list[torch.Tensor]:
    return [decoded[f"{weights}.src{index}"] for index in range({"toy": 12, "rand": 8}[weights])]


def test_golden_greedy_captions(decoded, captioners):
    """The original leaves the final `<eos>` out, and does not stop at it in a batch."""
    model = captioners["toy"]
    for index, source in enumerate(sources(decoded, "toy")):
        caption = model.generate(source, num_beams=1, max_length=31)[0].tolist()
        assert caption == [*decoded[f"toy.sample.src{index}"][0].tolist(), 1]
    together = model.generate(decoded["toy.batch_src"], num_beams=1, max_length=31)
    lengths = decoded["toy.sample_batch.len"].flatten() + 1  # with <bos>
    for caption, expected, length in zip(together, decoded["toy.sample_batch.seq"], lengths, strict=True):
        assert caption[: length + 1].tolist() == [*expected[:length].tolist(), 1]


@pytest.mark.parametrize(
    ("weights", "num_beams", "agreeing"), [("toy", 2, 9), ("toy", 4, 10), ("rand", 2, 8), ("rand", 4, 8)]
)
def test_golden_beams_with_the_settings_of_generate(decoded, captioners, weights, num_beams, agreeing):
    """The converted model's settings (length penalty 0.7) give the original's caption where the rules agree.

    The rule that differs: `generate()` sets a caption aside with its score once it ends. In the original an ended
    caption stays among the beams, goes on being extended, and pays for each further token while its length no longer
    grows, so that a caption that ended early loses to one that ended late. (That its length counts `<bos>` too never
    decides here.) So wherever the captions differ, ours is the better one by the original's own formula.
    """
    model, equal = captioners[weights], 0
    for index, source in enumerate(sources(decoded, weights)):
        expected = decoded[f"{weights}.beam{num_beams}.src{index}.tokens"].tolist()
        caption = model.generate(source, num_beams=num_beams)[0].tolist()
        if caption == expected:
            equal += 1
        else:
            assert caption[-1] == expected[-1] == 1
            assert original_score(model, source, caption) > original_score(model, source, expected)
    assert equal == agreeing


def original_score(model, source, caption: list[int]) -> float:
    """Log-probability of the caption over its length, `<bos>` and `<eos>` counted, to the power of 0.7."""
    ids = torch.tensor([caption])
    with torch.no_grad():
        log_probs = model(input_ids=source, decoder_input_ids=ids[:, :-1]).logits.log_softmax(-1)
    return (log_probs.gather(-1, ids[:, 1:, None]).sum() / len(caption) ** 0.7).item()


class AllBeamsEnded(StoppingCriteria):
    """Ends the search once each of the best beams holds an `<eos>`: when the original ends it."""

    def __init__(self, num_beams: int):
        self.num_beams = num_beams

    def __call__(self, input_ids, scores, **kwargs):
        ended = (input_ids[: self.num_beams, 1:] == 1).any(-1).all()  # candidates come best first
        return torch.full((len(input_ids),), bool(ended))


@pytest.mark.parametrize("weights", ["toy", "rand"])
@pytest.mark.parametrize("num_beams", [2, 4])
def test_golden_beams_with_the_rules_of_the_original(decoded, captioners, weights, num_beams):
    """With `<eos>` a token like others until all beams hold one, `generate()` is the original's search by beam."""
    model = captioners[weights]
    for index, source in enumerate(sources(decoded, weights)):
        name = f"{weights}.beam{num_beams}.src{index}"
        output = model.generate(
            source,
            num_beams=num_beams,
            num_return_sequences=num_beams,
            eos_token_id=-1,
            length_penalty=0.0,
            max_length=30,
            stopping_criteria=[AllBeamsEnded(num_beams)],
            return_dict_in_generate=True,
            output_scores=True,
        )
        beams = decoded[f"{name}.final_gen_seq"][:, : output.sequences.shape[1]]
        assert output.sequences.tolist() == beams.tolist()
        torch.testing.assert_close(output.sequences_scores, decoded[f"{name}.final_scores"], atol=1e-3, rtol=0)
        lengths = [row.index(1) + 1 if 1 in row else 30 for row in output.sequences.tolist()]
        best = (output.sequences_scores / torch.tensor(lengths) ** 0.7).argmax()
        assert output.sequences[best, : lengths[best]].tolist() == decoded[f"{name}.tokens"].tolist()


# The converter


@pytest.fixture()
def checkpoint(golden_dir):
    return torch.load(golden_dir / "m2t_small.finest.tar", weights_only=True)


def test_the_released_layout_converts(checkpoint, golden_dir):
    assert set(checkpoint) - {"m2t_transformer"}, "an optimizer's state to ignore"
    model = convert_motion_to_text(checkpoint, num_heads=2)
    assert not model.training
    assert (model.config.bom_id, model.config.eom_id, model.config.pad_id) == (32, 33, 34)
    ids = model.generation_config
    assert (ids.decoder_start_token_id, ids.bos_token_id, ids.eos_token_id, ids.pad_token_id) == (0, 0, 1, TEXT_PAD)
    assert (ids.num_beams, ids.length_penalty, ids.max_length) == (2, 0.7, 30)
    for original, ours in original_names(model).items():
        assert torch.equal(model.get_parameter(ours), checkpoint["m2t_transformer"][original])


def test_a_converted_model_saves_and_loads(checkpoint, tmp_path):
    model = convert_motion_to_text(checkpoint, num_heads=2)
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    source = torch.tensor([[CODES, 3, 1, 4, 1, 5, CODES + 1]])
    assert torch.equal(loaded.generate(source), model.generate(source))
    assert loaded.generation_config.num_beams == 2


def test_a_projection_of_its_own_stays_untied(checkpoint):
    weights = checkpoint["m2t_transformer"]
    weights["trg_word_prj.weight"] = weights["trg_word_prj.weight"] + 1
    model = convert_motion_to_text(checkpoint, num_heads=2)
    assert torch.equal(model.lm_head.weight, weights["trg_word_prj.weight"])
    assert torch.equal(model.model.decoder.embed_tokens.weight, weights["decoder.trg_word_emb.weight"])


def test_wrong_checkpoints_are_named(checkpoint):
    weights = checkpoint["m2t_transformer"]
    with pytest.raises(ValueError, match="no part 'm2t_transformer', so it is not motion-to-text; its parts are "):
        convert_motion_to_text({"vq_encoder": {}, "quantizer": {}})
    with pytest.raises(ValueError, match="num_heads=7 does not divide the checkpoint's width of 64"):
        convert_motion_to_text(checkpoint, num_heads=7)

    def broken(**changes):
        names = {name.replace("__", "."): value for name, value in changes.items()}
        return {"m2t_transformer": {k: v for k, v in (weights | names).items() if v is not None}}

    fc = "decoder__layer_stack__1__enc_attn__fc__weight"
    with pytest.raises(ValueError, match="missing: m2t_transformer.decoder.layer_stack.1.enc_attn.fc.weight$"):
        convert_motion_to_text(broken(**{fc: None}), num_heads=2)
    with pytest.raises(ValueError, match="unknown: m2t_transformer.encoder.emb.weight; m2t_transformer.extra$"):
        convert_motion_to_text(broken(encoder__emb__weight=torch.zeros(2), extra=torch.zeros(2)), num_heads=2)
    with pytest.raises(ValueError, match=r"misshapen: \S+fc.weight \(64, 32\), which should be \(64, 64\)$"):
        convert_motion_to_text(broken(**{fc: torch.zeros(64, 32)}), num_heads=2)
    with pytest.raises(ValueError, match=r"misshapen: \S+src_word_emb.weight \(35,\), which should have 2 dim"):
        convert_motion_to_text(broken(encoder__src_word_emb__weight=torch.zeros(35)), num_heads=2)
    with pytest.raises(ValueError, match="missing: .*encoder.layer_stack.0.pos_ffn.w_1.weight"):
        convert_motion_to_text({"m2t_transformer": {}})
