# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""A pretrained text encoder inside the text-to-motion models: what is frozen, what is stored, what is refused."""

import pytest
import torch
from torch.nn import functional as F
from transformers import BertConfig, BertModel, T5Config, T5EncoderModel

from tm2t_hf import TextToMotionConfig, TextToMotionModel, TextToMotionTransformer, TextToMotionTransformerConfig
from tm2t_hf.tokenization_text import text_encoder_tokenizer, train_text_tokenizer

VQ = {"feature_size": 23, "codebook_size": 12, "hidden_size": 8, "unit_length": 4, "fps": 20.0}
BERT = {"vocab_size": 30, "hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
T5 = {"vocab_size": 30, "d_model": 12, "d_kv": 4, "num_layers": 1, "num_heads": 2, "d_ff": 16}
SIZES = {
    "gru": {"text_hidden_size": 6, "motion_hidden_size": 8},
    "transformer": {
        **{"d_model": 16, "encoder_layers": 0, "decoder_layers": 1, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16},
        **{"encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_position_embeddings": 40},
    },
}
CLASSES = {
    "gru": (TextToMotionConfig, TextToMotionModel),
    "transformer": (TextToMotionTransformerConfig, TextToMotionTransformer),
}
IDS = torch.tensor([[3, 4, 5, 6], [7, 8, 0, 0]])
MASK = (IDS != 0).long()
LABELS = torch.tensor([[1, 2, 3, 13], [4, 5, 13, -100]])


@pytest.fixture(params=CLASSES)
def architecture(request):
    return request.param


def tiny_model(architecture, encoder=None, **fields):
    torch.manual_seed(0)
    config_class, model_class = CLASSES[architecture]
    encoder = BertConfig(**BERT, max_position_embeddings=20) if encoder is None else encoder
    return model_class(config_class(vq_config=VQ, text_encoder_config=encoder, **SIZES[architecture] | fields))


def test_the_configuration_follows_the_text_encoder(architecture, tmp_path):
    config = tiny_model(architecture).config
    assert (config.text_vocab_size, config.text_pad_id, config.text_embedding_size) == (30, 0, 12)
    config.save_pretrained(tmp_path)
    again = type(config).from_pretrained(tmp_path)
    assert isinstance(again.text_encoder_config, BertConfig)
    assert again.to_dict()["text_encoder_config"]["hidden_size"] == again.text_embedding_size == 12
    given = type(config)(text_encoder_config={"model_type": "t5", **T5})
    assert isinstance(given.text_encoder_config, T5Config) and given.text_embedding_size == 12


@pytest.mark.parametrize("freeze", [True, False])
def test_what_learns(architecture, freeze):
    model = tiny_model(architecture, freeze_text_encoder=freeze).train()
    encoder = model.encoder.text_encoder
    assert encoder.training != freeze and not model.vq.training
    model(IDS, MASK, labels=LABELS).loss.backward()
    learning = {name for name, p in model.named_parameters() if p.grad is not None}
    assert learning == {name for name, p in model.named_parameters() if p.requires_grad}
    inside = {name for name in learning if name.startswith("encoder.text_encoder.")}
    assert bool(inside) != freeze and not any("pooler" in name for name in inside)
    assert not any(name.startswith("vq.") for name in learning)


def test_the_frozen_encoder_has_no_dropout(architecture):
    model = tiny_model(architecture).train()
    assert torch.equal(model.get_text_features(IDS, MASK), model.get_text_features(IDS, MASK))


def test_features_are_those_of_the_encoder(architecture):
    torch.manual_seed(5)
    config = BertConfig(**BERT, max_position_embeddings=20)
    given = BertModel(config).eval()
    model = tiny_model(architecture, config).eval()
    before = model(IDS, MASK, labels=LABELS).loss
    model.set_text_encoder(given)
    features = model.get_text_features(IDS)
    torch.testing.assert_close(features, given(IDS, MASK).last_hidden_state)
    loss = model(IDS, MASK, labels=LABELS).loss
    assert not torch.isclose(loss, before)
    torch.testing.assert_close(model(None, MASK, labels=LABELS, inputs_embeds=features).loss, loss)


def test_an_encoder_of_another_family(architecture, tmp_path):
    """The encoder of T5, whose decoder stays away."""
    model = tiny_model(architecture, T5Config(**T5)).eval()
    assert isinstance(model.encoder.text_encoder, T5EncoderModel)
    expected = model.generate(IDS, attention_mask=MASK, max_new_tokens=5)
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path)
    assert torch.equal(loaded.generate(IDS, attention_mask=MASK, max_new_tokens=5), expected)


def test_padding_changes_nothing(architecture):
    model = tiny_model(architecture).eval()
    motion = torch.randint(0, 12, (2, 5))
    together = model(F.pad(IDS, (0, 3), value=9), F.pad(MASK, (0, 3)), motion).logits
    for i, length in enumerate((4, 2)):
        alone = model(IDS[i : i + 1, :length], decoder_input_ids=motion[i : i + 1]).logits
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-5, rtol=1e-5)


def test_half_precision_in_the_file_only(architecture, tmp_path):
    model = tiny_model(architecture, frozen_storage_dtype="float16").eval()
    for folder in ("once", "twice"):
        model.save_pretrained(tmp_path / folder)
        loaded = type(model).from_pretrained(tmp_path / folder)
        assert loaded.dtype == torch.float32 and {p.dtype for p in loaded.parameters()} == {torch.float32}
        torch.testing.assert_close(loaded(IDS, MASK, LABELS.clamp(0)).logits, model(IDS, MASK, LABELS.clamp(0)).logits,
                                   atol=5e-3, rtol=5e-3)  # fmt: skip
        model = loaded
    first, second = (tmp_path / folder / "model.safetensors" for folder in ("once", "twice"))
    assert first.read_bytes() == second.read_bytes()
    full = tiny_model(architecture)
    full.save_pretrained(tmp_path / "full")
    assert (tmp_path / "full" / "model.safetensors").stat().st_size > first.stat().st_size


@pytest.mark.filterwarnings("ignore")
def test_dynamic_int8(architecture):
    model = tiny_model(architecture).eval()
    exact = model(IDS, MASK, labels=LABELS).logits
    quantized = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    assert 0 < (quantized(IDS, MASK, labels=LABELS).logits - exact).abs().max() < 0.3 * exact.abs().max()
    assert quantized.generate(IDS, attention_mask=MASK, max_new_tokens=3).shape[0] == 2


def test_the_text_table_can_grow(architecture):
    model = tiny_model(architecture).eval()
    expected = model.get_text_features(IDS, MASK)
    assert model.resize_token_embeddings(33).num_embeddings == 33
    assert model.config.text_vocab_size == model.config.text_encoder_config.vocab_size == 33
    torch.testing.assert_close(model.get_text_features(IDS, MASK), expected)


def test_what_does_not_fit_is_refused(architecture):
    model = tiny_model(architecture)
    with pytest.raises(ValueError, match="The text has 21 tokens, but the text encoder takes 20 at most"):
        model(torch.full((1, 21), 3), labels=LABELS[:1])
    with pytest.raises(ValueError, match="has the hidden_size 24, but `text_encoder_config` says 12"):
        model.set_text_encoder(BertModel(BertConfig(**BERT | {"hidden_size": 24})))
    config_class, model_class = CLASSES[architecture]
    with pytest.raises(ValueError, match="This model has no text encoder"):
        model_class(config_class(vq_config=VQ, **SIZES[architecture])).set_text_encoder(BertModel(BertConfig(**BERT)))


def test_the_tokenizer_of_an_encoder(tmp_path):
    """It knows no full stop at the end, and survives being saved."""
    train_text_tokenizer(["a person walks"], 290).save_pretrained(tmp_path / "given")
    tokenizer = text_encoder_tokenizer(tmp_path / "given")
    tokenizer.save_pretrained(tmp_path / "saved")
    for each in (tokenizer, type(tokenizer).from_pretrained(tmp_path / "saved")):
        assert each("A person walks. ")["input_ids"] == each("a person walks")["input_ids"]
        batch = each(["a person walks", "a"], padding=True)
        assert batch["attention_mask"][1][-1] == 0 and set(batch) == {"input_ids", "attention_mask"}
        assert each.pad_token_id == 0 and each.padding_side == "right"
