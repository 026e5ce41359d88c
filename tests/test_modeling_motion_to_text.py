# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Motion-to-text: its configuration, inputs, losses, generation, and its numbers against the original's."""

import json
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from huggingface_hub.errors import StrictDataclassError
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForSeq2SeqLM, StoppingCriteria

from tm2t_hf import MotionToTextConfig, MotionToTextModel, MotionVQConfig, MotionVQModel
from tm2t_hf.conversion import convert_motion_to_text

CODES = 32
FRAMES = 44  # 11 motion tokens
TEXT_PAD = 59  # in the golden models


def tiny_config(**overrides) -> MotionToTextConfig:
    sizes = {
        "vq_config": {"hidden_size": 16, "codebook_size": CODES, "feature_size": 23, "num_decoder_blocks": 1},
        "vocab_size": 40,
        "d_model": 16,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 32,
        "decoder_ffn_dim": 24,
        "max_position_embeddings": 20,
    }
    return MotionToTextConfig(**(sizes | overrides))


def tiny_model(**overrides) -> MotionToTextModel:
    torch.manual_seed(0)
    model = MotionToTextModel(tiny_config(**overrides)).eval()
    with torch.no_grad():  # a new model says one word for ever, whatever it sees
        for parameter in model.model.parameters():
            parameter.mul_(2.5)
        if model.vq is not None:
            model.vq.quantizer.embedding.weight.normal_()
    return model


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def motion():
    """Three padded motions with different lengths, and their mask over frames."""
    generator = torch.Generator().manual_seed(1)
    mask = (torch.arange(FRAMES) < torch.tensor([FRAMES, 30, 9])[:, None]).long()
    return torch.randn(3, FRAMES, 23, generator=generator) * mask[..., None], mask


def motion_ids(codes: list[list[int]]) -> torch.Tensor:
    length = max(map(len, codes))
    rows = [[CODES, *row, CODES + 1] + [CODES + 2] * (length - len(row)) for row in codes]
    return torch.tensor(rows)


# Configuration


def test_the_codebook_size_follows_from_the_vq_config():
    config = tiny_config()
    assert (config.codebook_size, config.bom_id, config.eom_id, config.pad_id) == (32, 32, 33, 34)
    assert config.motion_vocab_size == 35
    assert isinstance(config.vq_config, MotionVQConfig)
    assert MotionToTextConfig(vq_config=MotionVQConfig(codebook_size=7)).codebook_size == 7
    assert MotionToTextConfig(vq_config=None, codebook_size=9).motion_vocab_size == 12


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"codebook_size": 31}, "codebook_size is 31, but the motion VQ of vq_config has 32 codes"),
        ({"encoder_attention_heads": 3}, "encoder_attention_heads=3 does not divide d_model=16"),
        ({"decoder_attention_heads": 0}, "decoder_attention_heads=0 does not divide"),
        ({"token_dropout": 1.0}, "token_dropout must be at least 0 and below 1"),
        ({"label_smoothing": 0.99}, "label_smoothing must be"),
        ({"pad_token_id": 40}, r"pad_token_id must be an id of the text vocabulary \(0 to 39\), got 40"),
        ({"share_encoder_decoder_embeddings": True}, "motion and text share no vocabulary"),
        ({"loss_reduction": "median"}, "loss_reduction"),
        ({"d_model": "wide"}, "d_model"),
        ({"max_position_embeddings": 0}, "max_position_embeddings must be at least 1"),
    ],
)
def test_a_configuration_that_does_not_fit_says_which_field(overrides, message):
    with pytest.raises(StrictDataclassError, match=message):
        tiny_config(**overrides)


# Inputs


def test_motion_values_are_the_ids_of_their_codes(model, motion):
    values, mask = motion
    codes = model.vq.encode(values, mask)
    lengths = mask.sum(-1) // 4
    expected = motion_ids([row[:length].tolist() for row, length in zip(codes, lengths, strict=True)])
    ids, id_mask = model.encode_motion(values, mask)
    assert torch.equal(ids, expected)
    assert torch.equal(id_mask, (expected != CODES + 2).long())
    start = torch.tensor([[1, 5, 7]] * 3)
    from_values = model(motion_values=values, attention_mask=mask, decoder_input_ids=start).logits
    from_ids = model(input_ids=ids, decoder_input_ids=start).logits
    torch.testing.assert_close(from_values, from_ids, rtol=0, atol=0)
    assert len(ids.unique()) > 6, "the codes should differ, or the test shows nothing"


def test_one_hot_probabilities_are_ids(model):
    ids = motion_ids([[3, 1, 4, 1, 5], [9, 2]])
    start = torch.tensor([[1, 5, 7]] * 2)
    mask = (ids != CODES + 2).long()
    probs = F.one_hot(ids, CODES + 3).float()
    from_ids = model(input_ids=ids, decoder_input_ids=start).logits
    from_probs = model(input_probs=probs, attention_mask=mask, decoder_input_ids=start).logits
    torch.testing.assert_close(from_ids, from_probs)
    generated = model.generate(input_probs=probs, attention_mask=mask, num_beams=3, max_length=9)
    assert torch.equal(generated, model.generate(input_ids=ids, num_beams=3, max_length=9))


def test_code_0_is_not_taken_for_text_padding(model):
    # generate() would mask ids equal to the *text* <pad>, which is 0, if it were left to guess
    ids = motion_ids([[0, 7, 0, 0, 11, 0]])
    table = model.get_input_embeddings()
    assert table.padding_idx == CODES + 2
    guessed = model.generate(ids, max_length=9)
    told = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_length=9)
    masked = model(input_ids=ids, attention_mask=(ids != 0).long(), decoder_input_ids=guessed).logits
    assert torch.equal(guessed, told)
    assert not torch.allclose(masked, model(input_ids=ids, decoder_input_ids=guessed).logits)


@pytest.mark.parametrize("call", ["forward", "generate"])
def test_exactly_one_form_of_motion_is_wanted(model, motion, call):
    run = model.generate if call == "generate" else model
    ids = motion_ids([[3, 1, 4]])
    extra = {} if call == "generate" else {"decoder_input_ids": torch.tensor([[1]])}
    with pytest.raises(ValueError, match="exactly one of input_ids, motion_values and input_probs"):
        run(**extra)
    with pytest.raises(ValueError, match="exactly one of input_ids, motion_values and input_probs"):
        run(input_ids=ids, motion_values=motion[0][:1], **extra)
    with pytest.raises(ValueError, match=r"attention_mask has the shape \(1, 12\), but the motion ids .* \(1, 5\)"):
        run(input_ids=ids, attention_mask=torch.ones(1, 12), **extra)
    with pytest.raises(ValueError, match="the motion has 22 tokens .* positions for 20"):
        run(input_ids=motion_ids([[1] * 20]), **extra)
    with pytest.raises(ValueError, match="the motion has 22 tokens .* positions for 20"):
        run(motion_values=torch.zeros(1, 80, 23), **extra)
    with pytest.raises(ValueError, match="shorter than one motion token"):
        run(motion_values=torch.zeros(1, 3, 23), **extra)


def test_motion_ids_given_twice(model):
    ids = motion_ids([[3, 1, 4]])
    with pytest.raises(ValueError, match="given twice"):
        model.generate(ids, input_ids=ids)


def test_too_long_a_caption(model):
    ids = motion_ids([[3, 1, 4]])
    with pytest.raises(ValueError, match="the caption has 21 tokens .* positions for 20"):
        model(input_ids=ids, labels=torch.ones(1, 21, dtype=torch.long))
    with pytest.raises(ValueError, match="the caption has 21 tokens .* positions for 20"):
        model.generate(ids, min_length=25, max_length=30)
    assert model.generate(ids, min_length=20).shape == (1, 20), "by default generation ends where the positions do"


def test_without_a_vq():
    model = tiny_model(vq_config=None, codebook_size=CODES)
    assert model.vq is None
    assert model.generate(motion_ids([[3, 1, 4]]), max_length=5).shape[0] == 1
    with pytest.raises(ValueError, match="carries no motion VQ .* give input_ids or input_probs"):
        model.generate(motion_values=torch.zeros(1, 8, 23))


# Training


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss(model, smoothing):
    """Reductions, ignored labels, and smoothing over the other tokens, against the definition written out."""
    ids, labels = motion_ids([[3, 1, 4], [1, 5]]), torch.tensor([[7, 8, 9, 2], [6, 2, -100, -100]])
    decoder_input_ids = torch.tensor([[1, 7, 8, 9], [1, 6, 2, 0]])
    log_probs = model(input_ids=ids, decoder_input_ids=decoder_input_ids).logits.log_softmax(-1)
    target = torch.full((2, 4, 40), smoothing / 39).scatter(2, labels.clamp(min=0)[..., None], 1 - smoothing)
    expected = -((target * log_probs).sum(-1) * (labels != -100)).sum()
    try:
        model.config.label_smoothing = smoothing
        torch.testing.assert_close(model(input_ids=ids, labels=labels).loss, expected / 6)
        torch.testing.assert_close(model(input_ids=ids, labels=labels, num_items_in_batch=24).loss, expected / 24)
        model.config.loss_reduction = "sum"
        torch.testing.assert_close(model(input_ids=ids, labels=labels).loss, expected)
    finally:
        model.config.loss_reduction, model.config.label_smoothing = "mean", 0.0


def test_it_learns_every_parameter_but_the_vq(motion):
    values, mask = motion
    model = tiny_model(token_dropout=0.2, embedding_dropout=0.1, activation_dropout=0.1).train()
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    labels = torch.tensor([[7, 8, 2], [8, 9, 2], [9, 7, 2]])
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = model(motion_values=values, attention_mask=mask, labels=labels).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    same = {name for name, parameter in model.named_parameters() if torch.equal(parameter, before[name])}
    assert same == {name for name in before if name.startswith("vq.")}


def test_dropouts_act_where_they_say():
    ids, start = motion_ids([[3, 1, 4, 1, 5]]), torch.tensor([[1, 5]])
    none = {"dropout": 0.0, "attention_dropout": 0.0}
    for name in ("dropout", "attention_dropout", "activation_dropout", "embedding_dropout", "token_dropout"):
        model = tiny_model(**(none | {name: 0.5}))
        calm = model(input_ids=ids, decoder_input_ids=start).logits
        model.train()
        runs = [model(input_ids=ids, decoder_input_ids=start).logits for _ in range(8)]
        assert any(not torch.allclose(calm, run) for run in runs), name
    model = tiny_model(**none).train()  # nothing drops what no option names
    torch.testing.assert_close(calm, model(input_ids=ids, decoder_input_ids=start).logits)


def test_token_dropout_hides_whole_tokens():
    model = tiny_model(dropout=0.0, attention_dropout=0.0, token_dropout=0.5)
    ids, start = motion_ids([[3, 1, 4]]), torch.tensor([[1, 5]])
    probs, hidden = F.one_hot(ids, CODES + 3).float(), []
    for pattern in range(32):  # every choice among five tokens, zeroed by hand
        shown = torch.tensor([(pattern >> place) & 1 for place in range(5)]).view(1, 5, 1)
        hidden.append(model(input_probs=probs * shown, decoder_input_ids=start).logits)
    model.train()
    for _ in range(10):
        logits = model(input_ids=ids, decoder_input_ids=start).logits
        assert any(torch.allclose(logits, choice, atol=1e-5) for choice in hidden)


def test_initial_weights_are_those_of_the_paper():
    model = MotionToTextModel(tiny_config(d_model=64, encoder_ffn_dim=128))
    for weight in (model.model.encoder.layers[0].fc1.weight, model.model.encoder.embed_tokens.weight):
        bound = (6 / sum(weight.shape)) ** 0.5
        assert 0.97 * bound < weight.abs().max() <= bound
    assert model.model.encoder.embed_tokens.weight[CODES + 2].norm() > 0, "the row of <pad> is not zero"
    layer_norms = [module for module in model.modules() if isinstance(module, torch.nn.LayerNorm)]
    assert len(layer_norms) == 10 and all(layer_norm.eps == 1e-6 for layer_norm in layer_norms)


# Invariances and generation


@pytest.fixture(scope="module")
def exact_model():
    """In double precision, so that nothing hides behind rounding."""
    return tiny_model().double()


codes = st.lists(st.integers(0, CODES - 1), min_size=1, max_size=12)


@settings(max_examples=25, deadline=None)
@given(batch=st.lists(codes, min_size=1, max_size=4), more_padding=st.integers(0, 5))
def test_neither_batch_nor_padding_changes_a_row(exact_model, batch, more_padding):
    ids = F.pad(motion_ids(batch), (0, more_padding), value=CODES + 2)
    start = torch.tensor([[1, 5, 7, 9]]).expand(len(batch), -1)
    together = exact_model(input_ids=ids, decoder_input_ids=start).logits
    alone = torch.cat([exact_model(input_ids=motion_ids([row]), decoder_input_ids=start[:1]).logits for row in batch])
    torch.testing.assert_close(together, alone, atol=1e-9, rtol=0)


@settings(max_examples=10, deadline=None)
@given(frames=st.lists(st.integers(4, FRAMES), min_size=2, max_size=3), seed=st.integers(0, 99))
def test_motion_values_in_a_batch_are_as_alone(exact_model, frames, seed):
    values = torch.randn(len(frames), max(frames), 23, generator=torch.Generator().manual_seed(seed)).double()
    mask = (torch.arange(max(frames)) < torch.tensor(frames)[:, None]).long()
    start = torch.tensor([[1, 5, 7, 9]]).expand(len(frames), -1)
    together = exact_model(motion_values=values, attention_mask=mask, decoder_input_ids=start).logits
    for row, count in enumerate(frames):
        alone = exact_model(motion_values=values[row : row + 1, :count], decoder_input_ids=start[:1]).logits
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-9, rtol=0)


@pytest.mark.parametrize("num_beams", [1, 4])
def test_generation_in_a_batch_is_as_alone(model, motion, num_beams):
    values, mask = motion
    together = model.generate(motion_values=values, attention_mask=mask, num_beams=num_beams, max_length=10)
    for row in range(3):
        clip = values[row : row + 1, : int(mask[row].sum())]
        alone = model.generate(motion_values=clip, num_beams=num_beams, max_length=10)[0]
        assert together[row, : len(alone)].tolist() == alone.tolist()
        assert (together[row, len(alone) :] == model.config.pad_token_id).all()
    assert len({tuple(row.tolist()) for row in together}) > 1, "equal captions would show nothing"


@pytest.mark.parametrize("search", [{}, {"num_beams": 4}, {"do_sample": True, "top_k": 5}])
def test_the_cache_changes_nothing(model, motion, search):
    values, mask = motion
    runs = []
    for use_cache in (True, False):
        torch.manual_seed(3)
        output = model.generate(
            motion_values=values,
            attention_mask=mask,
            use_cache=use_cache,
            max_length=12,
            return_dict_in_generate=True,
            output_logits=True,
            **search,
        )
        runs.append((output.sequences, torch.stack(output.logits)))
    assert torch.equal(runs[0][0], runs[1][0])
    torch.testing.assert_close(runs[0][1], runs[1][1], atol=2e-5, rtol=1e-4)


def test_greedy_is_the_argmax_of_teacher_forcing(model):
    ids = motion_ids([[3, 1, 4, 1, 5]])
    caption = model.generate(ids, max_length=12)
    logits = model(input_ids=ids, decoder_input_ids=caption[:, :-1]).logits
    assert caption[:, 1:].tolist() == logits.argmax(-1).tolist()
    assert caption[0, 0] == model.config.decoder_start_token_id


def test_samples(model):
    ids = motion_ids([[3, 1, 4, 1, 5], [9, 2]])
    torch.manual_seed(0)
    first = model.generate(ids, do_sample=True, num_return_sequences=5, max_length=8)
    torch.manual_seed(0)
    again = model.generate(ids, do_sample=True, num_return_sequences=5, max_length=8)
    assert first.shape[0] == 10
    assert torch.equal(first, again)
    assert len({tuple(row.tolist()) for row in first}) > 2


def test_outputs_on_request(model):
    ids = motion_ids([[3, 1, 4]])
    eager = tiny_model()
    eager.set_attn_implementation("eager")
    output = eager(input_ids=ids, labels=torch.tensor([[5, 2]]), output_hidden_states=True, output_attentions=True)
    assert len(output.encoder_hidden_states) == len(output.decoder_hidden_states) == 3
    assert [tuple(attention.shape) for attention in output.cross_attentions] == [(1, 4, 2, 5)] * 2
    torch.testing.assert_close(output.logits, model(input_ids=ids, labels=torch.tensor([[5, 2]])).logits)
    loss, logits, *_ = model(input_ids=ids, labels=torch.tensor([[5, 2]]), return_dict=False)
    assert loss.shape == () and logits.shape == (1, 2, 40)


# Saving


@pytest.mark.parametrize("auto_class", [AutoModel, AutoModelForSeq2SeqLM, MotionToTextModel])
def test_saved_and_loaded(motion, tmp_path, auto_class):
    model = tiny_model(label_smoothing=0.1, loss_reduction="sum", token_dropout=0.25)
    model.generation_config.num_beams = 3
    model.save_pretrained(tmp_path)
    loaded, info = auto_class.from_pretrained(tmp_path, output_loading_info=True)
    assert type(loaded) is MotionToTextModel
    assert not any(info.values()), info
    assert not loaded.training
    saved, read = model.config.to_diff_dict(), loaded.config.to_diff_dict()
    assert read["vq_config"].pop("dtype") == "float32"
    assert read == saved
    assert json.loads((tmp_path / "config.json").read_text())["vq_config"]["codebook_size"] == CODES
    assert loaded.lm_head.weight is loaded.model.decoder.embed_tokens.weight
    values, mask = motion
    labels = torch.tensor([[7, 8, 2]] * 3)
    theirs = loaded(motion_values=values, attention_mask=mask, labels=labels)
    ours = model(motion_values=values, attention_mask=mask, labels=labels)
    assert torch.equal(theirs.logits, ours.logits) and torch.equal(theirs.loss, ours.loss)
    generated = loaded.generate(motion_values=values, attention_mask=mask)
    assert torch.equal(generated, model.generate(motion_values=values, attention_mask=mask))


def test_a_trained_vq_moves_in(motion, tmp_path):
    values, mask = motion
    model = tiny_model()
    trained = MotionVQModel(model.config.vq_config).eval()
    with torch.no_grad():
        trained.quantizer.embedding.weight.normal_()
    model.vq = trained
    model.save_pretrained(tmp_path)
    loaded = MotionToTextModel.from_pretrained(tmp_path)
    assert torch.equal(loaded.vq.encode(values, mask), trained.encode(values, mask))


# The original's numbers


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
    source = motion_ids([[3, 1, 4, 1, 5]])
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
