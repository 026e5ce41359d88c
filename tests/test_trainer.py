# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The translation models in `Seq2SeqTrainer`: accumulated gradients, generation in its evaluation, its processor."""

import copy
import logging

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset
from transformers import AutoModelForSeq2SeqLM, AutoProcessor, Seq2SeqTrainer, Seq2SeqTrainingArguments

from tm2t_hf import TextToMotionConfig

TEXTS = [[1, 7, 8, 9, 2], [1, 5, 2], [1, 6, 7, 4, 8, 9, 2]]


class Pairs(Dataset):
    """Rows (input ids, labels); labels leave the first id of a sequence out."""

    def __init__(self, sources, targets, source_pad):
        self.rows, self.source_pad = list(zip(sources, targets, strict=True)), source_pad

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]

    def batch(self, rows):
        """Rows -> a padded batch."""
        inputs = pad_sequence([torch.tensor(row[0]) for row in rows], True, self.source_pad)
        labels = pad_sequence([torch.tensor(row[1][1:]) for row in rows], True, -100)
        return {"input_ids": inputs, "attention_mask": (inputs != self.source_pad).long(), "labels": labels}


@pytest.fixture(params=["m2t_model", "t2m_model", "t2m_transformer"])
def model_and_pairs(request):
    """A model of each kind, and pairs of a text and a motion for it."""
    model = request.getfixturevalue(request.param)
    config = model.config
    bom, eom, pad = config.bom_id, config.eom_id, config.pad_id
    motions = [[bom, 3, 4, eom], [bom, 9, 9, 1, 2, eom], [bom, 5, eom]]
    if request.param == "m2t_model":
        return model, Pairs(motions, TEXTS, pad)
    return model, Pairs(TEXTS, motions, config.text_pad_id)


def trainer(model, pairs, folder, processing_class=None, **arguments) -> Seq2SeqTrainer:
    arguments = {"per_device_train_batch_size": 1, "max_steps": 1, "lr_scheduler_type": "constant"} | arguments
    arguments = Seq2SeqTrainingArguments(
        str(folder),
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        per_device_eval_batch_size=2,
        **arguments,
    )
    return Seq2SeqTrainer(model, arguments, pairs.batch, pairs, pairs, processing_class)


def test_a_processing_class_changes_nothing(model_and_pairs, processor, tmp_path):
    """Of it, `Trainer` makes the special ids of the model those of the text tokenizer."""
    model, pairs = model_and_pairs
    batch = pairs.batch([*pairs])
    results = []
    for name, given in (("none", None), ("processor", processor), ("tokenizer", processor.tokenizer)):
        torch.manual_seed(0)
        learner = trainer(copy.deepcopy(model), pairs, tmp_path / name, given, learning_rate=0.1)
        learner.train()
        learner.save_model()
        loaded = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / name)
        options = {"attention_mask": batch["attention_mask"], "do_sample": False, "max_new_tokens": 8}
        ids = [each.generate(batch["input_ids"], **options).tolist() for each in (learner.model, loaded)]
        files = [(tmp_path / name / file).read_text() for file in ("config.json", "generation_config.json")]
        weights = {key: value.tolist() for key, value in loaded.state_dict().items()}
        results.append((ids, files, weights))
    assert results[0] == results[1] == results[2]
    assert repr(AutoProcessor.from_pretrained(tmp_path / "processor")) == repr(processor)


def test_other_special_ids_of_motion_do_not_count(t2m_model, caplog):
    config = TextToMotionConfig(codebook_size=77)  # the warning comes once for each codebook
    config.pad_token_id = 0
    assert config.pad_token_id == 79 and "those of its codebook, 77 to 79, and stay so" in caplog.text
    t2m_model.config.eos_token_id = t2m_model.generation_config.eos_token_id = 2
    assert t2m_model.config.eos_token_id == t2m_model.generation_config.eos_token_id == 33
    t2m_model.generation_config.eos_token_id = None  # to measure speed, for one
    assert t2m_model.generate(torch.tensor([TEXTS[0]]), max_new_tokens=60).shape == (1, 61)


def test_evaluation_by_generation(model_and_pairs, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    model, pairs = model_and_pairs
    batch = pairs.batch([*pairs])
    expected = model.generate(batch["input_ids"], attention_mask=batch["attention_mask"], do_sample=False)
    assert expected.shape[1] > 21  # longer than the `max_length` that the trainer fills in
    predicted = trainer(model, pairs, tmp_path, predict_with_generate=True).predict(pairs)
    assert "max_length" not in caplog.text, "there is a limit already"
    assert set(predicted.metrics) > {"test_loss"}
    ids = torch.from_numpy(predicted.predictions)
    assert ids.shape[0] == 3 and ids.shape[1] >= expected.shape[1]
    assert torch.equal(ids[:, : expected.shape[1]], expected)
    # what the first batch leaves in the generation config does not shorten the second
    again = model.generate(batch["input_ids"], attention_mask=batch["attention_mask"], do_sample=False)
    assert torch.equal(again, expected)


@pytest.mark.parametrize("num_beams", [1, 2])
def test_labels_do_not_reach_the_steps_of_generation(model_and_pairs, num_beams):
    model, pairs = model_and_pairs
    batch = pairs.batch([*pairs])
    options = {"num_beams": num_beams, "do_sample": False, "max_new_tokens": 4}
    given = model.generate(**batch, **options)
    del batch["labels"]
    assert torch.equal(given, model.generate(**batch, **options))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_accumulated_gradients_are_those_of_one_batch(model_and_pairs, reduction, tmp_path):
    model, pairs = model_and_pairs
    model.config.loss_reduction = reduction
    for module in model.modules():
        for name in ("dropout", "attention_dropout"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    ends = []
    for size, steps in ((3, 1), (1, 3)):
        model.load_state_dict(start)
        options = {"per_device_train_batch_size": size, "gradient_accumulation_steps": steps, "optim": "sgd"}
        trainer(model, pairs, tmp_path, learning_rate=0.1, max_grad_norm=0.0, **options).train()
        ends.append({name: value.clone() for name, value in model.state_dict().items()})
    assert any(not torch.equal(ends[0][name], start[name]) for name in start)
    for name in start:
        torch.testing.assert_close(ends[0][name], ends[1][name], atol=1e-5, rtol=1e-4)
