# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Motion-to-text: its configuration, inputs, losses, generation."""

import copy
import json
import math
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from accelerate import cpu_offload, disk_offload, init_empty_weights, load_checkpoint_and_dispatch
from huggingface_hub.errors import StrictDataclassError
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import (
    AutoModel,
    AutoModelForSeq2SeqLM,
    EncoderDecoderCache,
    StaticCache,
    Trainer,
    TrainingArguments,
    pipeline,
)

from tm2t_hf import MotionToTextConfig, MotionToTextModel, MotionVQConfig, MotionVQModel

CODES = 32
FRAMES = 44  # 11 motion tokens


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
        ({"read_offsets": [0, 4]}, r"read_offsets must hold distinct frames from 0 to 3, .*, got \[0, 4\]"),
        ({"read_offsets": [-1]}, r"from 0 to 3, .*, got \[-1\]"),
        ({"read_offsets": [1, 1]}, r"distinct frames from 0 to 3, .*, got \[1, 1\]"),
        ({"read_offsets": []}, r"from 0 to 3, .*, got \[\]"),
        ({"vq_config": None, "read_offsets": [0, 2]}, r"from 0 to 0, .* \(0 without a vq_config\), got \[0, 2\]"),
    ],
)
def test_a_configuration_that_does_not_fit_says_which_field(overrides, message):
    with pytest.raises(StrictDataclassError, match=message):
        tiny_config(**overrides)


# Inputs


def test_motion_values_are_the_ids_of_their_codes(model, motion):
    values, mask = motion
    codes = model.vq.encode(values, mask).codes
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


def test_an_offset_leaves_the_first_frames_out(model, motion):
    values, mask = motion
    ids, id_mask = model.encode_motion(values, mask, offset=3)
    for row, count in enumerate([44, 30, 9]):
        alone, _ = model.encode_motion(values[row : row + 1, 3:count])
        assert ids[row][id_mask[row].bool()].tolist() == alone[0].tolist()
    assert torch.equal(model.encode_motion(values[:1], offset=3)[0], ids[:1]), "no mask: all frames count"
    short = values[:1, :6]  # no whole token left behind the third frame
    assert torch.equal(model.encode_motion(short, offset=3)[0], model.encode_motion(short)[0])


def test_the_decoder_attends_to_every_reading(motion):
    values, mask = motion
    both, first, second = (tiny_model(read_offsets=offsets) for offsets in ([0, 2], [0], [2]))
    start = torch.tensor([[1, 5, 7]] * 3)
    readings = [one(motion_values=values, attention_mask=mask, decoder_input_ids=start) for one in (first, second)]
    memory = torch.cat([reading.encoder_last_hidden_state for reading in readings], dim=1)
    memory_mask = torch.cat([both.encode_motion(values, mask, offset)[1] for offset in (0, 2)], dim=1)
    expected = both(encoder_outputs=(memory,), attention_mask=memory_mask, decoder_input_ids=start).logits
    logits = both(motion_values=values, attention_mask=mask, decoder_input_ids=start).logits
    torch.testing.assert_close(logits, expected)
    assert (logits - readings[0].logits).abs().max() > 0.01
    as_tuple = both(motion_values=values, attention_mask=mask, decoder_input_ids=start, return_dict=False)
    assert torch.equal(as_tuple[0], logits)
    # ids are one reading, whatever the configuration says
    ids, id_mask = both.encode_motion(values, mask)
    from_ids = both(input_ids=ids, attention_mask=id_mask, decoder_input_ids=start).logits
    torch.testing.assert_close(from_ids, readings[0].logits)


@pytest.mark.parametrize("offsets", [[0], [0, 2]])
def test_residuals_are_read_with_their_codes(motion, offsets, tmp_path):
    values, mask = motion
    model = tiny_model(read_residuals=True, read_offsets=offsets)
    read = model.read_motion(values, mask)
    rest = model.vq.encode(values, mask, output_residuals=True).residuals
    assert torch.equal(read["residuals"][:, 0, 1:-1], rest)
    assert not read["residuals"][:, :, 0].any() and not read["residuals"][1, 0, 8:].any(), "7 codes, <eom> and padding"
    start = torch.tensor([[1, 5, 7]] * 3)
    logits = model(motion_values=values, attention_mask=mask, decoder_input_ids=start).logits
    assert torch.equal(model(**read, decoder_input_ids=start).logits, logits)
    codes_alone = {name: tensor for name, tensor in read.items() if name != "residuals"}
    assert (model(**codes_alone, decoder_input_ids=start).logits - logits).abs().max() > 0.01
    for options in ({"num_beams": 3, "num_return_sequences": 2}, {"num_beams": 1}):
        options["max_new_tokens"] = 8
        captions = model.generate(motion_values=values, attention_mask=mask, **options)
        assert torch.equal(model.generate(**read, **options), captions)
        alone = model.generate(values[1:2, :30], **options)
        assert torch.equal(alone, captions.unflatten(0, (3, -1))[1, :, : alone.shape[1]]), "padding and batch"
    model.save_pretrained(tmp_path)
    again = MotionToTextModel.from_pretrained(tmp_path)
    assert torch.equal(again(motion_values=values, attention_mask=mask, decoder_input_ids=start).logits, logits)


@pytest.mark.parametrize("offsets", [[0], [0, 2]])
def test_residuals_are_hidden_from_whole_motions_in_training(motion, offsets):
    values, mask = motion
    sizes = {"dropout": 0.0, "attention_dropout": 0.0, "residual_dropout": 0.5, "read_offsets": offsets}
    model = tiny_model(read_residuals=True, **sizes)
    read = {name: tensor.repeat_interleave(20, dim=0) for name, tensor in model.read_motion(values, mask).items()}
    ids, mask, residuals = (read[name] for name in ("input_ids", "attention_mask", "residuals"))
    model.train()
    with torch.no_grad():
        states = model.get_encoder()(ids, mask, residuals=residuals).last_hidden_state
        model.eval()
        shown, hidden = (model.get_encoder()(ids, mask, residuals=r).last_hidden_state for r in (residuals, None))
    is_shown, is_hidden = (((states - each).abs().amax((1, 2)) < 1e-4) for each in (shown, hidden))
    assert (is_shown ^ is_hidden).all()
    assert 15 < is_shown.sum() < 45


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")  # torch's own about quantization
def test_residuals_in_other_types(motion):
    values, mask = motion
    model = tiny_model(read_residuals=True)
    start = torch.tensor([[1, 5, 7]] * 3)
    read = model.read_motion(values, mask) | {"decoder_input_ids": start}
    logits = model(**read).logits
    quantized = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    assert 0 < (quantized(**read).logits - logits).norm() < 0.2 * logits.norm()
    half = copy.deepcopy(model).to(torch.bfloat16)
    found = half(**read).logits
    assert found.dtype == torch.bfloat16
    assert (found.float() - logits).norm() < 0.2 * logits.norm()


def test_offloaded_models_read_residuals(motion):
    values, mask = motion
    model = tiny_model(read_residuals=True)
    wanted = model.generate(motion_values=values, attention_mask=mask, max_new_tokens=8)
    offloaded = cpu_offload(copy.deepcopy(model), execution_device=torch.device("cpu"))
    assert torch.equal(offloaded.generate(motion_values=values, attention_mask=mask, max_new_tokens=8), wanted)


def test_an_assistant_may_read_codes_alone(motion):
    values, _ = motion
    model, assistant = tiny_model(read_residuals=True), tiny_model()
    options = {"num_beams": 1, "do_sample": False, "max_new_tokens": 8}
    wanted = model.generate(motion_values=values[:1], **options)
    assert torch.equal(model.generate(motion_values=values[:1], assistant_model=assistant, **options), wanted)


def test_only_the_encoder_is_given_residuals(motion):
    """At every token and for every beam they would be copied."""
    values, mask = motion
    model, given = tiny_model(read_residuals=True), []
    model.register_forward_pre_hook(lambda module, args, kwargs: given.append(kwargs.keys()), with_kwargs=True)
    model.generate(motion_values=values, attention_mask=mask, num_beams=2, max_new_tokens=4)
    assert given and not any("residuals" in names for names in given)


def test_every_weight_has_a_gradient_where_no_residuals_are_given(motion):
    """Distributed training waits for it in vain otherwise."""
    values, mask = motion
    model = tiny_model(read_residuals=True, dropout=0.0, attention_dropout=0.0)
    ids, mask = model.encode_motion(values, mask)
    labels = torch.full((3, 2), 5)
    expected = model(input_ids=ids, attention_mask=mask, labels=labels).loss
    loss = model.train()(input_ids=ids, attention_mask=mask, labels=labels).loss
    torch.testing.assert_close(loss, expected)
    loss.backward()
    gradient = model.get_encoder().residual_projection.weight.grad
    assert gradient is not None and not gradient.any()


def test_residuals_that_do_not_fit(motion):
    values, mask = motion
    with pytest.raises(StrictDataclassError, match="read_residuals needs a vq_config"):
        MotionToTextConfig(read_residuals=True)
    with pytest.raises(StrictDataclassError, match="residual_dropout must be at least 0 and below 1"):
        tiny_config(residual_dropout=1.0)
    model = tiny_model(read_residuals=True)
    read = model.read_motion(values, mask)
    residuals = read["residuals"]
    for call in (partial(model, decoder_input_ids=torch.ones(3, 1, dtype=torch.long)), model.generate):
        with pytest.raises(ValueError, match="residuals. are those of input_ids; of motion_values, the model finds"):
            call(motion_values=values, attention_mask=mask, residuals=residuals)
        for wrong, found in ((residuals[..., 1:], r"\(3, 1, 13, 15\)"), (residuals.numpy(), "ndarray")):
            with pytest.raises(ValueError, match=rf"must be a tensor of the shape \(3, 1, 13, 16\), .* got {found}"):
                call(**read | {"residuals": wrong})
        with pytest.raises(ValueError, match="residuals. holds NaN or infinite values"):
            call(**read | {"residuals": residuals / 0})
    plain = tiny_model()
    with pytest.raises(ValueError, match="this model reads no residuals"):
        plain(**read, decoder_input_ids=torch.ones(3, 1, dtype=torch.long))
    plain.config.read_residuals = True
    with pytest.raises(ValueError, match="this model has no weights for residuals"):
        plain.generate(motion_values=values, attention_mask=mask)
    model.vq = MotionVQModel(MotionVQConfig(hidden_size=8, codebook_size=CODES, feature_size=23))
    with pytest.raises(ValueError, match="vq. has a hidden_size of 8, but the model reads residuals of 16"):
        model.generate(motion_values=values, attention_mask=mask)


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
    with pytest.raises(ValueError, match="the motion lasts 4.0 seconds, .*22 tokens .* max_position_embeddings is 20"):
        run(input_ids=motion_ids([[1] * 20]), **extra)
    with pytest.raises(ValueError, match="the motion lasts 4.0 seconds, .*22 tokens .* max_position_embeddings is 20"):
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
    """In double precision, so that nothing hides behind rounding; reading motion twice."""
    return tiny_model(read_offsets=[0, 3]).double()


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


@pytest.mark.parametrize(("num_beams", "read_offsets"), [(1, [0]), (4, [0]), (1, [0, 2]), (4, [0, 1, 2, 3])])
def test_generation_in_a_batch_is_as_alone(motion, num_beams, read_offsets):
    values, mask = motion
    model = tiny_model(read_offsets=read_offsets)
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


def test_generation_goes_on_from_its_cache(model):
    ids = motion_ids([[3, 1, 4, 1, 5]])
    settings = {"eos_token_id": None, "return_dict_in_generate": True, "output_logits": True}
    first = model.generate(ids, max_length=6, **settings)
    rest = model.generate(
        ids, decoder_input_ids=first.sequences, past_key_values=first.past_key_values, max_length=9, **settings
    )
    whole = model.generate(ids, max_length=9, **settings)
    assert torch.equal(rest.sequences, whole.sequences)
    torch.testing.assert_close(torch.stack(rest.logits), torch.stack(whole.logits[5:]), atol=2e-5, rtol=1e-4)


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
    eager, sdpa = tiny_model().double(), tiny_model().double()  # in float32, kernels round differently
    eager.set_attn_implementation("eager")
    output = eager(input_ids=ids, labels=torch.tensor([[5, 2]]), output_hidden_states=True, output_attentions=True)
    assert len(output.encoder_hidden_states) == len(output.decoder_hidden_states) == 3
    assert [tuple(attention.shape) for attention in output.cross_attentions] == [(1, 4, 2, 5)] * 2
    torch.testing.assert_close(output.logits, sdpa(input_ids=ids, labels=torch.tensor([[5, 2]])).logits)
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
    assert torch.equal(loaded.vq.encode(values, mask).codes, trained.encode(values, mask).codes)


# Other libraries, other devices


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_in_half_precision(motion, tmp_path, dtype):
    values, mask = motion
    labels = torch.tensor([[7, 8, 2]] * 3)
    model = tiny_model(loss_reduction="sum")
    model.save_pretrained(tmp_path)
    half = MotionToTextModel.from_pretrained(tmp_path, dtype=dtype)
    output = half(motion_values=values, attention_mask=mask, labels=labels)
    assert output.logits.dtype == dtype and output.loss.dtype == torch.float32
    torch.testing.assert_close(
        output.loss, model(motion_values=values, attention_mask=mask, labels=labels).loss, rtol=0.05, atol=0
    )
    assert half.generate(motion_values=values, attention_mask=mask, max_length=6).shape[0] == 3
    same = half.encode_motion(values, mask)[0] == model.encode_motion(values, mask)[0]
    assert same.float().mean() > 0.9


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_pipeline_in_half_precision(m2t_model, processor, tmp_path, dtype):
    m2t_model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    describe = pipeline("motion-to-text", model=str(tmp_path), dtype=dtype)
    assert isinstance(describe(np.random.randn(40, 263))[0]["generated_text"], str)


@pytest.mark.parametrize(("size", "multiple"), [(46, None), (39, None), (41, 16), (None, 64)])
@pytest.mark.parametrize("tied", [True, False])
def test_more_text_tokens(motion, tmp_path, size, multiple, tied):
    values, mask = motion
    model = tiny_model(tie_word_embeddings=tied)
    inputs = {"motion_values": values, "attention_mask": mask, "decoder_input_ids": torch.tensor([[1, 5, 7]] * 3)}
    before = model(**inputs).logits
    table = model.resize_token_embeddings(size, pad_to_multiple_of=multiple)
    new = {46: 46, 39: 39, 41: 48, None: 64}[size]
    assert table is model.model.decoder.embed_tokens and table.num_embeddings == new
    assert model.get_input_embeddings().num_embeddings == CODES + 3, "the motion's table stays"
    assert model.config.vocab_size == model.config.decoder_vocab_size == new
    assert (model.lm_head.weight is table.weight) == tied
    kept = min(40, new)
    torch.testing.assert_close(model(**inputs).logits[..., :kept], before[..., :kept])
    model.save_pretrained(tmp_path)
    loaded = AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    assert torch.equal(loaded(**inputs).logits, model(**inputs).logits)
    generated = loaded.generate(motion_values=values, attention_mask=mask, max_length=8)
    assert torch.equal(generated, model.generate(motion_values=values, attention_mask=mask, max_length=8))


def test_the_decoders_name_for_it(tmp_path):
    model = tiny_model()
    assert model.resize_decoder_token_embeddings(50).num_embeddings == 50
    model.save_pretrained(tmp_path)
    assert MotionToTextModel.from_pretrained(tmp_path).config.vocab_size == 50
    with pytest.raises(ValueError, match="needs 3 entries at least, for its special ids"):
        model.resize_token_embeddings(2)


def test_vectors_in_place_of_ids(model):
    ids = motion_ids([[3, 1, 4], [9]])
    mask = (ids != CODES + 2).long()
    embeds = model.get_input_embeddings()(ids) * model.get_encoder().embed_scale
    labels = torch.tensor([[5, 2], [7, 2]])
    expected = model(input_ids=ids, labels=labels)
    output = model(inputs_embeds=embeds, attention_mask=mask, labels=labels)
    torch.testing.assert_close(output.logits, expected.logits)
    generated = model.generate(inputs_embeds=embeds, attention_mask=mask, num_beams=2, max_length=8)
    assert torch.equal(generated, model.generate(ids, num_beams=2, max_length=8))
    # peft passes what it does not have
    assert torch.equal(model(input_ids=ids, labels=labels, inputs_embeds=None).loss, expected.loss)


class Captions(torch.utils.data.Dataset):
    """Pairs for `Trainer`."""

    column_names = ("motion_values", "labels")

    def __len__(self):
        return 4

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        return {"motion_values": torch.randn(24, 23, generator=generator), "labels": torch.tensor([5 + index, 7, 2])}


def trainer(model, folder, **arguments) -> Trainer:
    settings = {"per_device_train_batch_size": 2, "report_to": [], "use_cpu": True, "num_train_epochs": 1}
    settings |= {"disable_tqdm": True, "save_strategy": "no"}
    return Trainer(
        model, TrainingArguments(folder, **settings | arguments), train_dataset=Captions(), eval_dataset=Captions()
    )


def test_trainer_adds_noise_to_embeddings(tmp_path):
    assert math.isfinite(trainer(tiny_model(), tmp_path, neftune_noise_alpha=5.0).train().training_loss)


def test_trainer_evaluates_in_half_precision(tmp_path):
    assert math.isfinite(trainer(tiny_model(), tmp_path, bf16_full_eval=True).evaluate()["eval_loss"])


@pytest.mark.parametrize("name", ["eager", "sdpa", "flex_attention"])
def test_attention_implementations(motion, tmp_path, name):
    values, mask = motion
    model = tiny_model()
    model.save_pretrained(tmp_path)
    start = torch.tensor([[1, 5, 7]] * 3)
    expected = model(motion_values=values, attention_mask=mask, decoder_input_ids=start).logits
    loaded = MotionToTextModel.from_pretrained(tmp_path, attn_implementation=name)
    model.set_attn_implementation(name)
    assert loaded.config._attn_implementation == model.config._attn_implementation == name
    if name != "flex_attention":  # which wants to be compiled
        for other in (loaded, model):
            logits = other(motion_values=values, attention_mask=mask, decoder_input_ids=start).logits
            torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("offload", ["cpu", "disk", "auto"])
@pytest.mark.parametrize("form", ["motion_values", "input_probs"])
def test_offloaded(motion, tmp_path, offload, form):
    model = tiny_model()
    model.save_pretrained(tmp_path)
    inputs = {"motion_values": motion[0], "attention_mask": motion[1]}
    if form == "input_probs":
        inputs = {"input_probs": torch.rand(2, 5, CODES + 3)}
    if offload == "cpu":
        other = cpu_offload(copy.deepcopy(model), execution_device="cpu")
    elif offload == "disk":
        other = disk_offload(copy.deepcopy(model), tmp_path / "offload", execution_device="cpu")
    else:
        other = MotionToTextModel.from_pretrained(
            tmp_path, device_map="auto", max_memory={"cpu": 30_000}, offload_folder=tmp_path / "offload"
        )
        assert "disk" in other.hf_device_map.values()
    assert torch.equal(other.generate(**inputs, max_length=8), model.generate(**inputs, max_length=8))


def test_built_without_memory(motion, tmp_path):
    model = tiny_model()
    model.save_pretrained(tmp_path)
    with init_empty_weights():
        empty = MotionToTextModel(model.config)
    empty.tie_weights()
    loaded = load_checkpoint_and_dispatch(empty, str(tmp_path / "model.safetensors"), device_map={"": "cpu"}).eval()
    inputs = {"motion_values": motion[0], "attention_mask": motion[1], "max_length": 8}
    assert torch.equal(loaded.generate(**inputs), model.generate(**inputs))


@pytest.mark.parametrize("form", ["motion_values", "input_ids"])
def test_compiles_without_a_break(motion, form):
    model = tiny_model(read_offsets=[0, 2])
    values, mask = motion
    inputs = {"motion_values": values, "attention_mask": mask}
    if form == "input_ids":
        inputs["input_ids"], inputs["attention_mask"] = model.encode_motion(values, mask)
        del inputs["motion_values"]
    inputs |= {"decoder_input_ids": torch.tensor([[1, 5, 7]] * 3), "use_cache": False}
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(**inputs).logits, model(**inputs).logits)


def test_compiled_code_refuses_too(motion):
    model = tiny_model()
    ids, mask = model.encode_motion(*motion)
    compiled = torch.compile(model, backend="eager")
    inputs = {"decoder_input_ids": torch.tensor([[1, 5, 7]] * 3), "use_cache": False}
    with torch.no_grad():
        compiled(input_ids=ids, attention_mask=mask, **inputs)
        with pytest.raises(RuntimeError, match="input_ids must be padded on the right side only"):
            compiled(input_ids=ids.flip(1), attention_mask=mask.flip(1), **inputs)
        for length in (21, 25):  # the second time, lengths are symbols
            with pytest.raises(ValueError, match=f"{length} tokens .* max_position_embeddings is 20"):
                compiled(input_ids=torch.zeros(3, length, dtype=torch.long), **inputs)


def test_a_full_static_cache_is_refused_in_compiled_code(motion):
    model = tiny_model()
    ids, mask = model.encode_motion(*motion)
    encoded = model.get_encoder()(ids, attention_mask=mask)
    cache = EncoderDecoderCache(*(StaticCache(config=model.config, max_cache_len=size) for size in (24, 13)))
    step = torch.compile(model, backend="eager", fullgraph=True)
    inputs = {"encoder_outputs": encoded, "attention_mask": mask, "past_key_values": cache}
    with torch.no_grad():
        model(**inputs, decoder_input_ids=torch.ones(3, 19, dtype=torch.long))
        one = torch.ones(3, 1, dtype=torch.long)
        step(**inputs, decoder_input_ids=one)
        with pytest.raises(RuntimeError, match="the caption has more tokens than the model has positions for, 20"):
            step(**inputs, decoder_input_ids=one)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ([[1, 5], [1, 99]], "`decoder_input_ids` holds 99, but the vocabulary has ids 0 to 39"),
        ([[1, 5, 7], [1, 5, 0]], "holds padding or <eos>"),
        ([[1, 5, 7], [0, 1, 5]], "holds padding or <eos>"),
        ([[1, 5, 2], [1, 5, 7]], "holds padding or <eos>"),
        ([[1, 5], [6, 5]], "Either every caption to continue begins with <bos>, or none"),
    ],
)
def test_captions_that_cannot_be_continued_are_refused(motion, prompt, message):
    values, mask = (each[:2] for each in motion)
    with pytest.raises(ValueError, match=message):
        tiny_model().generate(motion_values=values, attention_mask=mask, decoder_input_ids=torch.tensor(prompt))


def test_a_cache_of_another_motion_is_refused(motion):
    model = tiny_model()
    values, mask = motion
    inputs = {"motion_values": values, "attention_mask": mask, "eos_token_id": None, "max_new_tokens": 4}
    begun = model.generate(**inputs, return_dict_in_generate=True)
    other = {"motion_values": values.roll(4, dims=1), "attention_mask": mask}
    with pytest.raises(ValueError, match="`past_key_values` comes from another text or motion"):
        model.generate(**inputs | other, decoder_input_ids=begun.sequences, past_key_values=begun.past_key_values)
    ids, mask = model.encode_motion(*motion)
    step = {"decoder_input_ids": torch.tensor([[1]] * len(ids)), "attention_mask": mask}
    cache = model(input_ids=ids, **step).past_key_values
    with pytest.raises(ValueError, match="`past_key_values` comes from another text or motion"):
        model(input_ids=ids.where(ids >= CODES, (ids + 7) % CODES), past_key_values=cache, **step)


def test_a_cache_longer_than_its_captions_is_refused(motion):
    model = tiny_model()
    inputs = {"motion_values": motion[0], "attention_mask": motion[1], "eos_token_id": None}
    begun = model.generate(**inputs, max_new_tokens=4, return_dict_in_generate=True)
    cache, prompt = begun.past_key_values, begun.sequences  # which has not read the last id
    for begin in (prompt[:, :4], prompt[:, :2], prompt[:, 1:4]):
        with pytest.raises(ValueError, match=r"The cache has seen 4 tokens, but there are only \d: give the whole"):
            model.generate(**inputs, decoder_input_ids=begin, past_key_values=copy.deepcopy(cache))
    with pytest.raises(ValueError, match="Give the captions that the cache belongs to"):
        model.generate(**inputs, past_key_values=copy.deepcopy(cache))
    continued = model.generate(**inputs, decoder_input_ids=prompt, past_key_values=cache, max_new_tokens=3)
    assert torch.equal(continued, model.generate(**inputs, max_new_tokens=7))


def test_guidance_is_refused(motion):
    with pytest.raises(ValueError, match="guidance_scale=2 is not possible: these models are not trained"):
        tiny_model().generate(motion_values=motion[0], attention_mask=motion[1], guidance_scale=2)


def test_a_static_cache_compiles_without_a_break(motion):
    """Step by step, as `generate(cache_implementation="static")` does on a GPU."""
    model = tiny_model()
    ids, mask = model.encode_motion(*motion)
    encoded = model.get_encoder()(ids, attention_mask=mask)
    caption = torch.tensor([[1, 5, 7, 9]] * 3)
    expected = model(encoder_outputs=encoded, attention_mask=mask, decoder_input_ids=caption).logits
    cache = EncoderDecoderCache(*(StaticCache(config=model.config, max_cache_len=size) for size in (8, 13)))
    step = torch.compile(model, backend="eager", fullgraph=True)
    inputs = {"encoder_outputs": encoded, "attention_mask": mask, "past_key_values": cache}
    with torch.no_grad():
        first = model(**inputs, decoder_input_ids=caption[:, :1]).logits
        rest = [step(**inputs, decoder_input_ids=caption[:, place : place + 1]).logits for place in (1, 2, 3)]
    torch.testing.assert_close(torch.cat([first, *rest], dim=1), expected)


def test_static_cache(motion):
    model = tiny_model()
    inputs = {"motion_values": motion[0], "attention_mask": motion[1], "max_length": 12}
    static = model.generate(**inputs, cache_implementation="static", disable_compile=True)
    assert torch.equal(static, model.generate(**inputs))
    with pytest.raises(ValueError, match="the caption has 21 tokens .* positions for 20"):
        model.generate(**inputs | {"max_length": 24}, eos_token_id=None, cache_implementation="static")


@pytest.mark.parametrize("form", ["motion_values", "input_ids"])
def test_a_second_model_assists(motion, form):
    model, assistant = tiny_model(), tiny_model()
    with torch.no_grad():
        for parameter in assistant.model.decoder.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    values = motion[0][:1]
    inputs = {"motion_values": values} if form == "motion_values" else {"input_ids": model.encode_motion(values)[0]}
    alone = model.generate(**inputs, max_length=12)
    assert torch.equal(model.generate(**inputs, max_length=12, assistant_model=assistant), alone)
    assert torch.equal(model.generate(**inputs, max_length=12, prompt_lookup_num_tokens=2), alone)


def test_distributed_training_with_checkpointing(motion, tmp_path):
    """A parameter that no gradient reaches would stop the second step."""
    values, mask = motion
    tiny_model().save_pretrained(tmp_path)
    model = MotionToTextModel.from_pretrained(tmp_path).train()
    assert not any(parameter.requires_grad for parameter in model.vq.parameters())
    model.gradient_checkpointing_enable()

    def train():  # a function, as what holds the group must be gone before the group is: its threads are waited for
        distributed = torch.nn.parallel.DistributedDataParallel(model)
        labels = torch.tensor([[7, 8, 2]] * 3)
        for _ in range(3):
            distributed(motion_values=values, attention_mask=mask, labels=labels).loss.backward()

    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        train()
    finally:
        torch.distributed.destroy_process_group()
    assert model.lm_head.weight.grad.norm() > 0


def test_hidden_states_of_readings(motion):
    values, mask = motion
    model = tiny_model(read_offsets=[0, 3])
    output = model(
        motion_values=values,
        attention_mask=mask,
        decoder_input_ids=torch.tensor([[1, 5]] * 3),
        output_hidden_states=True,
    )
    assert [tuple(hidden.shape) for hidden in output.encoder_hidden_states] == [(3, 26, 16)] * 3
    assert torch.equal(output.encoder_hidden_states[-1], output.encoder_last_hidden_state)


# Bad input


@pytest.mark.parametrize("call", ["forward", "generate"])
def test_padding_on_the_left_is_refused(motion, call):
    """It would move the motion to later positions, or the codes by a part of a token."""
    model = tiny_model(read_offsets=[2])
    run = model.generate if call == "generate" else model
    extra = {} if call == "generate" else {"decoder_input_ids": torch.tensor([[1]] * 2)}
    values, mask = torch.zeros(2, 24, 23), torch.ones(2, 24, dtype=torch.long)
    mask[0, :8] = 0
    with pytest.raises(ValueError, match="motion_values must be padded on the right side only"):
        run(motion_values=values, attention_mask=mask, **extra)
    ids = motion_ids([[1, 2, 3], [4]])
    ids[1] = ids[1].roll(2)
    for form in ({"input_ids": ids}, {"input_probs": F.one_hot(ids, CODES + 3).float()}):
        with pytest.raises(ValueError, match=r"input_(ids|probs) must be padded on the right side only"):
            run(**form, attention_mask=(ids != CODES + 2).long(), **extra)


def test_too_long_a_motion_is_told_in_seconds(model):
    message = r"the motion lasts 4.0 seconds, but the model takes 3.6 at most \(22 tokens .* give its frame rate"
    with pytest.raises(ValueError, match=message):
        model.generate(motion_values=torch.zeros(1, 80, 23))
    assert model.generate(motion_values=torch.zeros(1, 75, 23)).shape[0] == 1  # 3.6 s and an incomplete token


@pytest.mark.parametrize("offsets", [[], [0, 9], [1, 1], [-1]])
def test_read_offsets_that_were_changed_are_checked_where_they_are_read(motion, offsets):
    model = tiny_model()
    model.config.read_offsets = offsets
    values, mask = motion
    for call in (model.generate, lambda **inputs: model(**inputs, labels=torch.ones(3, 2, dtype=torch.long))):
        with pytest.raises(ValueError, match="read_offsets must hold distinct frames from 0 to 3"):
            call(motion_values=values, attention_mask=mask)
    for offset in set(offsets) - {0, 1}:
        with pytest.raises(ValueError, match=f"offset must be a frame from 0 to 3, .* got {offset}"):
            model.encode_motion(values, mask, offset)


def test_a_call_without_a_caption_says_what_to_do(model, motion):
    values, mask = motion
    encoded = model.get_encoder()(input_ids=motion_ids([[1, 2], [3]]))
    for inputs in ({"motion_values": values, "attention_mask": mask}, {"encoder_outputs": encoded}):
        with pytest.raises(ValueError, match="Give `decoder_input_ids` or `labels` .* call generate()"):
            model(**inputs)


def test_the_motion_vq_may_be_stored_in_half_precision(m2t_model, tmp_path):
    m2t_model.save_pretrained(tmp_path / "single")
    m2t_model.config.frozen_storage_dtype = "float16"
    m2t_model.save_pretrained(tmp_path / "half")
    single, half = (load_file(tmp_path / name / "model.safetensors") for name in ("single", "half"))
    for name, tensor in half.items():
        assert tensor.dtype == (torch.float16 if name.startswith("vq.") else torch.float32), name
        torch.testing.assert_close(tensor.float(), single[name], atol=1e-3, rtol=1e-3)
    loaded = MotionToTextModel.from_pretrained(tmp_path / "half")
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}


def test_a_mask_counts_by_what_is_not_zero(m2t_model):
    m2t_model.config.read_offsets = [0, 2]
    motion = torch.randn(2, 32, m2t_model.config.vq_config.feature_size)
    mask = torch.ones(2, 32, dtype=torch.long)
    mask[1, 20:] = 0
    labels = torch.tensor([[3, 4, 2], [3, 4, 2]])
    m2t_model.eval()
    wanted = m2t_model(motion_values=motion, attention_mask=mask, labels=labels).logits
    torch.testing.assert_close(m2t_model(motion_values=motion, attention_mask=mask * 2, labels=labels).logits, wanted)


def test_the_first_argument_of_generate_may_be_features(m2t_model, vq_config):
    values = torch.randn(1, 40, vq_config.feature_size)
    by_name = m2t_model.generate(motion_values=values, max_new_tokens=4)
    assert torch.equal(m2t_model.generate(values, max_new_tokens=4), by_name)
    with pytest.raises(ValueError, match="given twice: as the first argument and as motion_values"):
        m2t_model.generate(values, motion_values=values)


def test_another_motion_vq_is_refused(m2t_model, vq_config):
    m2t_model = copy.deepcopy(m2t_model)
    config = copy.deepcopy(vq_config)
    config.codebook_size //= 2
    m2t_model.vq = type(m2t_model.vq)(config)
    with pytest.raises(ValueError, match="use the VQ that it was trained with"):
        m2t_model.generate(motion_values=torch.randn(1, 40, config.feature_size))


def test_labels_that_the_trainer_took_out(m2t_model):
    with pytest.raises(ValueError, match="label_smoothing_factor"):
        m2t_model(input_ids=torch.tensor([[m2t_model.config.bom_id, 1, m2t_model.config.eom_id]]))
