# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The processor: what each call returns, that models take it, saving, bad input."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import Dataset
from transformers import AutoProcessor

from tm2t_hf.feature_extraction_motion import MotionFeatureExtractor
from tm2t_hf.pipelines import CHECKPOINTS
from tm2t_hf.processing_tm2t import TM2TProcessor
from tm2t_hf.skeletons import HUMANML3D
from tm2t_hf.tokenization_motion import MotionTokenizer
from tm2t_hf.toy import make_toy_clip

NOISE = np.random.default_rng(1).normal(size=(9, 263))


@pytest.fixture(scope="module")
def motions():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(frames, 263)) for frames in (20, 12)]


def test_text_alone_is_what_a_tokenizer_returns(processor):
    batch = processor(text=["a person waves", "someone walks fast"], return_tensors="pt")
    assert set(batch) == {"input_ids", "attention_mask"}
    expected = processor.tokenizer(["a person waves", "someone walks fast"], padding=True, return_tensors="pt")
    assert torch.equal(batch["input_ids"], expected["input_ids"])
    assert processor(text="a person waves")["input_ids"] == [processor.tokenizer("a person waves")["input_ids"]]


def test_motion_alone_is_what_the_feature_extractor_returns(processor, motions):
    batch = processor(motion=motions, return_tensors="pt")
    assert set(batch) == {"motion_values", "attention_mask"}
    expected = processor.feature_extractor(motions, return_tensors="pt")
    assert torch.equal(batch["motion_values"], expected["motion_values"])
    assert batch["attention_mask"].sum(dim=1).tolist() == [20, 12]


def test_both_keep_their_masks_apart(processor, motions):
    batch = processor(text=["a person waves", "someone walks fast"], motion=motions, return_tensors="pt")
    assert set(batch) == {"input_ids", "attention_mask", "motion_values", "motion_attention_mask"}
    assert batch["attention_mask"].shape == batch["input_ids"].shape
    assert batch["motion_attention_mask"].sum(dim=1).tolist() == [20, 12]
    assert set(batch) == set(processor.model_input_names)


def test_labels_are_the_caption_after_bos_and_train_a_model(processor, motions, m2t_model):
    captions = ["a person waves", "someone walks"]
    batch = processor(motion=motions, text_target=captions, return_tensors="pt")
    for labels, caption in zip(batch["labels"].tolist(), captions, strict=True):
        ids = [index for index in labels if index != -100]
        assert [processor.tokenizer.bos_token_id, *ids] == processor.tokenizer(caption)["input_ids"]
    assert torch.isfinite(m2t_model(**batch).loss)


def test_models_take_what_it_returns(processor, motions, vq_model, m2t_model, t2m_model):
    motion = processor(motion=motions, return_tensors="pt")
    assert vq_model.encode(**motion).codes.shape == (2, 5)
    assert len(m2t_model.generate(**motion, max_new_tokens=3)) == 2
    text = processor(text="a person waves", return_tensors="pt")
    sequences = t2m_model.generate(**text, min_new_tokens=2, max_new_tokens=2)
    (joints,) = processor.post_process(t2m_model.decode_motion(sequences))
    assert joints.shape == (8, 22, 3)
    assert processor.motion_tokenizer.ids_to_codes(sequences[0]) == sequences[0, 1:].tolist()


def test_decodes_text(processor):
    ids = processor(text=["a person waves"])["input_ids"]
    assert processor.batch_decode(ids, skip_special_tokens=True) == ["a person waves"]


@pytest.mark.parametrize("codebook_size", [32, 1000])  # fewer and more codes than words
def test_decodes_motion_ids_as_motion(processor, t2m_model, codebook_size):
    motion = processor.motion_tokenizer = MotionTokenizer(codebook_size=codebook_size)
    bom, eom, pad = codebook_size, codebook_size + 1, codebook_size + 2
    ids = [[bom, 17, 4, eom, pad, pad], [bom, 5, 1, 2, 3, 4]]
    for several in (ids, torch.tensor(ids), np.array(ids), [torch.tensor(row) for row in ids]):
        assert processor.batch_decode(several) == motion.batch_decode(ids)
        assert processor.decode(several[0]) == "<bom> <motion_17> <motion_4> <eom> <pad> <pad>"
        assert processor.decode(several[0], skip_special_tokens=True) == "<motion_17> <motion_4>"
    assert processor.decode([pad, bom, 3]) == "<pad> <bom> <motion_3>"
    if codebook_size > len(processor.tokenizer):
        assert processor.decode([500, 3]) == "<motion_500> <motion_3>"


@pytest.mark.parametrize("codebook_size", [32, 1000])
def test_text_ids_stay_text(processor, codebook_size):
    tokenizer = processor.tokenizer
    processor.motion_tokenizer = MotionTokenizer(codebook_size=codebook_size)
    ids = tokenizer(["someone waves the left hand", "a person walks"], padding=True)["input_ids"]
    for several in (ids, torch.tensor(ids), [row[1:] for row in ids], [[*ids[0], len(tokenizer)], ids[1]], [], [[]]):
        assert processor.batch_decode(several) == tokenizer.batch_decode(several)
    assert processor.decode(ids[0]) == tokenizer.decode(ids[0])
    assert processor.decode(ids[0][1]) == tokenizer.decode(ids[0][1])
    # only one of the captions begins with the word whose id is that of <bom>
    labels = [[32, 7, 2], [40, 8, 2]]
    assert processor.batch_decode(labels) == tokenizer.batch_decode(labels)


def test_saves_and_loads_all_three(processor, motions, t2m_model, tmp_path):
    t2m_model.config.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    for loaded in (TM2TProcessor.from_pretrained(tmp_path), AutoProcessor.from_pretrained(tmp_path)):
        assert isinstance(loaded, TM2TProcessor)
        assert isinstance(loaded.feature_extractor, MotionFeatureExtractor)
        assert isinstance(loaded.motion_tokenizer, MotionTokenizer)
        assert loaded.feature_extractor.to_dict() == processor.feature_extractor.to_dict()
        assert loaded.tokenizer.get_vocab() == processor.tokenizer.get_vocab()
        assert loaded.motion_tokenizer.get_vocab() == processor.motion_tokenizer.get_vocab()
        before, after = (p(text="someone walks", motion=motions[0]) for p in (processor, loaded))
        assert before["input_ids"] == after["input_ids"]
        np.testing.assert_array_equal(before["motion_values"], after["motion_values"])


def test_every_container_gives_every_pair(processor, motions):
    captions = ["a person waves", "someone walks fast"]
    expected = processor(text=captions, motion=motions, return_tensors="pt")
    rows = Dataset.from_dict({"text": captions, "motion": [motion.tolist() for motion in motions]})
    for several in (tuple, iter, pd.Series, lambda items: np.array([*items, None], dtype=object)[:-1]):
        batch = processor(text=several(captions), motion=several(motions), return_tensors="pt")
        assert all(torch.equal(batch[name], expected[name]) for name in expected)
        labels = processor(motion=several(motions), text_target=several(captions))["labels"]
        assert labels == processor(motion=motions, text_target=captions)["labels"]
    for table in (rows, rows[:], list(rows), rows.to_pandas()):
        batch = processor(text=table, motion=table if not isinstance(table, pd.DataFrame) else motions)
        assert batch["input_ids"] == expected["input_ids"].tolist()
        assert len(batch["motion_values"]) == 2


@pytest.mark.parametrize("padding", [True, False])
def test_data_sets_can_be_mapped_in_batches(processor, motions, padding):
    captions = ["a person waves", "someone walks fast"]
    rows = Dataset.from_dict({"text": captions, "motion": [motion.tolist() for motion in motions]})
    mapped = rows.map(
        lambda batch: processor(text_target=batch["text"], motion=batch["motion"], padding=padding),
        batched=True,
        remove_columns=["text", "motion"],
    )
    assert set(mapped.column_names) == {"motion_values", "attention_mask", "labels"}
    for values, motion in zip(mapped["motion_values"], motions, strict=True):
        np.testing.assert_allclose(np.array(values)[: len(motion)], motion, atol=1e-6)
    assert [len(values) for values in mapped["motion_values"]] == [20, 20 if padding else 12]


# ---- arguments ------------------------------------------------------------------------------------------------------


def test_arguments_of_one_side_and_of_both(processor, motions):
    captions = ["a person waves", "someone walks"]
    batch = processor(text=captions, motion=motions, pad_to_multiple_of=16, return_tensors="pt")
    assert batch["motion_values"].shape[1] == 32 and batch["input_ids"].shape[1] % 16 == 0
    batch = processor(
        text=captions,
        motion=motions,
        text_kwargs={"padding": "max_length", "max_length": 30},
        motion_kwargs={"pad_to_multiple_of": 16},
        return_tensors="pt",
    )
    assert batch["motion_values"].shape[1] == 32 and batch["input_ids"].shape == (2, 30)
    # lengths are in text tokens: motions are padded to the longest, and never cut
    batch = processor(
        text=captions, motion=motions, padding="max_length", max_length=4, truncation=True, return_tensors="np"
    )
    assert batch["motion_values"].shape == (2, 20, 263) and batch["input_ids"].shape == (2, 4)


def test_special_tokens_can_be_left_out_of_texts_but_not_of_labels(processor, motions):
    ids = processor(text="a person waves")["input_ids"][0]
    assert processor(text="a person waves", add_special_tokens=False)["input_ids"] == [ids[1:-1]]
    assert processor(text="a person waves", text_kwargs={"add_special_tokens": False})["input_ids"] == [ids[1:-1]]
    with pytest.raises(ValueError, match="add_special_tokens=False leaves no <eos> for the labels"):
        processor(motion=motions[0], text_target="a person waves", add_special_tokens=False)


def test_texts_and_labels_are_padded_on_the_right_whatever_the_tokenizer_does(processor, motions):
    captions = ["a person waves the left hand", "someone"]
    expected = processor(motion=motions, text_target=captions)["labels"], processor(text=captions)["input_ids"]
    processor.tokenizer.padding_side = "left"
    assert processor(motion=motions, text_target=captions)["labels"] == expected[0]
    assert processor(text=captions)["input_ids"] == expected[1]


def test_units_and_frame_rates_reach_the_motions(processor):
    body = make_toy_clip("walk", np.random.default_rng(0))[0][:61]
    expected = processor(motion=body, fps=60)["motion_values"]
    for kwargs in ({"fps": np.float32(60), "unit": "mm"}, {"motion_kwargs": {"fps": 60, "unit": "mm"}}):
        np.testing.assert_allclose(processor(motion=body * 1000, **kwargs)["motion_values"], expected, atol=1e-4)
    with pytest.raises(ValueError, match="unit='inch' must be one of"):
        processor(motion=body, unit="inch")
    with pytest.raises(ValueError, match="fps=inf must be a number from 1 to 1000"):
        processor(motion=body, fps=np.inf)


@pytest.mark.parametrize("wrap", [dict, lambda kwargs: {"motion_kwargs": kwargs}])
def test_frame_rates_and_units_that_are_none_are_refused_in_one_sentence(processor, wrap):
    for fps in ("60", [20, 60], np.array([20, 60]), 0):
        with pytest.raises(ValueError, match="^fps=.* must be a number from 1 .*, the same for all motions"):
            processor(motion=[NOISE, NOISE], **wrap({"fps": fps}))
    for unit in (3, "yd", ["m"]):
        with pytest.raises(ValueError, match="^unit=.* must be one of 'm', 'cm', 'mm'"):
            processor(motion=NOISE, **wrap({"unit": unit}))


@pytest.mark.parametrize(
    "wrap", [dict, lambda kwargs: {"text_kwargs": kwargs}, lambda kwargs: {"motion_kwargs": kwargs}]
)
def test_a_side_of_padding_is_refused(processor, wrap):
    with pytest.raises(ValueError, match="padding_side='left' is not an argument: these models need padding on the r"):
        processor(text=["a person", "someone walks"], **wrap({"padding_side": "left"}))


def test_arguments_that_do_not_exist_are_refused(processor):
    for name in ("images", "paddding", "stride", "text_pair", "sampling_rate"):
        with pytest.raises(TypeError, match=f"The processor has no argument '{name}'; it has .*fps.*text_kwargs"):
            processor(text="a person", **{name: 1})
    for side, wrong in (("text_kwargs", {"paddding": 1}), ("motion_kwargs", {"max_length": 3})):
        with pytest.raises(TypeError, match=f"{side} has no argument {next(iter(wrong))!r}; it has"):
            processor(text="a person", **{side: wrong})
    for name, value in (("pad_to_multiple_of", "two"), ("max_length", -1), ("max_length", 2.5)):
        with pytest.raises(ValueError, match=f"^{name}={value!r} must be a whole number of at least 1"):
            processor(text="a person", truncation=True, **{name: value})


def test_arguments_for_a_side_that_is_not_there_are_refused(processor, motions):
    motion = motions[0]
    for options in ({"max_length": 10}, {"truncation": True}, {"max_length": 10, "padding": "max_length"}):
        with pytest.raises(ValueError, match="is an argument for captions, of which there are none; process"):
            processor(motion=motion, **options)
    with pytest.raises(ValueError, match=r"^fps=30 is an argument for motions, of which there are none\.$"):
        processor(text="a person", fps=30)
    assert len(processor(motion=motion, max_length=None)["motion_values"]) == 1
    assert "labels" in processor(motion=motion, text_target="a person", max_length=10, truncation=True)


# ---- parts ----------------------------------------------------------------------------------------------------------


def test_it_is_shown_in_a_few_lines(processor):
    lines = repr(processor).splitlines()
    assert len(lines) == 5 and max(map(len, lines)) < 120
    assert "skeleton='humanml3d'" in lines[1] and "MotionTokenizer(35 ids)" in lines[3]


def test_a_folder_without_its_motion_tokenizer_is_refused(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    shutil.rmtree(tmp_path / "motion_tokenizer")
    with pytest.raises(
        FileNotFoundError, match="has no motion_tokenizer/tokenizer.json, .*, which its processor needs"
    ):
        TM2TProcessor.from_pretrained(tmp_path)
    with pytest.raises(ValueError, match="motion_tokenizer is a .*, not a MotionTokenizer; .* keeps it in motion_tok"):
        TM2TProcessor(processor.feature_extractor, processor.tokenizer, processor.tokenizer)


def test_shipped_processors_name_their_skeleton():
    for name in ("tm2t-vq", "tm2t-m2t", "tm2t-t2m", "tm2t-matcher"):
        folder = CHECKPOINTS / name
        (path,) = folder.glob("p*_config.json")
        content = json.loads(path.read_text())
        content = content.get("feature_extractor", content)
        assert content["skeleton"] == "humanml3d"
        loaded = AutoProcessor.from_pretrained(folder)
        extractor = loaded if name == "tm2t-vq" else loaded.feature_extractor
        assert isinstance(extractor, MotionFeatureExtractor)
        assert (
            extractor.skeleton == HUMANML3D and extractor.mean == content["mean"] and extractor.std == content["std"]
        )


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "there is nothing to process; pass text=, motion= or both"),
        ({"text_target": "a person"}, "there is nothing to process"),
        ({"text": ""}, r"text\[0\] has no words"),
        ({"text": ["a person", 3]}, r"text\[1\] is int, not a string"),
        ({"text": 3}, "text is int, not a string"),
        ({"text": "a person", "text_target": "a person"}, "text= and text_target= are both given"),
        ({"text": ["a", "b"], "motion": NOISE}, "2 in text= and 1 in motion="),
        ({"motion": NOISE, "text_target": ["a", "b"]}, "1 in motion= and 2 in text_target="),
        ({"motion": np.zeros((9, 5))}, r"motion has shape \(9, 5\)"),
    ],
)
def test_bad_input_is_named(processor, inputs, message):
    with pytest.raises(ValueError, match=message):
        processor(**inputs)


def test_foreign_motion_ids_do_not_vanish(feature_extractor, text_tokenizer):
    processor = TM2TProcessor(feature_extractor, text_tokenizer, MotionTokenizer(1024))
    for decode in (processor.decode, processor.batch_decode):
        with pytest.raises(ValueError, match="ids holds 2000, but this motion vocabulary has ids 0 to 1026"):
            decode([[1024, 2000]])
