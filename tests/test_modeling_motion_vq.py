# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
import copy
import math

import pytest
import torch
from accelerate import cpu_offload, disk_offload, init_empty_weights, load_checkpoint_and_dispatch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel, Trainer, TrainingArguments

from tm2t_hf import MotionVQConfig, MotionVQModel, modeling_motion_vq
from tm2t_hf.modeling_motion_vq import MotionVQConvolution, MotionVQOutput, codes_to_ids, ids_to_codes

SIZES = {"feature_size": 23, "hidden_size": 8, "codebook_size": 16, "num_decoder_blocks": 1}  # features of two joints


def make_model(**options) -> MotionVQModel:
    torch.manual_seed(0)
    model = MotionVQModel(MotionVQConfig(**SIZES | options)).eval()
    # untrained codes lie so close to zero that all latents would choose the same one
    torch.nn.init.normal_(model.quantizer.embedding.weight, std=0.3)
    return model


def latents_of(model: MotionVQModel, motion_values, attention_mask=None) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents before quantization, and their mask."""
    latents, mask, _ = model._encode(motion_values, attention_mask)
    return latents, mask


def motions(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, SIZES["feature_size"], generator=torch.Generator().manual_seed(seed))


def padded(clips: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    """A batch whose padding holds rubbish, not zeros."""
    frames = max(map(len, clips))
    values = torch.full((len(clips), frames, SIZES["feature_size"]), 1e3)
    mask = torch.zeros(len(clips), frames, dtype=torch.long)
    for row, clip in enumerate(clips):
        values[row, : len(clip)], mask[row, : len(clip)] = clip, 1
    return {"motion_values": values, "attention_mask": mask}


# ------------------------------------------------------------------------------------------------- encode and decode


@pytest.mark.parametrize("unit_length", [2, 4, 8, 16])
@pytest.mark.parametrize("frames", [16, 50, 64])
def test_a_token_is_unit_length_frames(unit_length, frames):
    model = make_model(unit_length=unit_length)
    values = motions(3, frames)
    tokens = frames // unit_length
    codes = model.encode(values).codes
    assert codes.shape == (3, tokens) and codes.dtype == torch.int64
    assert codes.min() >= 0 and codes.max() < 16 and len(codes.unique()) > 1
    assert model.decode(codes).shape == (3, tokens * unit_length, 23)
    output = model(values)
    assert torch.equal(output.codes, codes)
    assert output.quantized.shape == (3, tokens, 8)
    torch.testing.assert_close(output.quantized, model.quantizer.embedding(codes))
    torch.testing.assert_close(output.reconstruction, model.decode(codes))
    error = (output.reconstruction - values[:, : tokens * unit_length]).abs().mean()
    torch.testing.assert_close(output.reconstruction_loss, error)


def test_the_nearest_code_is_chosen():
    model = make_model()
    latents, mask = latents_of(model, motions(2, 40), None)
    assert mask.all()
    distances = (latents[:, :, None] - model.quantizer.embedding.weight).square().sum(-1)
    assert torch.equal(model.encode(motions(2, 40)).codes, distances.argmin(-1))


def test_the_nearest_code_of_latents_of_any_shape():
    quantizer = make_model().quantizer
    latents = torch.randn(2, 3, SIZES["hidden_size"])
    codes = quantizer.nearest(latents)
    assert codes.shape == (2, 3)
    assert torch.equal(quantizer.nearest(latents[1, 2]), codes[1, 2])
    assert torch.equal(torch.func.vmap(quantizer.nearest)(latents), codes)


def test_residuals_are_what_codes_leave_out():
    model = make_model()
    values = motions(2, 40)
    mask = torch.ones(2, 40, dtype=torch.long)
    mask[1, 22:] = 0  # 5 whole tokens
    encoded = model.encode(values, mask, output_residuals=True)
    latents, _ = latents_of(model, values, mask)
    residuals = encoded.residuals * model.quantizer.embedding.weight.std(correction=0)
    torch.testing.assert_close(model.quantizer.embedding(encoded.codes[0]) + residuals[0], latents[0])
    assert encoded.residuals[0].abs().max() > 0.01 and not encoded.residuals[1, 5:].any()
    alone = model.encode(values[1:, :22], output_residuals=True).residuals
    torch.testing.assert_close(encoded.residuals[1:, :5], alone)
    assert model.encode(values).residuals is None


LOSSES = ("reconstruction_loss", "codebook_loss", "commitment_loss", "position_loss", "drift_loss")


@given(
    unit_length=st.sampled_from([2, 4, 8]),
    lengths=st.lists(st.integers(8, 33), min_size=1, max_size=4),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=40, deadline=None)
def test_a_padded_batch_is_its_clips_one_by_one(unit_length, lengths, seed):
    model = make_model(
        unit_length=unit_length,
        num_encoder_blocks=2,
        dilation_growth_rate=3,
        codebook_update="gradient",
        position_loss_weight=0.5,
        drift_loss_weight=0.25,
    )
    clips = [motions(length, seed=seed + row) for row, length in enumerate(lengths)]
    inputs = padded(clips)
    codes = model.encode(**inputs).codes
    tokens = torch.tensor(lengths) // unit_length
    token_mask = torch.arange(codes.shape[1]) < tokens[:, None]
    assert codes.shape == (len(clips), max(lengths) // unit_length)
    assert (codes[~token_mask] == 0).all()
    rubbish = codes.masked_fill(~token_mask, 7)
    decoded = model.decode(rubbish, token_mask.long())
    output = model(**inputs)
    assert torch.equal(output.codes, codes)
    alone = [model(clip[None]) for clip in clips]
    for row, single in enumerate(alone):
        count = int(tokens[row])
        assert torch.equal(codes[row, :count], model.encode(clips[row][None]).codes[0])
        assert torch.equal(codes[row, :count], single.codes[0])
        frames = count * unit_length
        for batched in (decoded, output.reconstruction):
            torch.testing.assert_close(batched[row, :frames], single.reconstruction[0], atol=1e-5, rtol=1e-4)
            assert (batched[row, frames:] == 0).all()
    for name in LOSSES:
        weighed = sum(int(count) * single[name] for count, single in zip(tokens, alone, strict=True)) / tokens.sum()
        torch.testing.assert_close(output[name], weighed, atol=1e-5, rtol=1e-4)


def test_a_mask_of_ones_is_no_mask():
    model = make_model()
    values = motions(2, 30)
    assert torch.equal(model.encode(values, torch.ones(2, 30)).codes, model.encode(values).codes)
    output, masked = model(values), model(values, torch.ones(2, 30, dtype=torch.bool))
    for name, value in output.items():
        torch.testing.assert_close(masked[name], value)


def test_the_encoder_sees_no_contacts():
    values = motions(1, 16)
    flipped = torch.cat([values[..., :-4], -values[..., -4:]], dim=-1)
    latents = {}
    for size in (4, 0):
        model = make_model(contact_size=size)
        latents[size] = [latents_of(model, each, None)[0] for each in (values, flipped)]
    assert torch.equal(*latents[4])
    assert not torch.equal(*latents[0])


# ----------------------------------------------------------------------------------------------------- codes and ids


@given(st.data(), st.integers(1, 2000))
@settings(max_examples=50, deadline=None)
def test_codes_and_ids_round_trip(data, codebook_size):
    config = MotionVQConfig(codebook_size=codebook_size)
    codes = st.lists(st.integers(0, codebook_size - 1), max_size=12)
    rows = [torch.tensor(row, dtype=torch.long) for row in data.draw(st.lists(codes, min_size=1, max_size=4))]
    batch = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    ids, ids_mask = codes_to_ids(batch, mask, config)
    assert ids.shape == ids_mask.shape == (len(rows), max(map(len, rows)) + 2)
    for row, codes in enumerate(rows):
        end = len(codes) + 2
        assert ids[row, :end].tolist() == [config.bom_id, *codes.tolist(), config.eom_id]
        assert (ids[row, end:] == config.pad_id).all()
        assert ids_mask[row].tolist() == [1] * end + [0] * (ids.shape[1] - end)
    for codes, back in zip(rows, ids_to_codes(ids, config), strict=True):
        assert back.tolist() == codes.tolist()


def test_codes_to_ids_without_a_mask():
    config = MotionVQConfig(codebook_size=8)
    ids, mask = codes_to_ids(torch.tensor([[1, 0], [7, 7]]), None, config)
    assert ids.tolist() == [[8, 1, 0, 9], [8, 7, 7, 9]]
    assert mask.tolist() == [[1] * 4] * 2


def test_ids_to_codes_of_what_a_model_may_write():
    config = MotionVQConfig(codebook_size=8)
    ids = torch.tensor([[8, 3, 8, 10, 4, 9, 5], [8, 9, 1, 1, 1, 1, 1], [0, 1, 2, 3, 4, 5, -100]])
    assert [row.tolist() for row in ids_to_codes(ids, config)] == [[3, 4], [], [0, 1, 2, 3, 4, 5]]


# ------------------------------------------------------------------------------------------------------------ losses


def test_the_loss_is_the_weighted_sum_of_its_parts():
    model = make_model(
        codebook_update="gradient", commitment_weight=0.3, position_loss_weight=0.7, drift_loss_weight=0.2
    )
    values = motions(2, 32)
    output = model(values)
    error = output.reconstruction - values
    latents = latents_of(model, values, None)[0]
    distance = F.mse_loss(latents, model.quantizer.embedding(output.codes))
    parts = {
        "reconstruction_loss": error.abs().mean(),
        "codebook_loss": distance,
        "commitment_loss": distance,
        "position_loss": error[..., 4:7].abs().mean(),  # of two joints one has a position relative to the root
        "drift_loss": error[..., :3].cumsum(1).abs().mean(),
    }
    for name, value in parts.items():
        torch.testing.assert_close(output[name], value)
    weights = (1, 1, 0.3, 0.7, 0.2)
    total = sum(weight * value for weight, value in zip(weights, parts.values(), strict=True))
    torch.testing.assert_close(output.loss, total)
    share = output.codes.flatten().bincount(minlength=16) / output.codes.numel()
    entropy = -sum(p * math.log(p) for p in share.tolist() if p)
    torch.testing.assert_close(output.perplexity, torch.tensor(math.exp(entropy)), rtol=1e-5, atol=0)


def test_the_paper_has_no_position_and_drift_loss():
    output = make_model()(motions(1, 16))
    assert output.position_loss is None and output.drift_loss is None
    assert output.codebook_loss == 0  # moving averages do its work
    assert make_model(codebook_update="gradient")(motions(1, 16)).codebook_loss > 0


def test_a_tuple_instead_of_names():
    model = make_model()
    output = model(motions(1, 16))
    assert isinstance(output, MotionVQOutput)
    for named, value in zip(output.to_tuple(), model(motions(1, 16), return_dict=False), strict=True):
        assert torch.equal(named, value)


@pytest.mark.parametrize("codebook_update", ["gradient", "ema", "ema_reset"])
def test_gradients_pass_straight_through_the_quantizer(codebook_update):
    model = make_model(codebook_update=codebook_update)
    latents = motions(2, 5)[..., :8].requires_grad_()
    quantized = model.quantizer(latents, torch.ones(2, 5, dtype=torch.bool))[1]
    gradient = torch.randn_like(quantized)
    quantized.backward(gradient)
    assert torch.equal(latents.grad, gradient)
    assert model.quantizer.embedding.weight.grad is None

    output = model(motions(2, 16))
    output.reconstruction_loss.backward(retain_graph=True)
    for part in (model.encoder, model.decoder):
        assert all(parameter.grad.abs().sum() > 0 for parameter in part.parameters())
    model.zero_grad()
    output.commitment_loss.backward(retain_graph=True)
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.encoder.parameters())
    assert all(parameter.grad is None for parameter in model.decoder.parameters())
    assert model.quantizer.embedding.weight.grad is None  # nor does the commitment move the codes


# ------------------------------------------------------------------------------------------------- codebook learning


def test_gradient_moves_codes_to_their_latents():
    model = make_model(codebook_update="gradient").train()
    values = motions(2, 40)
    output = model(values)
    output.loss.backward()
    latents, codebook = latents_of(model, values, None)[0].flatten(0, 1), model.quantizer.embedding.weight
    expected = torch.zeros_like(codebook)
    for latent, code in zip(latents, output.codes.flatten(), strict=True):
        expected[code] += 2 * (codebook[code] - latent) / latents.numel()
    torch.testing.assert_close(codebook.grad, expected)
    torch.testing.assert_close(output.codebook_loss, output.commitment_loss)
    # the encoder has the commitment and the reconstruction, but not the codebook loss
    assert not [name for name, _ in model.named_buffers()]


def one_step(model: MotionVQModel, inputs: dict) -> tuple[list, list, list]:
    """Trains the averages once; the codebook and averages that a slow, plain implementation expects."""
    latents, mask = latents_of(model, inputs["motion_values"], inputs.get("attention_mask"))
    kept = [latent.tolist() for latent in latents[mask]]
    quantizer = model.quantizer
    codebook, uses, sums = (
        tensor.tolist() for tensor in (quantizer.embedding.weight, quantizer.code_uses, quantizer.code_sums)
    )
    decay, size = model.config.ema_decay, len(codebook)
    cells = [[] for _ in codebook]
    for latent in kept:
        distances = [sum((a - b) ** 2 for a, b in zip(latent, code, strict=True)) for code in codebook]
        cells[distances.index(min(distances))].append(latent)
    even_use = len(kept) / size
    for code, cell in enumerate(cells):
        uses[code] = decay * uses[code] + (1 - decay) * len(cell) / even_use
        for axis in range(len(sums[code])):
            total = sum(latent[axis] for latent in cell) / even_use
            sums[code][axis] = decay * sums[code][axis] + (1 - decay) * total
        codebook[code] = [value / uses[code] for value in sums[code]]
    model.train()(**inputs)
    return codebook, uses, sums


def test_ema_moves_codes_to_the_average_of_their_latents():
    model = make_model(codebook_update="ema", ema_decay=0.8)
    quantizer = model.quantizer
    quantizer.code_uses.uniform_(0.5, 2)
    quantizer.code_sums.normal_()
    before = quantizer.embedding.weight.clone()
    codebook, uses, sums = one_step(model, padded([motions(30), motions(17, seed=2), motions(24, seed=3)]))
    for tensor, expected in ((quantizer.embedding.weight, codebook), (quantizer.code_uses, uses),
                             (quantizer.code_sums, sums)):  # fmt: skip
        torch.testing.assert_close(tensor, torch.tensor(expected), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(quantizer.embedding.weight, before)


def test_a_batch_of_another_size_moves_the_codes_as_much():
    small, large = make_model(codebook_update="ema"), make_model(codebook_update="ema")
    values = motions(2, 24)
    small.train()(values)
    large.train()(values.repeat(5, 1, 1))
    for name, tensor in small.quantizer.state_dict().items():
        torch.testing.assert_close(large.quantizer.state_dict()[name], tensor)


def test_several_processes_move_the_codes_as_one_does(monkeypatch):
    """Each with its part of the batch: what they add up is played back to each of them."""
    values = motions(4, 24)
    alone = make_model(codebook_update="ema", ema_decay=0.5).train()
    alone(values)
    added = []
    for part in (values[:1], values[1:]):
        said = []
        monkeypatch.setattr(
            modeling_motion_vq, "_sum_over_processes", lambda tensor, said=said: said.append(tensor) or tensor
        )
        make_model(codebook_update="ema", ema_decay=0.5).train()(part)
        added.append([tensor.clone() for tensor in said])
    for part in (values[:1], values[1:]):
        sums = (first + second for first, second in zip(*added, strict=True))
        monkeypatch.setattr(modeling_motion_vq, "_sum_over_processes", lambda tensor, sums=sums: next(sums))
        model = make_model(codebook_update="ema", ema_decay=0.5).train()
        model(part)
        for name, tensor in model.quantizer.state_dict().items():
            torch.testing.assert_close(tensor, alone.quantizer.state_dict()[name])
        assert next(sums, None) is None


def test_ema_reset_restarts_the_codes_out_of_use_at_latents_of_the_batch():
    model = make_model(codebook_update="ema_reset", ema_decay=0.9, reset_threshold=0.5)
    quantizer = model.quantizer
    quantizer.code_uses.fill_(1.0)
    quantizer.code_uses[3:6] = 0.4
    quantizer.embedding.weight[3:6] = 100.0  # nobody's nearest code
    quantizer.code_sums.copy_(quantizer.embedding.weight * quantizer.code_uses[:, None])
    inputs = padded([motions(40), motions(22, seed=2)])
    latents, mask = latents_of(model, **inputs)
    codebook, uses, _ = one_step(model, inputs)
    alive = [code for code in range(16) if not 3 <= code < 6]
    torch.testing.assert_close(quantizer.embedding.weight[alive], torch.tensor(codebook)[alive], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(quantizer.code_uses[alive], torch.tensor(uses)[alive])
    assert (quantizer.code_uses[3:6] == 1).all()
    for code in (3, 4, 5):  # each is one of the real latents, not one of the padding's
        assert (latents[mask] - quantizer.embedding.weight[code]).abs().amax(-1).min() < 1e-6


def test_a_new_codebook_is_placed_on_latents_of_the_first_batch():
    torch.manual_seed(0)
    model = MotionVQModel(MotionVQConfig(**SIZES)).train()
    values = motions(8, 64)
    latents = latents_of(model, values, None)[0].flatten(0, 1)
    model(values)
    for code in model.quantizer.embedding.weight:
        assert (latents - code).abs().amax(-1).min() < 1e-6
    assert model(values).perplexity > 5


@pytest.mark.parametrize("codebook_update", ["ema", "ema_reset"])
def test_only_training_moves_the_codebook(codebook_update):
    model = make_model(codebook_update=codebook_update)
    before = copy.deepcopy(model.state_dict())
    model(motions(2, 32))
    model.encode(motions(2, 32))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert not model.quantizer.embedding.weight.requires_grad


def waves(clips: int, frames: int) -> torch.Tensor:
    """Smooth motions: sines of several frequencies and phases."""
    generator = torch.Generator().manual_seed(5)
    frequency, phase = torch.rand(2, clips, 1, 23, generator=generator)
    return torch.sin(torch.arange(frames)[None, :, None] * (0.05 + 0.4 * frequency) + 6.3 * phase)


def test_the_codebook_does_not_collapse_on_a_small_set():
    values, first = waves(8, 64), None
    torch.manual_seed(0)
    model = MotionVQModel(MotionVQConfig(**SIZES | {"codebook_size": 32, "hidden_size": 16})).train()
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    for _ in range(250):
        output = model(values)
        first = output.reconstruction_loss.item() if first is None else first
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
    assert output.perplexity > 16
    assert output.reconstruction_loss < 0.6 * first


# ----------------------------------------------------------------------------------------------------- save and load


@pytest.mark.parametrize("codebook_update", ["gradient", "ema", "ema_reset"])
def test_save_and_load(tmp_path, codebook_update):
    model = make_model(codebook_update=codebook_update, unit_length=8, fps=12.5)
    model.train()(motions(4, 64))  # moves the averages away from where they start
    model.eval().save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as weights:
        assert not [key for key in set(weights.keys()) if "code_uses" in key or "code_sums" in key]
    assert AutoConfig.from_pretrained(tmp_path).to_diff_dict() == model.config.to_diff_dict()
    for loader in (MotionVQModel, AutoModel):
        loaded, information = loader.from_pretrained(tmp_path, output_loading_info=True)
        assert type(loaded) is MotionVQModel
        assert not any(information.values())
        assert not loaded.training
        values = motions(2, 40, seed=9)
        assert torch.equal(loaded.encode(values).codes, model.encode(values).codes)
        assert torch.equal(loaded(values).reconstruction, model(values).reconstruction)
        trainable = {name for name, parameter in loaded.named_parameters() if parameter.requires_grad}
        assert trainable == {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("codebook_update", ["ema", "ema_reset"])
def test_training_a_loaded_model_goes_on_from_its_codebook(tmp_path, codebook_update):
    """Whatever the batch: here 1,024 tokens for 16 codes."""
    model = make_model(codebook_update=codebook_update)
    model.save_pretrained(tmp_path)
    loaded = MotionVQModel.from_pretrained(tmp_path)
    before = loaded.quantizer.embedding.weight.clone()
    values = motions(64, 64)
    reach = torch.cdist(latents_of(loaded, values, None)[0].flatten(0, 1), before).max()
    loaded.train()(values)
    moved = (loaded.quantizer.embedding.weight - before).norm(dim=-1)
    assert moved.max() > 0
    assert moved.max() < 0.15 * reach  # at most (1 - decay) * codes of the way
    assert torch.equal(loaded.quantizer.code_uses > 0.98, torch.ones(16, dtype=torch.bool))


def test_the_state_dict_holds_the_averages():
    """A resumed training, which loads this, goes on exactly."""
    model = make_model(codebook_update="ema_reset").train()
    model(motions(4, 64))
    other = make_model(codebook_update="ema_reset").train()
    other.load_state_dict(model.state_dict())
    for each in (model, other):
        torch.manual_seed(3)
        each(motions(4, 64, seed=2))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])


def test_codes_under_autocast_are_those_without():
    model = make_model()
    latents = torch.randn(500, 20, 8)
    codes = model.quantizer.nearest(latents)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(model.quantizer.nearest(latents), codes)
        output = model(motions(2, 32))
    assert output.quantized.dtype == torch.float32
    output.loss.backward()


def test_a_model_in_half_precision():
    model = make_model().to(torch.bfloat16)
    values = motions(2, 32).to(torch.bfloat16)
    output = model(values)
    assert output.reconstruction.dtype == torch.bfloat16
    torch.testing.assert_close(output.reconstruction, model.decode(model.encode(values).codes), atol=0.02, rtol=0.02)


# --------------------------------------------------------------------------------------------------------- bad input


def test_ids_and_seconds():
    config = MotionVQConfig(codebook_size=10, unit_length=8, fps=20)
    assert (config.bom_id, config.eom_id, config.pad_id, config.motion_vocab_size) == (10, 11, 12, 13)
    assert config.seconds_per_token == 0.4
    assert config.num_joints == 22


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 0}, "`hidden_size` must be positive; got 0"),
        ({"fps": 0}, "`fps` must be positive; got 0"),
        ({"num_decoder_blocks": -1}, "`num_decoder_blocks` must not be negative; got -1"),
        ({"unit_length": 6}, "`unit_length` must be a power of two from 2 on; got 6"),
        ({"unit_length": 1}, "`unit_length` must be a power of two from 2 on; got 1"),
        ({"contact_size": 263}, r"`contact_size` \(263\) must leave the encoder some of the 263 features"),
        ({"codebook_update": "magic"}, "must be 'gradient', 'ema' or 'ema_reset'; got 'magic'"),
        ({"ema_decay": 1.5}, "`ema_decay` must lie between 0 and 1; got 1.5"),
        ({"feature_size": 100, "drift_loss_weight": 1}, r"`feature_size` is 12 \* joints - 1; got 100"),
        ({"codebook_size": "many"}, "codebook_size.* expected int"),
    ],
)
def test_bad_configurations(options, message):
    with pytest.raises(Exception, match=message) as information:
        MotionVQConfig(**options)
    assert "Validation" in type(information.value).__name__


def test_bad_motions():
    model = make_model()
    with pytest.raises(ValueError, match=r"must have the shape \(batch, frames, 23\); got \(2, 16, 263\)"):
        model.encode(torch.zeros(2, 16, 263))
    with pytest.raises(ValueError, match=r"must have the shape \(batch, frames, 23\); got \(16, 23\)"):
        model(torch.zeros(16, 23))
    with pytest.raises(ValueError, match=r"clip of 3 frames is shorter than one motion token \(4 frames\)"):
        model.encode(motions(2, 3))
    with pytest.raises(ValueError, match=r"clip of the batch is shorter than one motion token \(4 frames\)"):
        model(**padded([motions(16), motions(3)]))


def test_bad_codes():
    model = make_model()
    for bad in (-1, 16, model.config.bom_id, model.config.eom_id):
        with pytest.raises(ValueError, match="between 0 and 15; special ids .* are taken out by `ids_to_codes`"):
            model.decode(torch.tensor([[0, bad]]))
    for shape in ((5,), (2, 0), (1, 5, 8)):
        with pytest.raises(ValueError, match=r"must have the shape \(batch, tokens\)"):
            model.decode(torch.zeros(shape, dtype=torch.long))


@pytest.mark.parametrize("codebook_update", ["ema", "ema_reset"])
def test_training_goes_on_from_a_loaded_state_dict(codebook_update):
    """Also when what is loaded has no averages, as the files that `save_pretrained` writes."""
    saved = {key: value for key, value in make_model(codebook_update=codebook_update).state_dict().items()
             if "code_" not in key}  # fmt: skip
    model = MotionVQModel(MotionVQConfig(**SIZES, codebook_update=codebook_update)).train()
    model.load_state_dict(saved, strict=False)
    model(motions(8, 64))
    moved = (model.quantizer.embedding.weight - saved["quantizer.embedding.weight"]).norm(dim=-1)
    assert 0 < moved.max() < 0.15 * saved["quantizer.embedding.weight"].norm(dim=-1).max()


# --------------------------------------------------------------------------------- other libraries and other devices


def test_the_dtype_of_the_motion_does_not_matter():
    values = motions(2, 32)
    model = make_model()
    assert torch.equal(model.encode(values.double()).codes, model.encode(values).codes)
    for dtype in (torch.bfloat16, torch.float16):
        half = make_model().to(dtype)
        output = half(values * 100)
        assert output.reconstruction.dtype == dtype
        assert output.loss.dtype == torch.float32 and output.loss.isfinite()
        codes = half.encode(values).codes
        assert (codes == model.encode(values).codes).float().mean() > 0.8
        assert not torch.isnan(half.train()(values).loss)  # moves the averages, too


def test_sums_over_a_batch_fit_in_half_precision():
    model = make_model().half()
    values = torch.full((8, 64, 23), 30.0)  # adds up to 353,280, and half precision ends at 65,504
    assert model(values).reconstruction_loss.isfinite()


def test_any_attention_implementation_will_do(tmp_path):
    model = make_model()
    model.save_pretrained(tmp_path)
    for name in ("eager", "sdpa", "flex_attention"):
        MotionVQModel.from_pretrained(tmp_path, attn_implementation=name)
        model.set_attn_implementation(name)


def test_hidden_states():
    model = make_model(unit_length=8)
    values = motions(2, 32)
    stages = model(values, output_hidden_states=True).hidden_states
    assert [tuple(stage.shape) for stage in stages] == [(2, 8, 16), (2, 8, 8), (2, 8, 4)]
    assert torch.equal(model.quantizer.nearest(stages[-1].transpose(1, 2)), model.encode(values).codes)
    assert model(values).hidden_states is None
    many = model(motions(8, 64), output_hidden_states=True).hidden_states
    assert all(stage.is_contiguous() for stage in many)
    model.config.output_hidden_states = True
    assert len(model(values).hidden_states) == 3


def test_without_the_loss():
    output = make_model()(motions(2, 32), return_loss=False)
    assert output.loss is None and output.reconstruction_loss is None
    assert output.codes.shape == (2, 8)


class Clips(torch.utils.data.Dataset):
    """Motions of different lengths, for `Trainer`."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return motions(16 + 4 * index, seed=index)


def collate(clips):
    return padded(clips)


def trainer(model, folder, **arguments) -> Trainer:
    settings = {"per_device_train_batch_size": 2, "per_device_eval_batch_size": 2, "report_to": [], "use_cpu": True}
    settings |= {"remove_unused_columns": False, "num_train_epochs": 2, "disable_tqdm": True}
    return Trainer(
        model,
        TrainingArguments(folder, **settings | arguments),
        train_dataset=Clips(),
        eval_dataset=Clips(),
        data_collator=collate,
    )


def test_trainer_keeps_the_best_model(tmp_path):
    best = {"eval_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True}
    run = trainer(make_model(), tmp_path, metric_for_best_model="eval_loss", **best)
    run.train()
    assert math.isfinite(run.evaluate()["eval_loss"])
    assert run.state.best_metric is not None


def test_trainer_evaluates_in_half_precision(tmp_path):
    assert math.isfinite(trainer(make_model(), tmp_path, bf16_full_eval=True).evaluate()["eval_loss"])


def test_trainer_predicts(tmp_path):
    """Motions and codes of clips of different lengths, padded to the longest."""
    prediction = trainer(make_model(), tmp_path).predict(Clips())
    reconstruction, codes = prediction.predictions
    assert reconstruction.shape == (6, 36, 23) and codes.shape == (6, 9)


def test_built_without_memory(tmp_path):
    model = make_model()
    model.save_pretrained(tmp_path)
    with init_empty_weights():
        empty = MotionVQModel(model.config)
    assert empty.encoder.downsamples[0].weight.is_meta
    loaded = load_checkpoint_and_dispatch(empty, str(tmp_path / "model.safetensors"), device_map={"": "cpu"})
    assert torch.equal(loaded.encode(motions(2, 32)).codes, model.encode(motions(2, 32)).codes)
    with torch.device("meta"):
        empty = MotionVQModel(model.config)
        codes = empty.encode(torch.empty(2, 20, 23), torch.empty(2, 20))
        assert codes.codes.shape == (2, 5) and empty.decode(**codes).shape == (2, 20, 23)


@pytest.mark.parametrize("offload", ["cpu", "disk", "device_map"])
def test_offloaded(tmp_path, offload):
    model, values = make_model(), motions(2, 32)
    model.save_pretrained(tmp_path)
    if offload == "cpu":
        other = cpu_offload(copy.deepcopy(model), execution_device="cpu")
    elif offload == "disk":
        other = disk_offload(copy.deepcopy(model), tmp_path / "offload", execution_device="cpu")
    else:
        places = {"encoder": "cpu", "quantizer": "disk", "decoder": "disk"}
        other = MotionVQModel.from_pretrained(tmp_path, device_map=places, offload_folder=tmp_path / "offload")
    assert other.quantizer.embedding.weight.is_meta
    codes = model.encode(values).codes
    assert torch.equal(other.encode(values).codes, codes)
    assert torch.equal(other.decode(codes), model.decode(codes))
    torch.testing.assert_close(other(values).loss, model(values).loss)


class Encode(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, motion_values, attention_mask):
        return self.model.encode(motion_values, attention_mask).codes


class Decode(Encode):
    def forward(self, codes, attention_mask):
        return self.model.decode(codes, attention_mask)


@pytest.mark.parametrize("strict", [False, True])
def test_export(strict):
    """With any number of motions, and any length in whole tokens."""
    model = make_model()
    inputs = padded([motions(32), motions(20, seed=2)])
    batch, tokens = torch.export.Dim("batch", min=2, max=64), torch.export.Dim("tokens", min=4, max=256)
    frames = {0: batch, 1: 4 * tokens}
    encode = torch.export.export(
        Encode(model), tuple(inputs.values()), dynamic_shapes=(frames, frames), strict=strict
    ).module()
    codes = model.encode(**inputs)
    decode = torch.export.export(
        Decode(model), tuple(codes.values()), dynamic_shapes=({0: batch, 1: tokens},) * 2, strict=strict
    ).module()
    for lengths in ([32, 20], [64, 4, 17]):
        inputs = padded([motions(length, seed=length) for length in lengths])
        codes = model.encode(**inputs)
        assert torch.equal(encode(*inputs.values()), codes.codes)
        torch.testing.assert_close(decode(*codes.values()), model.decode(**codes))


def test_compiles_without_a_break():
    model = make_model()
    inputs = padded([motions(32), motions(20, seed=2)])
    codes = model.encode(**inputs)
    encode, decode = (torch.compile(f, backend="eager", fullgraph=True) for f in (model.encode, model.decode))
    assert torch.equal(encode(**inputs).codes, codes.codes)
    assert torch.equal(decode(**codes), model.decode(**codes))


def test_compiled_code_refuses_too():
    model = make_model()
    inputs = padded([motions(32), motions(20, seed=2)])
    codes = model.encode(**inputs)
    encode, decode = (torch.compile(f, backend="eager", fullgraph=True) for f in (model.encode, model.decode))
    with torch.no_grad():
        assert torch.equal(encode(**inputs).codes, codes.codes)
        with pytest.raises(RuntimeError, match="motion_values must be padded on the right side only"):
            encode(inputs["motion_values"], inputs["attention_mask"].flip(1))
        short = inputs["attention_mask"].clone()
        short[1, 3:] = 0
        with pytest.raises(RuntimeError, match="is shorter than one motion token"):
            encode(inputs["motion_values"], short)
        assert torch.equal(decode(**codes), model.decode(**codes))
        with pytest.raises(RuntimeError, match="`codes` must lie between 0 and"):
            decode(codes.codes + model.config.codebook_size, codes.attention_mask)
        with pytest.raises(RuntimeError, match="codes must be padded on the right side only"):
            decode(codes.codes, codes.attention_mask.flip(1))


# -------------------------------------------------------------------------------------------------------- bad masks


@pytest.mark.parametrize("method", ["encode", "forward"])
def test_bad_masks(method):
    model, values = make_model(), motions(2, 16)
    call = getattr(model, method)
    left = torch.ones(2, 16, dtype=torch.long)
    left[1, :4] = 0
    with pytest.raises(ValueError, match="motion_values must be padded on the right side only"):
        call(values, left)
    gap = torch.ones(2, 16, dtype=torch.long)
    gap[1, 5] = 0
    with pytest.raises(ValueError, match="right side only"):
        call(values, gap)
    with pytest.raises(ValueError, match=r"attention_mask has the shape \(2, 4\), but motion_values \(2, 16\)"):
        call(values, torch.ones(2, 4))


def test_bad_masks_of_codes():
    model, codes = make_model(), torch.ones(2, 4, dtype=torch.long)
    with pytest.raises(ValueError, match="codes must be padded on the right side only"):
        model.decode(codes, torch.tensor([[1, 1, 1, 1], [0, 1, 1, 1]]))
    with pytest.raises(ValueError, match=r"attention_mask has the shape \(2, 16\), but codes \(2, 4\)"):
        model.decode(codes, torch.ones(2, 16))


def test_what_is_no_batch_is_named():
    model = make_model()
    for name, call in (
        ("codes", model.decode),
        ("codes", lambda codes: codes_to_ids(codes, None, model.config)),
        ("ids", lambda ids: ids_to_codes(ids, model.config)),
    ):
        with pytest.raises(ValueError, match=rf"`{name}` must have .*got \(2,\); for one motion, pass {name}\[None\]"):
            call(torch.tensor([1, 2]))
        with pytest.raises(ValueError, match=f"`{name}` must be a tensor of shape .batch, tokens., got a list"):
            call([[1, 2]])
    with pytest.raises(ValueError, match="`motion_values` must be a tensor .* got a list"):
        model.encode([[[0.0] * 23] * 8])


def test_frozen_codes_stay_while_the_decoder_learns(vq_model):
    vq_model.train().freeze_codes()
    motion = torch.randn(4, 32, vq_model.config.feature_size)
    before = {name: value.clone() for name, value in vq_model.state_dict().items()}
    optimizer = torch.optim.AdamW(vq_model.parameters(), 1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        vq_model(motion).loss.backward()
        optimizer.step()
    for name, value in vq_model.state_dict().items():
        assert torch.equal(value, before[name]) == (not name.startswith("decoder.")), name


def test_a_deeper_decoder_first_changes_nothing_and_then_learns(vq_model, tmp_path):
    motion = torch.randn(4, 32, vq_model.config.feature_size)
    before, blocks = vq_model(motion).reconstruction, vq_model.config.num_decoder_blocks
    vq_model.deepen_decoder(blocks + 2)
    assert torch.equal(vq_model(motion).reconstruction, before)
    vq_model.train()(motion).loss.backward()
    assert all(block.conv2.weight.grad.abs().sum() > 0 for block in vq_model.decoder.blocks)
    vq_model.save_pretrained(tmp_path)
    assert len(type(vq_model).from_pretrained(tmp_path).decoder.blocks) == blocks + 2
    with pytest.raises(ValueError, match=f"has {blocks + 2} blocks; num_decoder_blocks={blocks} is fewer"):
        vq_model.deepen_decoder(blocks)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_motion_that_is_not_finite_is_refused_unless_it_is_padding(vq_model, value):
    motion = torch.randn(2, 32, vq_model.config.feature_size)
    motion[1, 20:] = value
    mask = torch.ones(2, 32, dtype=torch.long)
    with pytest.raises(ValueError, match="holds NaN or infinite values"):
        vq_model.encode(motion, mask)
    mask[1, 20:] = 0
    assert vq_model.encode(torch.where(mask[..., None].bool(), motion, 0.0), mask).codes.shape == (2, 8)


@pytest.mark.parametrize("options", [{"padding": 1}, {"padding": 3, "dilation": 3}, {"padding": 1, "stride": 2}])
@pytest.mark.parametrize("length", [8, 9])
def test_a_convolution_that_learns_in_bfloat16(monkeypatch, options, length):
    torch.manual_seed(0)
    convolve, calls = torch.nn.Conv1d.forward, []
    monkeypatch.setattr(torch.nn.Conv1d, "forward", lambda *arguments: calls.append(arguments))
    convolution = MotionVQConvolution(5, 7, 4 if "stride" in options else 3, **options)
    hidden = torch.randn(2, 5, length, requires_grad=True)
    found = []
    for forward in (MotionVQConvolution.forward, convolve):
        with torch.autocast("cpu", torch.bfloat16):
            output = forward(convolution, hidden)
        weights = torch.linspace(-1, 1, output.numel()).view(output.shape)
        learned = [hidden, convolution.weight, convolution.bias]
        found.append((output, *torch.autograd.grad((output.float() * weights).sum(), learned)))
    assert not calls and found[0][0].dtype == torch.bfloat16
    torch.testing.assert_close(*found, atol=0.03, rtol=0.03)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("options", [{"padding": 1}, {"padding": 3, "dilation": 3}, {"padding": 1, "stride": 2}])
def test_a_convolution_of_many_positions(monkeypatch, options, dtype):
    torch.manual_seed(0)
    convolve, calls = torch.nn.Conv1d.forward, []
    monkeypatch.setattr(torch.nn.Conv1d, "forward", lambda *arguments: calls.append(arguments))
    convolution = MotionVQConvolution(5, 7, 4 if "stride" in options else 3, **options).to(dtype).eval()
    many, few = (torch.randn(2, 5, length, dtype=dtype) for length in (40, 12))
    expected = convolve(convolution, many)
    for hidden in (many, many.transpose(1, 2).contiguous().transpose(1, 2)):
        torch.testing.assert_close(convolution(hidden), expected)
    assert not calls
    convolution(few)
    convolution(many[0])  # not a batch
    convolution.train()(many)
    assert len(calls) == 3
