# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The text-to-motion transformer: invariances, loss, generation, saving and loading, bad input."""

import copy

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from torch.nn import functional as F
from transformers import AutoModel, AutoModelForSeq2SeqLM, BertConfig

from tm2t_hf import TextToMotionTransformer, TextToMotionTransformerConfig

VQ = {"feature_size": 23, "codebook_size": 12, "hidden_size": 8, "unit_length": 4, "fps": 20.0}
SIZES = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24}
SIZES |= {"encoder_attention_heads": 2, "decoder_attention_heads": 4, "text_vocab_size": 30}
SIZES |= {"max_position_embeddings": 30}
BERT = {"vocab_size": 30, "hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
BERT |= {"max_position_embeddings": 20}
BOM, EOM, PAD = 12, 13, 14


def tiny_model(seed=0, pretrained=False, **fields) -> TextToMotionTransformer:
    torch.manual_seed(seed)
    if pretrained:
        fields["text_encoder_config"] = BertConfig(**BERT)
    return TextToMotionTransformer(TextToMotionTransformerConfig(**{"vq_config": VQ, **SIZES, **fields})).eval()


def tiny_text(lengths, seed=0):
    """Text ids and their mask, padded with 0 on the right."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return torch.randint(1, 30, mask.shape, generator=generator) * mask, mask.long()


@pytest.fixture(params=[False, True], ids=["own", "pretrained"])
def model(request):
    return tiny_model(pretrained=request.param)


# ---- invariances ----------------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    extra=st.integers(0, 4),
    pretrained=st.booleans(),
    seed=st.integers(0, 5),
)
def test_padding_and_batch_change_nothing(lengths, extra, pretrained, seed):
    model = tiny_model(seed, pretrained)
    ids, mask = tiny_text(lengths, seed)
    motion = torch.randint(0, 12, (len(lengths), 7), generator=torch.Generator().manual_seed(seed))
    ids, mask = F.pad(ids, (0, extra), value=5), F.pad(mask, (0, extra))  # what is masked may hold anything
    together = model(ids, mask, motion).logits
    for i, length in enumerate(lengths):
        alone = model(ids[i : i + 1, :length], decoder_input_ids=motion[i : i + 1]).logits
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-5, rtol=1e-5)


def test_compiled_code_refuses_padding_before_a_text():
    model = tiny_model()
    ids, mask = tiny_text([5, 2])
    compiled = torch.compile(model.encoder, backend="eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(ids, mask).last_hidden_state, model.encoder(ids, mask).last_hidden_state)
        with pytest.raises(RuntimeError, match="text must be padded on the right side only"):
            compiled(ids.flip(1), mask.flip(1))


def test_mask_is_made_of_the_padding_ids(model):
    ids, mask = tiny_text([3, 8])
    motion = torch.full((2, 3), BOM)
    torch.testing.assert_close(model(ids, None, motion).logits, model(ids, mask, motion).logits)


def test_hidden_tokens_are_as_if_they_were_not_there(model):
    ids, mask = tiny_text([4, 6])
    motion = torch.tensor([[BOM, 3, 4, 5, 6], [BOM, 7, 8, 9, 1]])
    expected = model(ids, mask, motion).logits
    spread = torch.tensor([[BOM, 2, 3, 4, 2, 5, 6], [2, 2, BOM, 7, 8, 9, 1]])
    shown = torch.tensor([[1, 0, 1, 1, 0, 1, 1], [0, 0, 1, 1, 1, 1, 1]])
    actual = model(ids, mask, spread, decoder_attention_mask=shown).logits
    torch.testing.assert_close(actual[shown.bool()].view_as(expected), expected, atol=1e-5, rtol=1e-5)


def test_steps_with_cache_equal_one_call(model):
    ids, mask = tiny_text([4, 6])
    motion = torch.randint(0, 12, (2, 6))
    whole = model(ids, mask, motion)
    cache, pieces = None, []
    for piece in (motion[:, :3], motion[:, 3:4], motion[:, 4:]):
        output = model(ids, mask, piece, past_key_values=cache)
        cache = output.past_key_values
        pieces.append(output.logits)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole.logits, atol=1e-5, rtol=1e-5)
    assert cache.get_seq_length() == 6
    assert model(ids, mask, motion, use_cache=False).past_key_values is None


@torch.no_grad()
def test_a_cache_belongs_to_its_texts(model):
    ids, mask = tiny_text([4, 6])
    motion = torch.tensor([[BOM, 3, 4], [BOM, 5, 6]])
    cache = model(ids, mask, motion[:, :2]).past_key_values
    with pytest.raises(ValueError, match="`past_key_values` comes from another text or motion"):
        model(ids % 29 + mask, mask, motion[:, 2:], past_key_values=copy.deepcopy(cache))
    with pytest.raises(ValueError, match="`past_key_values` comes from another text or motion"):
        text = {"input_ids": ids[:, :4], "attention_mask": mask[:, :4]}
        model.generate(**text, decoder_input_ids=motion, past_key_values=copy.deepcopy(cache), max_new_tokens=2)
    model(ids, mask, motion[:, 2:], past_key_values=cache)


def test_text_features_stand_for_the_text(model):
    ids, mask = tiny_text([4, 6])
    motion = torch.randint(0, 12, (2, 6))
    features = model.get_text_features(ids, mask)
    assert features.shape == (2, 6, model.config.text_embedding_size)
    expected = model(ids, mask, motion).logits
    torch.testing.assert_close(model(None, mask, motion, inputs_embeds=features).logits, expected)
    generated = model.generate(inputs_embeds=features, attention_mask=mask, max_new_tokens=5)
    assert torch.equal(generated, model.generate(ids, attention_mask=mask, max_new_tokens=5))


# ---- loss -----------------------------------------------------------------------------------------------------------


def test_loss_ignores_padding_and_reduces_as_told(model):
    ids, mask = tiny_text([4, 2])
    labels = torch.tensor([[3, 4, 5, EOM], [7, EOM, -100, -100]])
    output = model(ids, mask, labels=labels)
    shifted = torch.tensor([[BOM, 3, 4, 5], [BOM, 7, EOM, PAD]])
    torch.testing.assert_close(output.logits, model(ids, mask, shifted).logits)
    counted = labels != -100
    expected = F.cross_entropy(output.logits[counted], labels[counted], reduction="none")
    torch.testing.assert_close(output.loss, expected.mean())
    torch.testing.assert_close(model(ids, mask, labels=labels, num_items_in_batch=12).loss, expected.sum() / 12)
    model.config.loss_reduction = "sum"
    torch.testing.assert_close(model(ids, mask, labels=labels).loss, expected.sum())
    model.config.label_smoothing = 0.2
    others = output.logits[counted].log_softmax(-1).sum(-1) + expected
    torch.testing.assert_close(model(ids, mask, labels=labels).loss, (0.8 * expected - 0.2 / 14 * others).sum())


def test_training_learns(model):
    ids, mask = tiny_text([4, 4])
    labels = torch.tensor([[3, 4, 5, EOM], [7, 1, 2, EOM]])
    frozen = {name: p.clone() for name, p in model.named_parameters() if not p.requires_grad}
    assert {name.split(".")[0] for name in frozen} >= {"vq"}
    optimizer = torch.optim.Adam([p for p in model.train().parameters() if p.requires_grad], lr=0.01)
    for _ in range(60):
        model(ids, mask, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert all(torch.equal(p, frozen[name]) for name, p in model.named_parameters() if name in frozen)
    assert model.eval().generate(ids, attention_mask=mask).tolist() == F.pad(labels, (1, 0), value=BOM).tolist()


def test_bfloat16_training(model):
    ids, mask = tiny_text([5, 2])
    labels = torch.randint(0, 12, (2, 6))
    exact = model(ids, mask, labels=labels).loss
    with torch.autocast("cpu", torch.bfloat16):
        output = model(ids, mask, labels=labels)
    torch.testing.assert_close(output.loss, exact, atol=0.1, rtol=0.1)
    output.loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)


# ---- generation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kwargs", [{"num_beams": 3}, {}])
def test_generation_with_and_without_cache(model, kwargs):
    ids, mask = tiny_text([5, 2, 7])
    cached = model.generate(ids, attention_mask=mask, min_new_tokens=6, max_new_tokens=9, **kwargs)
    whole = model.generate(ids, attention_mask=mask, min_new_tokens=6, max_new_tokens=9, use_cache=False, **kwargs)
    assert torch.equal(cached, whole)
    assert not torch.isin(cached[:, 1:], torch.tensor([BOM])).any()


def test_motions_to_continue_may_be_padded_on_either_side(model):
    ids, mask = tiny_text([5, 2])
    motions = ([BOM, 3, 4, 5], [BOM, 7])
    alone = [
        model.generate(ids[i : i + 1], attention_mask=mask[i : i + 1], decoder_input_ids=torch.tensor([motion]),
                       min_new_tokens=4, max_new_tokens=4)[0, -4:]
        for i, motion in enumerate(motions)
    ]  # fmt: skip
    for padded in ([BOM, 7, PAD, PAD], [PAD, PAD, BOM, 7]):
        prefix = torch.tensor([motions[0], padded])
        both = model.generate(ids, attention_mask=mask, decoder_input_ids=prefix, min_new_tokens=4, max_new_tokens=4)
        assert both[:, -4:].tolist() == torch.stack(alone).tolist()


def test_lengths_in_seconds(model):
    ids, mask = tiny_text([5, 2])
    motion = model.generate(ids, attention_mask=mask, min_seconds=1.2, max_seconds=1.2, do_sample=True)
    assert motion.shape[1] == 1 + 6
    assert [len(frames) for frames in model.decode_motion(motion)] == [24, 24]
    with pytest.raises(ValueError, match="positions for 30: lower `max_seconds` or `max_new_tokens`"):
        model.generate(ids, attention_mask=mask, max_seconds=6.2)
    assert model.generate(ids, attention_mask=mask, min_seconds=6, max_seconds=6).shape[1] == 31


# ---- saving, loading, bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize("auto_class", [AutoModel, AutoModelForSeq2SeqLM])
def test_what_is_saved_loads(model, auto_class, tmp_path):
    ids, mask = tiny_text([5, 2])
    expected = model.generate(ids, attention_mask=mask, max_new_tokens=6)
    model.save_pretrained(tmp_path)
    loaded = auto_class.from_pretrained(tmp_path)
    assert type(loaded) is TextToMotionTransformer
    for (name, one), other in zip(model.named_parameters(), loaded.parameters(), strict=True):
        assert torch.equal(one, other), name
    assert torch.equal(loaded.generate(ids, attention_mask=mask, max_new_tokens=6), expected)
    assert loaded.generation_config.suppress_tokens == [BOM, PAD]


def test_frozen_parts_are_stored_in_half_precision(tmp_path):
    model = tiny_model(pretrained=True, frozen_storage_dtype="float16")
    model.save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        stored = {name: file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118
    for name, dtype in stored.items():
        if dtype.is_floating_point:
            is_frozen = name.startswith(("vq.", "encoder.text_encoder."))
            assert dtype == (torch.float16 if is_frozen else torch.float32), name
    assert {"vq.quantizer.embedding.weight", "encoder.projection.weight"} <= stored.keys()
    loaded = TextToMotionTransformer.from_pretrained(tmp_path)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    assert not any(p.requires_grad for p in (*loaded.vq.parameters(), *loaded.encoder.text_encoder.parameters()))
    motion = model.decode_motion(torch.tensor([[BOM, 1, 2, 3]]))[0]
    torch.testing.assert_close(loaded.decode_motion(torch.tensor([[BOM, 1, 2, 3]]))[0], motion, atol=1e-3, rtol=1e-2)
    next(model.vq.parameters()).data.fill_(1e6)
    with pytest.raises(ValueError, match="holds values beyond torch.float16"):
        model.save_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "Give `decoder_input_ids` or `labels`"),
        ({"labels": [[1, EOM]]}, "either as `input_ids` or as `inputs_embeds`"),
        ({"input_ids": [[0, 5]], "labels": [[1, EOM]]}, "padded on the right side only"),
        ({"input_ids": [[0, 0]], "labels": [[1, EOM]]}, "A text of the batch is empty"),
        ({"input_ids": [[5] * 31], "labels": [[1, EOM]]}, "the caption has 31 tokens"),
        ({"input_ids": [[5]], "labels": [[1] * 31]}, "the motion lasts"),
    ],
)
def test_bad_input(inputs, message):
    with pytest.raises(ValueError, match=message):
        tiny_model()(**{name: torch.tensor(value) for name, value in inputs.items()})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"d_model": 15}, "`encoder_attention_heads` 2 does not divide `d_model` 15"),
        ({"text_pad_id": 30}, "`text_pad_id` 30 is outside"),
        ({"dropout": 1.0}, "`dropout`"),
        ({"decoder_layers": 0}, "`decoder_layers`"),
        ({"codebook_size": 10}, "codebook_size is 10, but"),
        ({"vocab_size": 10}, "vocab_size of a tm2t-t2m-transformer .* follows from codebook_size and is 15"),
        ({"frozen_storage_dtype": "int8"}, "frozen_storage_dtype"),
        ({"text_encoder_config": {"model_type": "nobody"}}, "'nobody', which transformers lacks"),
    ],
)  # fmt: skip
def test_bad_configurations(fields, message):
    with pytest.raises((StrictDataclassError, ValueError), match=message):
        TextToMotionTransformerConfig(**{"vq_config": VQ, **SIZES, **fields})
