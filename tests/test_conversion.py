# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Conversion of the authors' checkpoints: the original's numbers, all sizes, bad files, the script from end to end."""

import os
import pickle
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import convert_original as script
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoProcessor, pipeline

from tm2t_hf import (
    HUMANML3D,
    MotionFeatureExtractor,
    MotionTextMatcher,
    MotionTextMatcherConfig,
    MotionToTextConfig,
    MotionToTextModel,
    MotionVQConfig,
    MotionVQModel,
    TextToMotionConfig,
    TextToMotionModel,
)
from tm2t_hf.conversion import (
    MIX_HALVES,
    MIX_WEIGHT,
    POSITION_TABLES,
    convert_matcher,
    convert_motion_vq,
    convert_text_to_motion,
    load_checkpoint,
    load_vocabulary,
    matcher_names,
    motion_to_text_names,
    motion_vq_names,
    text_to_motion_names,
)

VQ = {"feature_size": 23, "codebook_size": 12, "hidden_size": 8, "unit_length": 4, "fps": 20.0}
SIZES = {"text_vocab_size": 30, "text_embedding_size": 10, "text_hidden_size": 6, "motion_hidden_size": 8}
ATTENTIONS = ["early", "late"]


def golden_checkpoint(path: Path) -> dict:
    """Weights by `part.name`, in the layout of a checkpoint."""
    checkpoint = {}
    for key, weight in load_file(path).items():
        part, _, name = key.partition(".")
        checkpoint.setdefault(part, {})[name] = weight
    return checkpoint


def original_checkpoint(model, names: dict[str, str]) -> dict:
    """This model's weights, in the layout and with the names of the original."""
    state, checkpoint = model.state_dict(), {"ep": 3}
    for original, ours in names.items():
        part, _, name = original.partition(".")
        checkpoint.setdefault(part, {})[name] = state[ours].clone()
        checkpoint[f"opt_{part}"] = {"state": {}}
    return checkpoint


# ---- motion VQ: the original's numbers ------------------------------------------------------------------------------

VQ_NAMES = motion_vq_names(num_stages=2, num_encoder_blocks=1, num_decoder_blocks=3)


@pytest.fixture
def vq(golden_dir) -> MotionVQModel:
    return convert_motion_vq(torch.load(golden_dir / "vq_small.finest.tar", weights_only=True))


@pytest.fixture
def vq_io(golden_dir) -> dict[str, torch.Tensor]:
    return load_file(golden_dir / "vq_small.io.safetensors")


def test_golden_vq_sizes(vq):
    config = vq.config
    assert (config.feature_size, config.contact_size, config.hidden_size, config.codebook_size) == (263, 4, 64, 32)
    assert (config.unit_length, config.num_encoder_blocks, config.num_decoder_blocks) == (4, 1, 3)
    assert (config.codebook_update, config.commitment_weight, config.fps) == ("gradient", 1.0, 20.0)
    assert not vq.training


def test_golden_vq_weights_are_those_of_the_file(vq, golden_dir):
    weights = load_file(golden_dir / "vq_small.weights.safetensors")
    for original, ours in VQ_NAMES.items():
        assert torch.equal(vq.get_parameter(ours), weights[original]), original
    assert {name for name in weights if not name.startswith("discriminator.")} == set(VQ_NAMES)


def test_golden_vq_forward(vq, vq_io):
    values, expected = vq_io["input"], vq_io
    with torch.no_grad():
        output = vq(values)
        latents = vq._encode(values, None)[0]
    assert output.reconstruction.shape[1] == 64
    torch.testing.assert_close(latents, expected["pre_latents"], atol=2e-5, rtol=0)
    assert torch.equal(output.codes.flatten(), expected["indices"])
    assert torch.equal(vq.encode(values).codes.flatten(), expected["indices"])
    torch.testing.assert_close(output.quantized, expected["z_q"], atol=2e-5, rtol=0)
    torch.testing.assert_close(output.reconstruction, expected["recon"], atol=2e-5, rtol=0)
    torch.testing.assert_close(output.perplexity, expected["perplexity"], atol=2e-5, rtol=0)
    distance = output.codebook_loss + vq.config.commitment_weight * output.commitment_loss
    torch.testing.assert_close(distance, expected["embedding_loss"], atol=2e-5, rtol=0)
    torch.testing.assert_close(output.loss, output.reconstruction_loss + distance)


def test_golden_vq_of_a_clip_with_an_incomplete_token(vq, vq_io):
    """The original lets the two frames behind the last whole token reach the codes; we leave them out."""
    values = vq_io["input50"]
    with torch.no_grad():
        latents = vq.encoder(values[..., : -vq.config.contact_size].transpose(1, 2), None)[-1].transpose(1, 2)
        torch.testing.assert_close(latents, vq_io["pre_latents50"], atol=2e-5, rtol=0)
        codes = vq.quantizer.nearest(latents)
        assert torch.equal(codes.flatten(), vq_io["indices50"])
        torch.testing.assert_close(vq.decode(codes), vq_io["recon50"], atol=2e-5, rtol=0)
        ours = vq.encode(values).codes
        assert torch.equal(ours, vq.encode(values[:, :48]).codes)
    assert torch.equal(ours[:, :-1], codes[:, :-1]) and not torch.equal(ours, codes)


def test_golden_vq_loss_decoding_and_latents(vq, vq_io):
    with torch.no_grad():
        output = vq(vq_io["input"])
        decoded = vq.decode(vq_io["indices"].view(2, 16))
    torch.testing.assert_close(output.reconstruction_loss, vq_io["loss_rec"], atol=2e-5, rtol=0)
    torch.testing.assert_close(decoded, vq_io["recon_from_indices"], atol=2e-5, rtol=0)
    assert vq_io["margin"].min() > 1e-3, "no code was chosen by a hair, or equal codes would prove nothing"


def test_golden_vq_gradients(vq, vq_io, golden_dir):
    vq(vq_io["input"]).loss.backward()
    expected = load_file(golden_dir / "vq_small.grads.safetensors")
    assert {f"grad.{name}" for name in VQ_NAMES} == set(expected)
    for original, ours in VQ_NAMES.items():
        gradient, should = vq.get_parameter(ours).grad, expected[f"grad.{original}"]
        assert (gradient - should).abs().max() <= 1e-5 * should.abs().max(), original


# ---- motion VQ: conversion ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("unit_length", "encoder_blocks", "decoder_blocks"), [(2, 1, 0), (4, 2, 3), (8, 0, 2)])
def test_vq_conversion_reads_every_size(unit_length, encoder_blocks, decoder_blocks):
    blocks = {"num_encoder_blocks": encoder_blocks, "num_decoder_blocks": decoder_blocks}
    sizes = VQ | blocks | {"unit_length": unit_length, "codebook_update": "gradient", "feature_size": 251, "fps": 12.5}
    source = MotionVQModel(MotionVQConfig(**sizes)).eval()
    torch.nn.init.normal_(source.quantizer.embedding.weight)
    checkpoint = original_checkpoint(source, motion_vq_names(unit_length.bit_length() - 1, *blocks.values()))
    model = convert_motion_vq(checkpoint)
    assert model.config.to_diff_dict() == source.config.to_diff_dict() | {"dtype": "float32"}
    values = torch.randn(2, 24, 251)
    torch.testing.assert_close(model(values).reconstruction, source(values).reconstruction)
    original = checkpoint["quantizer"]["embedding.weight"]
    assert model.quantizer.embedding.weight.data_ptr() == original.data_ptr(), "the memory is shared"


@pytest.fixture
def vq_checkpoint(vq_config) -> dict:
    return original_checkpoint(MotionVQModel(vq_config), motion_vq_names(2, 1, 1))


def test_vq_conversion_names_what_is_wrong(vq_checkpoint):
    with pytest.raises(ValueError, match=r"no part 'quantizer', so it is not a motion VQ; its parts are .*vq_encoder"):
        convert_motion_vq({name: part for name, part in vq_checkpoint.items() if name != "quantizer"})
    encoder = vq_checkpoint["vq_encoder"]
    first = encoder.pop("main.0.bias")
    encoder["main.0.extra"] = first
    with pytest.raises(ValueError, match=r"missing: vq_encoder.main.0.bias. unknown: vq_encoder.main.0.extra$"):
        convert_motion_vq(vq_checkpoint)
    encoder["main.0.bias"] = encoder.pop("main.0.extra")[1:]
    with pytest.raises(ValueError, match=r"misshapen: vq_encoder.main.0.bias \(15,\), which should be \(16,\)$"):
        convert_motion_vq(vq_checkpoint)
    encoder["main.0.weight"] = torch.zeros(16)
    with pytest.raises(ValueError, match=r"misshapen: vq_encoder.main.0.weight \(16,\), which should have 3 dim"):
        convert_motion_vq(vq_checkpoint)
    with pytest.raises(ValueError, match="missing: quantizer.embedding.weight; vq_decoder.main.1.bias; "):
        convert_motion_vq({"vq_encoder": {}, "quantizer": {}, "vq_decoder": {}})


# ---- text to motion: the original's numbers -------------------------------------------------------------------------


def tiny_t2m(**fields) -> TextToMotionModel:
    return TextToMotionModel(TextToMotionConfig(**{"vq_config": VQ, **SIZES, **fields})).eval()


def test_conversion_refuses_weights_that_are_no_numbers(vq_checkpoint):
    vq_checkpoint["vq_decoder"]["main.0.model.0.bias"][1] = torch.nan
    with pytest.raises(ValueError, match="The checkpoint of a motion VQ holds NaN or infinite weights"):
        convert_motion_vq(vq_checkpoint)


@pytest.fixture(params=ATTENTIONS)
def t2m(request, golden_dir):
    """Converted model, inputs, expected tensors and gradients of one variant."""
    model = convert_text_to_motion(golden_checkpoint(golden_dir / f"t2m_small_{request.param}.weights.safetensors"))
    io, grads = (load_file(golden_dir / f"t2m_small_{request.param}.{part}.safetensors") for part in ("io", "grads"))
    inputs = load_file(golden_dir / "t2m_small.inputs.safetensors")
    inputs["mask"] = (torch.arange(inputs["word_emb"].shape[1]) < inputs["cap_lens"][:, None]).long()
    return model, inputs, io, grads


def original_gradients(model):
    """Our gradients under the original's names."""
    ours = dict(model.named_parameters())
    late = model.config.attention == "late"
    names = text_to_motion_names(model.config.num_layers, late)
    gradients = {theirs: ours[name].grad for theirs, name in names.items() if name in ours}  # tied: under one name
    gradients[MIX_WEIGHT] = torch.cat([ours[name].grad for name in MIX_HALVES], dim=1)
    return gradients


def assert_gradients(model, grads, prefix, tolerance):
    expected = {name.replace(prefix, "t2m_model."): grad for name, grad in grads.items() if name.startswith(prefix)}
    gradients = original_gradients(model)
    assert gradients.keys() == expected.keys()
    for name, grad in expected.items():
        assert (gradients[name] - grad).abs().max() <= tolerance * grad.abs().max(), name


def test_golden_t2m_text_encoder(t2m):
    model, inputs, io, _ = t2m
    text = model.encoder(inputs_embeds=inputs["word_emb"], attention_mask=inputs["mask"])
    torch.testing.assert_close(text.last_hidden_state, io["txt_hid_seq"], atol=5e-6, rtol=0)
    torch.testing.assert_close(text.pooler_output, io["txt_hid_last"], atol=5e-6, rtol=0)
    model.config.flip_backward_states = False
    text = model.encoder(inputs_embeds=inputs["word_emb"], attention_mask=inputs["mask"])
    torch.testing.assert_close(text.last_hidden_state, io["gru_unflipped"], atol=5e-6, rtol=0)


def test_golden_t2m_logits_loss_and_gradients(t2m):
    model, inputs, io, grads = t2m
    ids = inputs["m_tokens"]
    labels = ids[:, 1:].masked_fill(ids[:, 1:] == model.config.pad_token_id, -100)
    output = model(inputs_embeds=inputs["word_emb"], attention_mask=inputs["mask"], labels=labels)
    torch.testing.assert_close(output.logits, io["logits_tf"], atol=1e-4, rtol=0)
    torch.testing.assert_close(output.loss, io["t2m_loss_sum"], atol=0, rtol=1e-6)
    assert int((labels != -100).sum()) == int(io["n_word"])
    assert int((output.logits.argmax(-1) == labels).sum()) == int(io["n_correct"])
    output.loss.backward()
    assert_gradients(model, grads, "tf.grad.", 1e-5)


def test_golden_t2m_free_running(t2m):
    model, inputs, io, _ = t2m
    logits = model(
        inputs_embeds=inputs["word_emb"],
        attention_mask=inputs["mask"],
        decoder_input_ids=inputs["m_tokens"][:, :-1],
        teacher_forcing=False,
    ).logits
    torch.testing.assert_close(logits, io["logits_free"], atol=1e-4, rtol=0)


def test_golden_t2m_alone_equals_masked_batch(t2m):
    """Each caption in a batch of one (the original has no padding mask) is what our mask gives in one batch."""
    model, inputs, io, _ = t2m
    for i, length in enumerate(inputs["cap_lens"].tolist()):
        alone = model(
            inputs_embeds=inputs["word_emb"][i : i + 1, :length], decoder_input_ids=inputs["m_tokens"][i : i + 1, :-1]
        )
        torch.testing.assert_close(alone.logits, io["logits_tf_alone"][i : i + 1], atol=1e-4, rtol=0)
    model.config.mask_padding = True
    batch = model(
        inputs_embeds=inputs["word_emb"], attention_mask=inputs["mask"], decoder_input_ids=inputs["m_tokens"][:, :-1]
    )
    torch.testing.assert_close(batch.logits, io["logits_tf_alone"], atol=1e-4, rtol=0)


# ---- text to motion: conversion -------------------------------------------------------------------------------------

MIX_NAME = MIX_WEIGHT.removeprefix("t2m_model.")


def t2m_checkpoint(model) -> dict:
    names = text_to_motion_names(model.config.num_layers, model.config.attention == "late")
    checkpoint = original_checkpoint(model, names)
    mixed = torch.cat([model.state_dict()[name] for name in MIX_HALVES], dim=1)
    checkpoint["t2m_model"][MIX_NAME] = mixed
    return checkpoint


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("num_layers", [1, 2])
def test_t2m_conversion_reads_every_size_and_carries_all_along(attention, num_layers):
    source = tiny_t2m(attention=attention, num_layers=num_layers, flip_backward_states=True, mask_padding=False)
    words = source.encoder.embed_tokens.weight.detach().clone()
    model = convert_text_to_motion(t2m_checkpoint(source), words, text_pad_id=0, vq=source.vq)
    ids = torch.randint(1, 30, (2, 5))
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    labels = torch.randint(0, 12, (2, 6))
    expected = source(ids, mask, labels=labels)
    output = model(ids, mask, labels=labels)
    torch.testing.assert_close(output.logits, expected.logits)
    torch.testing.assert_close(output.loss, 12 * expected.loss)  # summed
    assert not model.training and model.generation_config.eom_by_argmax
    assert not model.encoder.embed_tokens.weight.requires_grad
    assert model.lm_head.weight is model.decoder.embed_tokens.weight
    codes = torch.randint(0, 12, (2, 6))
    torch.testing.assert_close(model.decode_motion(codes)[1], source.decode_motion(codes)[1])


def test_t2m_conversion_survives_saving(tmp_path):
    model = convert_text_to_motion(t2m_checkpoint(tiny_t2m()))
    model.save_pretrained(tmp_path)
    again = TextToMotionModel.from_pretrained(tmp_path)
    assert again.generation_config.eom_by_argmax and again.generation_config.top_k == 100
    words = torch.randn(1, 4, 10)
    torch.testing.assert_close(
        again.generate(inputs_embeds=words, do_sample=False), model.generate(inputs_embeds=words, do_sample=False)
    )


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda part: part.pop("text_encoder.hidden"), "missing: t2m_model.text_encoder.hidden$"),
        (lambda part: part.update(extra=torch.zeros(1)), "unknown: t2m_model.extra$"),
        (lambda part: part.update({"text_encoder.hidden": torch.zeros(2, 6)}), r"\(2, 6\), which should be \(2, 1, 6"),
        (lambda part: part.update({MIX_NAME: torch.zeros(8, 8)}), r"linear.0.weight \(8, 8\), which should be \(8,"),
        (lambda part: part.update({"text_encoder.input_emb.weight": torch.zeros(6)}), "should have 2 dimensions"),
    ],
)
def test_t2m_conversion_names_what_is_wrong(damage, message):
    checkpoint = t2m_checkpoint(tiny_t2m())
    damage(checkpoint["t2m_model"])
    with pytest.raises(ValueError, match=message):
        convert_text_to_motion(checkpoint)


def test_t2m_conversion_of_other_things():
    with pytest.raises(ValueError, match="t2m_model"):
        convert_text_to_motion({"vq_encoder": {}})
    with pytest.raises(ValueError, match="vectors of 10 numbers"):
        convert_text_to_motion(t2m_checkpoint(tiny_t2m()), torch.zeros(30, 11))
    with pytest.raises(ValueError, match="12 codes, the VQ model 9: they belong to different trainings"):
        other = MotionVQModel(TextToMotionConfig(vq_config={**VQ, "codebook_size": 9}).vq_config)
        convert_text_to_motion(t2m_checkpoint(tiny_t2m()), vq=other)


# ---- matcher: conversion (its numbers are in test_modeling_matcher.py) ----------------------------------------------

MATCHER = {
    **{"feature_size": 23, "movement_hidden_size": 10, "movement_size": 8, "padded_frames": 24, "pos_size": 5},
    **{"text_vocab_size": 30, "text_pad_id": 29, "text_embedding_size": 9, "train_text_embedding": False},
    **{"text_hidden_size": 6, "motion_hidden_size": 7, "embedding_size": 4},
}


@pytest.mark.parametrize("unit_length", [2, 4, 8])
def test_matcher_conversion_reads_every_size(unit_length):
    # a single convolution has no hidden size
    hidden = {"movement_hidden_size": 8} if unit_length == 2 else {}
    source = MotionTextMatcher(MotionTextMatcherConfig(**(MATCHER | hidden), unit_length=unit_length)).eval()
    words = source.embed_tokens.weight.detach().clone()
    checkpoint = original_checkpoint(source, matcher_names(unit_length.bit_length() - 1))
    model = convert_matcher(checkpoint, words, padded_frames=24)
    assert model.config.to_diff_dict() == source.config.to_diff_dict() | {"dtype": "float32"}
    ids = torch.randint(0, 29, (3, 5))
    batch = {"input_ids": ids, "pos_ids": ids % 5, "motion_values": torch.randn(3, 16, 23)}
    torch.testing.assert_close(model(**batch).distances, source(**batch).distances)


def test_matcher_conversion_names_what_is_wrong():
    checkpoint = original_checkpoint(MotionTextMatcher(MotionTextMatcherConfig(**MATCHER)), matcher_names(2))
    with pytest.raises(ValueError, match="takes vectors of 9 numbers"):
        convert_matcher(checkpoint, torch.zeros(30, 8))
    checkpoint["text_encoder"]["output_net.3.bias"] = torch.zeros(5)
    with pytest.raises(ValueError, match=r"misshapen: text_encoder.output_net.3.bias \(5,\), which should be \(4,\)$"):
        convert_matcher(checkpoint)
    del checkpoint["movement_encoder"]["main.3.weight"]
    with pytest.raises(ValueError, match="unknown: movement_encoder.main.3.bias$"):
        convert_matcher(checkpoint)
    with pytest.raises(ValueError, match="no part 'movement_encoder', so it is not a text-motion evaluator"):
        convert_matcher({"t2m_model": {}})


# ---- files ----------------------------------------------------------------------------------------------------------


class Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


def test_checkpoints_are_never_executed(tmp_path):
    torch.save({"vq_encoder": {"main.0.weight": torch.ones(2)}, "ep": 3}, tmp_path / "good.tar")
    assert load_checkpoint(tmp_path / "good.tar")["ep"] == 3
    torch.save({"vq_encoder": Evil()}, tmp_path / "evil.tar")
    torch.save([1, 2], tmp_path / "list.tar")
    (tmp_path / "text.tar").write_text("no checkpoint")
    for name, message in (("evil", "evil.tar is not a checkpoint"), ("text", "text.tar is not a checkpoint")):
        with pytest.raises(ValueError, match=message):
            load_checkpoint(tmp_path / f"{name}.tar")
    with pytest.raises(ValueError, match="list.tar holds a list"):
        load_checkpoint(tmp_path / "list.tar")
    with pytest.raises(FileNotFoundError, match="no checkpoint .*none.tar"):
        load_checkpoint(tmp_path / "none.tar")


def test_checkpoints_of_the_old_format_load_too(tmp_path):
    torch.save({"ep": torch.arange(3)}, tmp_path / "old.tar", _use_new_zipfile_serialization=False)
    assert load_checkpoint(tmp_path / "old.tar")["ep"].tolist() == [0, 1, 2]


def write_vocabulary(folder: Path, words, size: int = 300) -> np.ndarray:
    folder.mkdir(exist_ok=True)
    vectors = np.random.default_rng(0).normal(size=(len(words), size))
    np.save(folder / "our_vab_data.npy", vectors)
    (folder / "our_vab_idx.pkl").write_bytes(pickle.dumps({word: index for index, word in enumerate(words)}))
    return vectors


def test_vocabulary_gains_padding(tmp_path):
    vectors = write_vocabulary(tmp_path, ["sos", "eos", "unk", "walk"], size=5)
    words, table = load_vocabulary(tmp_path)
    assert words == {"sos": 0, "eos": 1, "unk": 2, "walk": 3}
    assert table.dtype == torch.float32 and table.shape == (5, 5) and not table[4].any()
    np.testing.assert_allclose(table[:4], vectors, rtol=1e-6)


@pytest.mark.parametrize(
    "content", [OrderedDict(a=0, b=np.int64(1)), {"a": np.array(0)[()], "b": np.float32(1)}, {"a": True, "b": 0}]
)
def test_plain_vocabularies_are_admitted(tmp_path, content):
    write_vocabulary(tmp_path, ["a", "b"])
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "our_vab_idx.pkl").write_bytes(pickle.dumps(content, protocol=max(protocol, 3)))
        assert load_vocabulary(tmp_path)[0] == {word: int(index) for word, index in content.items()}


@pytest.mark.parametrize("content", [{"a": Evil(), "b": 1}, {"a": np.array([Evil()], dtype=object)}, Path("a"), ["a"]])
def test_other_pickles_are_refused(tmp_path, content):
    write_vocabulary(tmp_path, ["a", "b"])
    (tmp_path / "our_vab_idx.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match="our_vab_idx.pkl is not a plain dict of words"):
        load_vocabulary(tmp_path)


def test_vocabulary_files_that_do_not_fit(tmp_path):
    with pytest.raises(FileNotFoundError, match="our_vab_idx.pkl; give the authors' `glove` folder"):
        load_vocabulary(tmp_path)
    write_vocabulary(tmp_path, ["a", "b"])
    np.save(tmp_path / "our_vab_data.npy", np.zeros((3, 5)))
    with pytest.raises(ValueError, match=r"shape \(3, 5\), but there are 2 words"):
        load_vocabulary(tmp_path)


# ---- the script -----------------------------------------------------------------------------------------------------

WORDS = ["sos", "eos", "unk", "a", "person", "walk", "forward", *(f"word{index}" for index in range(52))]  # 59


@pytest.fixture
def released(tmp_path, golden_dir) -> Path:
    """The golden checkpoints in the folders that the authors released."""
    root = tmp_path / "checkpoints" / "t2m"
    files = {
        "VQVAEV3_CB1024_CMT_H1024_NRES3": torch.load(golden_dir / "vq_small.finest.tar", weights_only=True),
        "M2T_EL4_DL4_NH8_PS": torch.load(golden_dir / "m2t_small.finest.tar", weights_only=True),
        "T2M_Seq2Seq_NML1_Ear_SME0_N": golden_checkpoint(golden_dir / "t2m_small_early.weights.safetensors"),
        "text_mot_match": golden_checkpoint(golden_dir / "evaluator_small.weights.safetensors"),
        "length_est_bigru": {"estimator": {}},  # comes with the evaluator, and is nobody's business here
    }
    for name, checkpoint in files.items():
        (root / name / "model").mkdir(parents=True)
        torch.save(checkpoint, root / name / "model" / "finest.tar")
    for name, seed in (("VQVAEV3_CB1024_CMT_H1024_NRES3", 1), ("Comp_v6_KLD01", 2)):
        (root / name / "meta").mkdir(parents=True)
        values = np.random.default_rng(seed).uniform(0.5, 1.5, size=(2, 263))
        for file, array in zip(("mean.npy", "std.npy"), values, strict=True):
            np.save(root / name / "meta" / file, array)
    write_vocabulary(tmp_path / "glove", WORDS)
    return root


def run(monkeypatch, released: Path, *flags: str) -> Path:
    output_dir = released.parents[1] / "converted"
    command = ["convert_original.py", "--checkpoints", released, "--glove", released.parents[1] / "glove"]
    monkeypatch.setattr(sys, "argv", [*map(str, command), "--output_dir", str(output_dir), "--num_heads", "2", *flags])
    script.main()
    return output_dir


def test_script_converts_the_released_folders(monkeypatch, released, golden_dir):
    folder = run(monkeypatch, released)
    assert sorted(path.name for path in folder.iterdir()) == ["tm2t-m2t", "tm2t-matcher", "tm2t-t2m", "tm2t-vq"]
    models = {path.name: AutoModel.from_pretrained(path) for path in folder.iterdir()}
    for name, model in models.items():
        card = (folder / name / "README.md").read_text()
        assert "\nlicense: other\n" in card and model.config.model_type in card
        assert f'from_pretrained("{name}")' in card or f'model="{name}"' in card

    # the motion VQ, inside the others too
    io = load_file(golden_dir / "vq_small.io.safetensors")
    for model in (models["tm2t-vq"], models["tm2t-m2t"].vq, models["tm2t-t2m"].vq):
        torch.testing.assert_close(model(io["input"]).reconstruction, io["recon"], atol=2e-5, rtol=0)
    extractor = MotionFeatureExtractor.from_pretrained(folder / "tm2t-vq")
    meta = released / "VQVAEV3_CB1024_CMT_H1024_NRES3" / "meta"
    np.testing.assert_array_equal(extractor.mean, np.float32(np.load(meta / "mean.npy")))
    np.testing.assert_array_equal(extractor.std, np.float32(np.load(meta / "std.npy")))
    assert extractor.skeleton == HUMANML3D and extractor.unit_length == 4 and extractor.fps == 20.0

    # motion to text
    decoded = load_file(golden_dir / "m2t_small.decode.safetensors")
    caption = models["tm2t-m2t"].generate(decoded["rand.src0"])[0]
    assert caption.tolist() == decoded["rand.beam2.src0.tokens"].tolist()
    processor = AutoProcessor.from_pretrained(folder / "tm2t-m2t")
    sentence = processor.tokenizer.decode(caption, skip_special_tokens=True)
    assert sentence.split() == [WORDS[index] for index in caption.tolist() if 1 < index < 59]
    describe = pipeline("motion-to-text", model=str(folder / "tm2t-m2t"))
    assert set(describe(np.random.randn(40, 263))[0]["generated_text"].split()) <= {*WORDS}

    # text to motion
    animate = pipeline("text-to-motion", model=str(folder / "tm2t-t2m"))
    motion = animate("a person walks forward", min_new_tokens=3, max_new_tokens=9)["motion"]
    assert motion.shape[1] == 263 and len(motion) in range(12, 37)
    vectors = models["tm2t-t2m"].encoder.embed_tokens.weight
    assert vectors.shape == (60, 300) and not vectors.requires_grad and not vectors[59].any()

    # the matcher, with statistics and a tokenizer of its own
    processor = AutoProcessor.from_pretrained(folder / "tm2t-matcher")
    np.testing.assert_array_equal(
        processor.feature_extractor.mean, np.float32(np.load(released / "Comp_v6_KLD01/meta/mean.npy"))
    )
    inputs = processor(text="a/DET person/NOUN walk/VERB", motion=np.random.randn(40, 263), return_tensors="pt")
    assert inputs["pos_ids"].tolist() == [[14, 2, 1, 12, 14]]
    assert models["tm2t-matcher"](**inputs).distances.shape == (1, 1)
    assert models["tm2t-matcher"].config.padded_frames == 196


def test_script_pushes_what_it_converts(hub, monkeypatch, released):
    folder = run(monkeypatch, released, "--push_to_hub", "--hub_model_id", "your-name/mine", "--hub_private_repo")
    for path in folder.iterdir():
        name = path.name.replace("tm2t", "your-name/mine")
        repository = hub.model(name)
        assert repository.private and f'"{name}"' in repository.files["README.md"].decode()
        files = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
        assert set(repository.files) - {".gitattributes"} == files
        assert repository.files["model.safetensors"] == (path / "model.safetensors").read_bytes()
    assert AutoModel.from_pretrained("your-name/mine-m2t").config.model_type == "tm2t-m2t"


def test_script_chooses_and_leaves_out(monkeypatch, released, caplog):
    (released / "M2T_EL4_DL4_NH8_PS").rename(released.parent / "elsewhere")
    (released / "text_mot_match" / "model" / "finest.tar").unlink()
    (released / "other" / "model").mkdir(parents=True)
    checkpoint = released / "T2M_Seq2Seq_NML1_Ear_SME0_N" / "model" / "finest.tar"
    (released / "other" / "model" / "finest.tar").write_bytes(checkpoint.read_bytes())
    with pytest.raises(ValueError, match="several t2m checkpoints .*choose one with --t2m"):
        run(monkeypatch, released)
    with pytest.raises(FileNotFoundError, match="mine holds no t2m checkpoint"):
        run(monkeypatch, released, "--t2m", "mine")
    folder = run(monkeypatch, released, "--t2m", "other", "--train_text_embedding")
    assert sorted(path.name for path in folder.iterdir()) == ["tm2t-t2m", "tm2t-vq"]
    assert AutoModel.from_pretrained(folder / "tm2t-t2m").encoder.embed_tokens.weight.requires_grad
    assert "holds no m2t checkpoint: left out" in caplog.text


def test_script_says_what_is_missing(monkeypatch, released):
    write_vocabulary(released.parents[1] / "glove", WORDS[:-1])
    with pytest.raises(ValueError, match="a vocabulary of 60 words, .*glove one of 59"):
        run(monkeypatch, released)
    (released / "Comp_v6_KLD01" / "meta" / "std.npy").unlink()
    write_vocabulary(released.parents[1] / "glove", WORDS)
    with pytest.raises(FileNotFoundError, match="Comp_v6_KLD01/meta/std.npy is missing"):
        run(monkeypatch, released)
    (released / "VQVAEV3_CB1024_CMT_H1024_NRES3" / "model" / "finest.tar").unlink()
    with pytest.raises(FileNotFoundError, match="holds no motion VQ"):
        run(monkeypatch, released)
    with pytest.raises(FileNotFoundError, match="holds no checkpoint of TM2T"):
        run(monkeypatch, released / "Comp_v6_KLD01")


# ---- full size ------------------------------------------------------------------------------------------------------

FULL_SIZE = """
import pathlib, re, sys, time
import tm2t_hf.conversion as conversion
path, converter = sys.argv[1:]
memory = lambda name: 1024 * int(re.search(name + r":\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])
pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak of the imports is none of ours
before, start = memory("VmRSS"), time.perf_counter()
model = getattr(conversion, converter)(conversion.load_checkpoint(path))
total = sum(parameter.double().sum().item() for parameter in model.parameters())  # everything is really read
print(time.perf_counter() - start, memory("VmHWM") - before)
"""


@pytest.mark.skipif("TM2T_FULL_SIZE" not in os.environ, reason="writes 380 MB: set TM2T_FULL_SIZE=1")
@pytest.mark.parametrize("converter", ["convert_motion_vq", "convert_motion_to_text", "convert_text_to_motion"])
def test_full_size_models_convert_in_seconds_and_little_memory(tmp_path, converter):
    with torch.device("meta"):
        if converter == "convert_motion_vq":
            model, names = MotionVQModel(MotionVQConfig()), motion_vq_names(2, 1, 3)
        elif converter == "convert_motion_to_text":
            model = MotionToTextModel(MotionToTextConfig(vocab_size=4200))
            names = motion_to_text_names({"encoder": 4, "decoder": 4})
        else:
            model = TextToMotionModel(TextToMotionConfig(text_vocab_size=None))
            names = text_to_motion_names(1, late=False)
    checkpoint = original_checkpoint(model.to_empty(device="cpu"), names)
    if converter == "convert_motion_to_text":
        tables = dict.fromkeys(POSITION_TABLES, torch.zeros(100, 512))
        checkpoint["m2t_transformer"] |= {name.partition(".")[2]: table for name, table in tables.items()}
    if converter == "convert_text_to_motion":
        checkpoint["t2m_model"][MIX_NAME] = torch.cat([model.state_dict()[name] for name in MIX_HALVES], dim=1)
    torch.save(checkpoint, tmp_path / "finest.tar")
    size = (tmp_path / "finest.tar").stat().st_size
    command = [sys.executable, "-c", FULL_SIZE, str(tmp_path / "finest.tar"), converter]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, memory = map(float, output.split()[-2:])
    print(f"{converter}: {size / 1e6:.0f} MB, {seconds:.1f} s, peak {memory / 1e6:.0f} MB")
    assert memory < 2 * size and seconds < 30
