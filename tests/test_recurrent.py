# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What the text-to-motion model and the matcher share, and how tools of the ecosystem find it in both."""

import copy
from unittest import mock

import pytest
import test_modeling_matcher as matcher
import test_modeling_text_to_motion as t2m
import torch
from accelerate import cpu_offload, disk_offload, dispatch_model, init_empty_weights
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import Trainer, TrainingArguments
from transformers.integrations.neftune import activate_neftune, deactivate_neftune

from tm2t_hf import recurrent
from tm2t_hf.modeling_text_to_motion import RecurrentCache, TextEncoderOutput
from tm2t_hf.recurrent import BidirectionalGRU


def t2m_model(**fields):
    return t2m.tiny_model(vq_config=None, codebook_size=12, **fields)


def late_t2m_model(**fields):
    return t2m_model(attention="late", num_layers=2, **fields)


def t2m_batch() -> dict[str, torch.Tensor]:
    ids, mask = t2m.tiny_text([5, 2])
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([[3, 4, 5, 13], [7, 13, -100, -100]])}


MODELS = {
    "text to motion": (t2m_model, t2m_batch),
    "text to motion, late": (late_t2m_model, t2m_batch),
    "text to motion with its VQ": (t2m.tiny_model, t2m_batch),
    "matcher": (matcher.tiny_model, lambda: matcher.tiny_batch([5, 2], [9, 14])),
}


@pytest.fixture(params=MODELS)
def new_model(request):
    return MODELS[request.param][0]


@pytest.fixture
def batch(request, new_model):
    return next(batch for model, batch in MODELS.values() if model is new_model)()


# ---- rows of unequal length -----------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 7), min_size=1, max_size=4), seed=st.integers(0, 9))
def test_gru_is_the_same_with_packing_and_without(lengths, seed):
    torch.manual_seed(seed)
    gru, lengths = BidirectionalGRU(3, 4).double(), torch.tensor(lengths)
    inputs = torch.randn(len(lengths), 7, 3, dtype=torch.double)
    state = torch.randn(2, 1, 4, dtype=torch.double)
    states, last = gru(inputs, lengths, state)
    padded, padded_last = gru._run_padded(inputs, lengths, state.expand(-1, len(lengths), -1).contiguous())
    torch.testing.assert_close(padded[:, : states.shape[1]], states)
    torch.testing.assert_close(padded_last, last)
    assert (padded[:, states.shape[1] :] == 0).all()


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(1, 7), min_size=1, max_size=4), seed=st.integers(0, 9))
def test_gru_learns_as_by_plain_autograd(lengths, seed):
    torch.manual_seed(seed)
    gru, lengths = BidirectionalGRU(3, 4).double(), torch.tensor(lengths)
    inputs = torch.randn(len(lengths), 7, 3, dtype=torch.double, requires_grad=True)
    state = torch.randn(2, 1, 4, dtype=torch.double, requires_grad=True)
    learned = [inputs, state, *gru.parameters()]
    found = []
    for learns in (lambda *weights: True, lambda *weights: False):
        with mock.patch.object(recurrent, "learns_in_steps", learns):
            states, last = gru(inputs, lengths, state)
        loss = (states.sin() * torch.arange(states.shape[1])[:, None]).sum() + last.cos().sum()
        found.append([states, last, *torch.autograd.grad(loss, learned)])
    torch.testing.assert_close(*found)


# ---- the table of word vectors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("trained", [True, False])
def test_resized_word_vectors(new_model, batch, trained, tmp_path):
    model = new_model(train_text_embedding=trained)
    expected = model(**batch).loss
    old = model.get_input_embeddings().weight.detach().clone()
    table = model.resize_token_embeddings(33)
    assert table is model.get_input_embeddings() and table.weight.shape == (33, old.shape[1])
    assert torch.equal(table.weight[:30], old) and model.config.text_vocab_size == 33
    torch.testing.assert_close(model(**batch).loss, expected)
    batch["input_ids"][0, 1] = 32
    expected = model(**batch).loss
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    torch.testing.assert_close(again(**batch).loss, expected)
    for some in (model, again):
        trainable = [p for p in some.parameters() if p is some.get_input_embeddings().weight]
        assert len(trainable) == trained
    model.resize_token_embeddings(31, pad_to_multiple_of=8)
    assert model.get_input_embeddings().weight.shape[0] == model.config.text_vocab_size == 32


def test_the_motion_vocabulary_keeps_its_size():
    for tied in (True, False):
        model = t2m.tiny_model(tie_word_embeddings=tied)
        model.resize_token_embeddings(40)
        assert model.lm_head.weight.shape == model.decoder.embed_tokens.weight.shape == (15, 8)
        assert (model.lm_head.weight is model.decoder.embed_tokens.weight) == tied


def test_word_vectors_that_cannot_be_resized(new_model):
    with pytest.raises(ValueError, match="no word embedding"):
        new_model(text_vocab_size=None).resize_token_embeddings(9)
    with pytest.raises(ValueError, match="5 word vectors leave none for `text_pad_id` 7; keep at least 8"):
        new_model(text_pad_id=7).resize_token_embeddings(5)


def test_replaced_word_vectors(new_model, batch):
    model = new_model()
    table = nn.Embedding.from_pretrained(2 * model.get_input_embeddings().weight.detach())
    before = model(**batch).loss
    model.set_input_embeddings(table)
    assert model.get_input_embeddings() is table and not torch.allclose(model(**batch).loss, before)


# ---- precision, devices, attention ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_takes_float32_inputs(new_model, batch, dtype):
    model = new_model()
    exact = model(**batch).loss
    vectors = model.get_input_embeddings()(batch["input_ids"]).detach()
    model.to(dtype)
    assert model(**batch).loss.isfinite()
    torch.testing.assert_close(model(**batch).loss.float(), exact, atol=0.1, rtol=0.1)
    del batch["input_ids"]
    torch.testing.assert_close(model(**batch, inputs_embeds=vectors).loss.float(), exact, atol=0.1, rtol=0.1)


def test_attention_implementations(new_model, batch, tmp_path):
    """There is one for all, whatever is asked for."""
    model = new_model()
    model.save_pretrained(tmp_path)
    expected = model(**batch).loss
    for implementation in ("eager", "sdpa"):
        again = type(model).from_pretrained(tmp_path, attn_implementation=implementation)
        torch.testing.assert_close(again(**batch).loss, expected)
        model.set_attn_implementation(implementation)
        torch.testing.assert_close(model(**batch).loss, expected)


@pytest.mark.parametrize("where", ["cpu", "disk"])
def test_offloaded(new_model, batch, where, tmp_path):
    model = new_model()
    expected = model(**batch).loss
    words = {name: batch[name] for name in ("input_ids", "attention_mask")}
    motion = model.generate(**words) if "labels" in batch else None
    if where == "cpu":
        cpu_offload(model, torch.device("cpu"), offload_buffers=True)
    else:
        disk_offload(model, tmp_path, torch.device("cpu"), offload_buffers=True)
    assert all(parameter.is_meta for parameter in model.parameters())
    with torch.no_grad():
        torch.testing.assert_close(model(**batch).loss, expected)
    if motion is not None:
        assert torch.equal(model.generate(**words), motion)


def test_device_map_on_disk(new_model, batch, tmp_path):
    """What does not fit lies on the disk; and "auto" finds what must not be split."""
    model = new_model()
    expected = model(**batch).loss
    model.save_pretrained(tmp_path / "model")
    first, *others = (name for name, part in model.named_children() if part.state_dict())
    device_map = {first: "cpu", **dict.fromkeys(others, "disk"), "dropout": "cpu"}
    again = type(model).from_pretrained(tmp_path / "model", device_map=device_map, offload_folder=tmp_path / "off")
    with torch.no_grad():
        torch.testing.assert_close(again(**batch).loss, expected)
    auto = type(model).from_pretrained(tmp_path / "model", device_map="auto")
    torch.testing.assert_close(auto(**batch).loss, expected)
    dispatched = dispatch_model(copy.deepcopy(model), device_map, offload_dir=tmp_path / "other", main_device="cpu")
    with torch.no_grad():
        torch.testing.assert_close(dispatched(**batch).loss, expected)


def test_without_memory(new_model):
    """No weight is read or written while a model is built for `load_checkpoint_in_model` and the like."""
    reference = new_model()
    with init_empty_weights():
        model = type(reference)(reference.config)
    assert all(parameter.is_meta for parameter in model.parameters())


# ---- export ---------------------------------------------------------------------------------------------------------


def test_exported(new_model, batch):
    """The exported program takes any number of rows and any padding."""
    model = new_model()
    batch.pop("labels", None)
    if "motion_values" not in batch:
        batch["decoder_input_ids"] = torch.tensor([[12, 3, 4], [12, 7, 1]])
    rows_of = {name: {0: torch.export.Dim("rows", min=2)} if torch.is_tensor(v) else None for name, v in batch.items()}
    with torch.no_grad():
        program = torch.export.export(model, (), batch, dynamic_shapes=rows_of, strict=False).module()
        for rows in (2, 5):
            chosen = torch.arange(rows) % 2
            other = {name: value[chosen] if torch.is_tensor(value) else value for name, value in batch.items()}
            other["attention_mask"] = (torch.arange(5) < torch.tensor([[4], [1], [5], [3], [2]])[:rows]).long()
            expected = {name: value for name, value in model(**other).items() if torch.is_tensor(value)}
            actual = program(**other)
            for name, value in expected.items():
                if name != "encoder_last_hidden_state":  # which here keeps the width of the input
                    torch.testing.assert_close(actual[name], value, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("attention", t2m.ATTENTIONS)
def test_exported_decoding(attention):
    """A step of decoding is exported as what it is: state and token in, state and logits out."""
    model = t2m.tiny_model(attention=attention, num_layers=2)

    class Step(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, ids, state, text):
            cache = RecurrentCache(state)
            output = self.model(
                encoder_outputs=TextEncoderOutput(**text), decoder_input_ids=ids, past_key_values=cache, use_cache=True
            )
            return output.logits, cache.state

    ids, mask = t2m.tiny_text([5, 2])
    expected = model.generate(ids, attention_mask=mask, min_new_tokens=6, max_new_tokens=6)
    with torch.no_grad():
        text = dict(model.encoder(ids, mask))
        state, token = model.decoder.start(TextEncoderOutput(**text)), torch.full((2, 1), t2m.BOM)
        step = torch.export.export(Step(), (token, state, text), strict=False).module()
        for right in expected[:, 1:].unbind(1):
            logits, state = step(token, state, text)
            token = logits[..., :12].argmax(-1)
            assert torch.equal(token[:, 0], right)


# ---- training tools -------------------------------------------------------------------------------------------------


class Rows(torch.utils.data.Dataset):
    def __init__(self, batch):
        self.batch = batch

    def __len__(self):
        return 2

    def __getitem__(self, row):
        return {name: value[row] for name, value in self.batch.items()}


def arguments(folder, **others) -> TrainingArguments:
    fixed = {"report_to": "none", "use_cpu": True, "max_steps": 2, "eval_strategy": "steps", "eval_steps": 1}
    return TrainingArguments(str(folder), **fixed, save_steps=1, disable_tqdm=True, **others)


def test_trainer_evaluates_and_keeps_the_best(new_model, batch, tmp_path):
    model = new_model()
    best = {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss"}
    rows = Rows(batch)
    trainer = Trainer(model, arguments(tmp_path, **best), train_dataset=rows, eval_dataset=rows)
    trainer.train()
    metrics = trainer.evaluate()
    with torch.no_grad():
        assert metrics["eval_loss"] == pytest.approx(model.eval()(**batch).loss.item(), rel=1e-4)


def test_noisy_word_vectors(new_model, batch, tmp_path):
    """NEFTune, as `Trainer` switches it on: in training only."""
    model = new_model(dropout=0.0)
    hook = activate_neftune(model, 50.0)
    first, second = model.train()(**batch).loss, model(**batch).loss
    assert not torch.allclose(first, second)
    first, second = model.eval()(**batch).loss, model(**batch).loss
    assert first == second
    deactivate_neftune(model, hook)
    Trainer(model, arguments(tmp_path, neftune_noise_alpha=5.0), None, Rows(batch), Rows(batch)).train()


def test_gradient_checkpointing_is_refused(new_model):
    with pytest.raises(ValueError, match="does not support (gradient|activation) checkpointing"):
        new_model().gradient_checkpointing_enable()


def test_adapters(new_model, batch, tmp_path):
    peft = pytest.importorskip("peft")
    model = new_model()
    translates = "labels" in batch
    targets = ["query", "key", "mix", "input_projection"] if translates else ["input_projection", "hidden"]
    for task in (None, "SEQ_2_SEQ_LM") if translates else (None,):
        expected = model(**batch).loss
        adapted = peft.get_peft_model(copy.deepcopy(model), peft.LoraConfig(target_modules=targets, task_type=task))
        torch.testing.assert_close(adapted(**batch).loss, expected)
        adapted(**batch).loss.backward()
        learned = {name: p for name, p in adapted.named_parameters() if p.requires_grad}
        assert all(p.grad.abs().sum() > 0 for name, p in learned.items() if "lora_B" in name)
        with torch.no_grad():
            for parameter in learned.values():
                parameter.add_(0.3)
        changed = adapted(**batch).loss
        assert not torch.allclose(changed, expected)
        adapted.save_pretrained(tmp_path)
        again = peft.PeftModel.from_pretrained(copy.deepcopy(model), tmp_path)
        torch.testing.assert_close(again(**batch).loss, changed)
        torch.testing.assert_close(again.merge_and_unload()(**batch).loss, changed, atol=1e-4, rtol=1e-4)
        if translates:
            words = {name: batch[name] for name in ("input_ids", "attention_mask")}
            assert adapted.generate(**words, num_beams=2).shape[0] == 2
