# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The HumanML3D layout as a dataset: rows, sub-clips, mirroring, caches, crops, tokens, collators, and bad folders."""

import os
import time
from collections import Counter

import datasets
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tm2t_hf.configuration_motion_vq import MotionVQConfig
from tm2t_hf.data import (
    CaptionFeatures,
    CaptionLine,
    TranslationCollator,
    VQCollator,
    crop_tokens,
    crop_window,
    draw_caption,
    load_motion_dataset,
    load_statistics,
    mirror_caption,
    read_captions,
    read_split,
    row_generator,
    tokenize_motions,
    varied_motion,
)
from tm2t_hf.data.lengths import motion_lengths
from tm2t_hf.data.variation import BodyVariation
from tm2t_hf.feature_extraction_motion import MotionFeatureExtractor
from tm2t_hf.modeling_motion_vq import MotionVQModel
from tm2t_hf.motion import HUMANML3D, KIT, features_to_joints, joints_to_features, mirror_joints
from tm2t_hf.tokenization_motion import MotionTokenizer
from tm2t_hf.tokenization_text import train_text_tokenizer
from tm2t_hf.toy import make_toy_clip

CAPTION = "a person waves#a/DET person/NOUN wave/VERB#0.0#0.0\n"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def write_clip(folder, clip, features, text=CAPTION):
    (folder / "new_joint_vecs").mkdir(parents=True, exist_ok=True)
    (folder / "texts").mkdir(exist_ok=True)
    np.save(folder / "new_joint_vecs" / f"{clip}.npy", features)
    (folder / "texts" / f"{clip}.txt").write_text(text, encoding="utf-8")


def noise(frames, size=HUMANML3D.feature_size, seed=0):
    return np.random.default_rng(seed).normal(size=(frames, size)).astype(np.float32)


def real_motion(action, seed=0):
    joints, _ = make_toy_clip(action, np.random.default_rng(seed))
    return joints_to_features(joints, HUMANML3D)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "data"
    for clip, frames in (("a", 40), ("b", 90), ("c", 21)):
        write_clip(folder, clip, noise(frames, seed=frames))
    (folder / "train.txt").write_text("a\nb\nc\n")
    return folder


@pytest.fixture
def extractor():
    size = HUMANML3D.feature_size
    return MotionFeatureExtractor(HUMANML3D, mean=np.full(size, 0.5), std=np.full(size, 2.0))


@pytest.fixture
def vq():
    torch.manual_seed(0)
    return MotionVQModel(MotionVQConfig(hidden_size=16, codebook_size=32)).eval()


# --------------------------------------------------------------------------------------------------------------- rows


def test_rows_are_the_clips(folder):
    dataset = load_motion_dataset(folder, "train")
    assert dataset.column_names == ["id", "features", "captions", "tokens", "sources"]
    assert list(dataset["id"]) == ["a", "b", "c"]
    row = dataset[1]
    assert row["features"].dtype == np.float32
    np.testing.assert_array_equal(row["features"], noise(90, seed=90))
    assert row["captions"] == ["a person waves"]
    assert row["tokens"] == ["a/DET person/NOUN wave/VERB"]


def test_lengths_outside_the_limits_are_dropped_and_counted(folder, caplog):
    with caplog.at_level("INFO", logger="tm2t_hf.data"):
        dataset = load_motion_dataset(folder, "train", min_frames=40, max_frames=40)
    assert list(dataset["id"]) == ["a"]
    assert "3 clips, 1 rows, 2 dropped for their length (limits 40 to 40 frames)" in caplog.text
    with pytest.raises(ValueError, match="No clip of .*train.txt is 91 to 199 frames long"):
        load_motion_dataset(folder, "train", min_frames=91)


def test_tagged_captions_are_rows_of_their_own_and_leave_the_clip_whole(tmp_path):
    features = noise(100)
    text = (
        "a person walks and sits#a/DET#0.0#0.0\n"
        "a person walks#b/DET#0.5#2.0\n"
        "someone goes#c/DET#0.5#2.0\n"
        "a person sits#d/DET#2.0#9.9\n"
        "too short#e/DET#2.0#2.1\n"
        "whole clip too#f/DET#nan#nan\n"
    )
    write_clip(tmp_path, "a", features, text)
    (tmp_path / "train.txt").write_text("a")
    dataset = load_motion_dataset(tmp_path, "train")
    rows = {row["id"]: row for row in dataset}
    assert list(rows) == ["a", "a@0.5-2", "a@2-9.9"]
    np.testing.assert_array_equal(rows["a"]["features"], features)
    assert rows["a"]["captions"] == ["a person walks and sits", "whole clip too"]
    np.testing.assert_array_equal(rows["a@0.5-2"]["features"], features[10:40])
    assert rows["a@0.5-2"]["captions"] == ["a person walks", "someone goes"]
    assert rows["a@0.5-2"]["tokens"] == ["b/DET", "c/DET"]
    np.testing.assert_array_equal(rows["a@2-9.9"]["features"], features[40:])


def test_skeleton_gives_the_feature_size_and_the_frame_rate(tmp_path):
    write_clip(tmp_path, "a", noise(60, KIT.feature_size), "walk#walk/VERB#0.0#2.0\n")
    (tmp_path / "test.txt").write_text("a")
    dataset = load_motion_dataset(tmp_path, "test", skeleton=KIT)
    assert dataset[0]["features"].shape == (25, 251)  # 12.5 frames per second
    with pytest.raises(ValueError, match=r"a.npy has shape \(60, 251\), but humanml3d needs \(frames, 263\)"):
        load_motion_dataset(tmp_path, "test")


def test_cache_follows_the_folder(folder, monkeypatch):
    first = load_motion_dataset(folder, "train")
    with monkeypatch.context() as context:  # unchanged: nothing is generated again
        context.setattr("tm2t_hf.data.dataset.lines_of_clip", lambda *arguments: pytest.fail("made again"))
        context.setattr("tm2t_hf.data.dataset._checked_features", lambda *arguments: pytest.fail("made again"))
        assert load_motion_dataset(folder, "train")._fingerprint == first._fingerprint
    write_clip(folder, "a", noise(44), "someone bows#someone/PRON bow/VERB#0#0\n")
    row = load_motion_dataset(folder, "train")[0]
    np.testing.assert_array_equal(row["features"], noise(44))
    assert row["captions"] == ["someone bows"]


# ---------------------------------------------------------------------------------------------------------- mirroring


@pytest.mark.parametrize(
    ("caption", "mirrored"),
    [
        ("a person waves the left hand", "a person waves the right hand"),
        ("Left, then RIGHT; leftward lefthand left-handed", "Right, then LEFT; rightward righthand right-handed"),
        ("turns clockwise", "turns counterclockwise"),
        ("Counterclockwise, counter-clockwise, anticlockwise", "Clockwise, clockwise, clockwise"),
        ("counter clockwise", "clockwise"),
        ("raise/VERB left/ADJ leg/NOUN", "raise/VERB right/ADJ leg/NOUN"),
        ("he brightly stands upright on the copyright", "he brightly stands upright on the copyright"),
        ("the person's leftmost and right's", "the person's rightmost and left's"),
    ],
)
def test_mirror_caption(caption, mirrored):
    assert mirror_caption(caption) == mirrored


WORDS = [
    "left",
    "Right",
    "LEFT",
    "rightwards",
    "left-handed",
    "righthand",
    "clockwise",
    "counterclockwise",
    "bright",
    "a",
]


@given(st.lists(st.sampled_from(WORDS)).map(" ".join))
def test_mirror_caption_twice_gives_it_back(caption):
    assert mirror_caption(mirror_caption(caption)) == caption
    assert (mirror_caption(caption) == caption) == all(word in ("bright", "a") for word in caption.split())


def test_mirror_motion_is_the_motion_of_the_mirrored_joints():
    features = real_motion("wave-left")
    mirrored = varied_motion(features, HUMANML3D, mirror=True)
    joints = features_to_joints(features, HUMANML3D.num_joints)
    wanted = mirror_joints(joints, HUMANML3D)[:-1]
    # The mirrored features stand at the origin again, so compare what does not depend on the place.
    found = features_to_joints(mirrored, HUMANML3D.num_joints)
    np.testing.assert_allclose(found - found[:, :1], wanted - wanted[:, :1], atol=1e-5)
    left, right = (HUMANML3D.joint_names.index(f"{side}_wrist") for side in ("left", "right"))
    assert found[:, right, 1].max() > 1.5 > 1.1 > found[:, left, 1].max()
    twice = varied_motion(mirrored, HUMANML3D, mirror=True)
    np.testing.assert_allclose(twice, features[: len(twice)], atol=2e-4)


def test_mirrored_rows_only_where_asked(tmp_path):
    features = real_motion("wave-left")
    write_clip(tmp_path, "a", features, "waves the left hand#wave/VERB left/ADJ#0.0#0.0\nup left#up/ADV#0.0#1.5\n")
    (tmp_path / "train.txt").write_text("a")
    assert list(load_motion_dataset(tmp_path, "train")["id"]) == ["a", "a@0-1.5"]
    dataset = load_motion_dataset(tmp_path, "train", mirror=True)
    assert list(dataset["id"]) == ["a", "a@0-1.5", "Ma", "Ma@0-1.5"]
    np.testing.assert_array_equal(dataset[0]["features"], features)
    assert dataset[2]["captions"] == ["waves the right hand"]
    assert dataset[2]["tokens"] == ["wave/VERB right/ADJ"]
    np.testing.assert_array_equal(dataset[2]["features"], varied_motion(features, HUMANML3D, mirror=True))
    assert dataset[3]["features"].shape == (29, 263)


def test_clips_in_sub_folders_and_with_spaces(tmp_path):
    for clip in ("s1/walk", "s1/Mwalk", "s2/long jump"):
        (tmp_path / "new_joint_vecs" / clip).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "texts" / clip).parent.mkdir(parents=True, exist_ok=True)
        write_clip(tmp_path, clip, real_motion("bow"))
    (tmp_path / "train.txt").write_text("s1/walk\n s2/long jump \n\n")
    assert read_split(tmp_path, "train") == ["s1/walk", "s2/long jump"]
    dataset = load_motion_dataset(tmp_path, "train", mirror=True, repeats={"s2/*": 2})
    assert list(dataset["id"]) == ["s1/walk", "s2/long jump", "s1/Mwalk", "s2/Mlong jump"] + [
        "s2/long jump#2",
        "s2/Mlong jump#2",
    ]
    (tmp_path / "train.txt").write_text("s1/walk\ns1/Mwalk\n")
    assert list(load_motion_dataset(tmp_path, "train", mirror=True)["id"]) == ["s1/walk", "s1/Mwalk"]


def test_clips_with_their_mirror_image_in_the_split_are_not_mirrored_again(tmp_path):
    for clip in ("a", "Ma", "b"):
        write_clip(tmp_path, clip, real_motion("bow"))
    (tmp_path / "train.txt").write_text("a\nMa\nb\n")
    assert list(load_motion_dataset(tmp_path, "train", mirror=True)["id"]) == ["a", "Ma", "b", "Mb"]


# -------------------------------------------------------------------------------------------------------------- crops


@given(st.integers(1, 300), st.integers(1, 40), st.sampled_from([1, 2, 4, 8]), st.integers(0, 99))
def test_windows_are_whole_tokens_inside_the_clip(frames, tokens, unit, seed):
    rng = np.random.default_rng(seed)
    if frames < unit:
        with pytest.raises(ValueError, match="shorter than one motion token"):
            crop_window(frames, tokens * unit, unit, rng)
        return
    crop = crop_window(frames, tokens * unit, unit, rng)
    assert 0 <= crop.start <= crop.stop <= frames
    assert crop.stop - crop.start == min(tokens, frames // unit) * unit
    assert crop_window(frames, tokens * unit, unit, None).start == 0


@given(st.integers(8, 300), st.sampled_from([2, 4, 8]), st.integers(0, 99))
def test_crops_are_whole_tokens_at_most_one_short(frames, unit, seed):
    crop = crop_tokens(frames, unit, np.random.default_rng(seed))
    assert 0 <= crop.start <= crop.stop <= frames
    assert crop.stop - crop.start in {frames // unit * unit, max(frames // unit - 1, 1) * unit}


def test_one_crop_in_three_is_one_token_shorter_and_starts_vary():
    rng = np.random.default_rng(0)
    crops = [crop_tokens(83, 4, rng) for _ in range(3000)]
    lengths = np.array([crop.stop - crop.start for crop in crops])
    assert set(lengths) == {76, 80}
    assert abs((lengths == 76).mean() - 1 / 3) < 0.03
    assert {crop.start for crop in crops if crop.stop - crop.start == 80} == {0, 1, 2, 3}


def test_random_draws_depend_on_seed_epoch_and_row_alone():
    def draw(*key):
        return row_generator(*key).integers(2**60)

    assert draw(1, 2, "a") == draw(1, 2, "a")
    assert len({draw(1, 2, "a"), draw(2, 2, "a"), draw(1, 3, "a"), draw(1, 2, "b")}) == 4


# ------------------------------------------------------------------------------------------------------------- tokens


def encode_alone(vq, extractor, features):
    whole = features[: len(features) // 4 * 4]
    values = torch.tensor((whole - extractor.mean) / extractor.std, dtype=torch.float32)[None]
    with torch.no_grad():
        return vq.encode(values).codes[0].tolist()


def test_codes_are_those_of_each_clip_alone(folder, vq, extractor):
    dataset = load_motion_dataset(folder, "train")
    vq.train()
    tokenized = tokenize_motions(dataset, vq, extractor, num_offsets=4)
    assert vq.training
    vq.eval()
    assert tokenized.column_names == ["id", "captions", "tokens", "sources", "codes"]
    for row, motion in zip(tokenized, dataset, strict=True):
        assert row["id"] == motion["id"]
        wanted = [encode_alone(vq, extractor, motion["features"][offset:]) for offset in range(4)]
        assert row["codes"] == wanted
        assert [len(codes) for codes in row["codes"]] == [(len(motion["features"]) - k) // 4 for k in range(4)]
    with pytest.raises(ValueError, match="num_offsets is 5, but has to be between 1 and unit_length 4"):
        tokenize_motions(dataset, vq, extractor, num_offsets=5)


def test_residuals_are_kept_with_their_codes(folder, vq, extractor):
    dataset = load_motion_dataset(folder, "train")
    plain = tokenize_motions(dataset, vq, extractor, num_offsets=2)
    tokenized = tokenize_motions(dataset, vq, extractor, num_offsets=2, residuals=True)
    assert tokenized.column_names == [*plain.column_names, "residuals"]
    for row, motion in zip(tokenized, dataset, strict=True):
        for offset, (codes, residuals) in enumerate(zip(row["codes"], row["residuals"], strict=True)):
            length = (len(motion["features"]) - offset) // 4 * 4
            values = torch.from_numpy(extractor.normalize(motion["features"][offset : offset + length]))[None]
            with torch.no_grad():
                encoded = vq.encode(values, output_residuals=True)
            assert codes == encoded.codes[0].tolist()
            found = np.frombuffer(residuals, np.float16).reshape(len(codes), -1)
            np.testing.assert_allclose(found, encoded.residuals[0], atol=2e-3, rtol=2e-3)
    assert tokenize_motions(dataset, vq, extractor, num_offsets=2).column_names == plain.column_names


def test_codes_are_computed_once_per_data_and_vq(folder, vq, extractor, monkeypatch):
    dataset = load_motion_dataset(folder, "train")
    calls = []
    encode = vq.encode
    monkeypatch.setattr(vq, "encode", lambda *args, **kwargs: calls.append(1) or encode(*args, **kwargs))
    first = tokenize_motions(dataset, vq, extractor)
    assert len(calls) == 1
    again = tokenize_motions(load_motion_dataset(folder, "train"), vq, extractor)
    assert len(calls) == 1
    assert list(again) == list(first)
    with torch.no_grad():
        next(vq.parameters()).add_(0.5)
    tokenize_motions(dataset, vq, extractor)
    assert len(calls) == 2
    extractor.mean = [value + 1 for value in extractor.mean]
    tokenize_motions(dataset, vq, extractor)
    assert len(calls) == 3


# ---------------------------------------------------------------------------------------------------------- collators


def test_vq_batches_are_normalized_windows(folder, extractor):
    dataset = load_motion_dataset(folder, "train")
    rows = [dataset[index] for index in range(3)]
    collator = VQCollator(extractor, window=64, seed=5)
    batch = collator(rows)
    assert batch["motion_values"].shape == (3, 64, 263)
    assert batch["motion_values"].dtype == torch.float32
    assert batch["attention_mask"].sum(1).tolist() == [40, 64, 20]  # 21 frames are five whole tokens
    assert batch["motion_values"][0, 40:].abs().max() == 0
    normalized = (rows[1]["features"] - 0.5) / 2
    starts = set()
    for epoch in range(20):
        collator.epoch = epoch
        window = collator(rows)["motion_values"][1].numpy()
        start = next(k for k in range(27) if np.allclose(normalized[k], window[0], atol=1e-6))
        np.testing.assert_allclose(window, normalized[start : start + 64], atol=1e-6)
        starts.add(start)
    assert len(starts) > 5
    # The same row in the same epoch is cropped alike, whatever else is in the batch.
    torch.testing.assert_close(collator(rows[1:2])["motion_values"][0], collator(rows)["motion_values"][1])


def test_vq_validation_batches_are_whole_clips(folder, extractor):
    dataset = load_motion_dataset(folder, "train")
    batch = VQCollator(extractor, window=None, random=False)([dataset[0], dataset[2]])
    assert batch["motion_values"].shape == (2, 40, 263)
    assert batch["attention_mask"].sum(1).tolist() == [40, 20]
    np.testing.assert_allclose(batch["motion_values"][1, :20], (dataset[2]["features"][:20] - 0.5) / 2, atol=1e-6)


@pytest.fixture
def translation_rows():
    captions = ["a person waves", "someone waves the left hand", "a person raises a hand"]
    return [
        {"id": "a", "captions": captions, "codes": [[1, 2, 3, 4], [5, 6, 7]]},
        {"id": "b", "captions": ["a person bows"], "codes": [[9, 9]]},
    ]


def test_translation_batches(translation_rows):
    tokenizer = train_text_tokenizer([caption for row in translation_rows for caption in row["captions"]], 300)
    first, second = (tokenizer(row["captions"][0])["input_ids"] for row in translation_rows)
    to_text = TranslationCollator(tokenizer, MotionTokenizer(10), direction="m2t", random=False)(translation_rows)
    assert to_text["input_ids"].tolist() == [[10, 1, 2, 3, 4, 11], [10, 9, 9, 11, 12, 12]]
    assert to_text["attention_mask"].tolist() == [[1] * 6, [1] * 4 + [0] * 2]
    length = max(len(first), len(second)) - 1
    assert to_text["labels"].tolist() == [ids[1:] + [-100] * (length + 1 - len(ids)) for ids in (first, second)]
    assert to_text["labels"][0, len(first) - 2] == tokenizer.eos_token_id

    to_motion = TranslationCollator(tokenizer, MotionTokenizer(10), direction="t2m", random=False)(translation_rows)
    assert to_motion["labels"].tolist() == [[1, 2, 3, 4, 11], [9, 9, 11, -100, -100]]
    assert to_motion["input_ids"][1, : len(second)].tolist() == second
    assert to_motion["attention_mask"].sum(1).tolist() == [len(first), len(second)]

    cut = TranslationCollator(tokenizer, MotionTokenizer(10), "t2m", random=False, max_text_length=5)(translation_rows)
    assert cut["input_ids"].shape[1] == 5
    assert cut["input_ids"][0, -1] == tokenizer.eos_token_id


def test_translation_draws_captions_sequences_and_ends(translation_rows):
    tokenizer = train_text_tokenizer([caption for row in translation_rows for caption in row["captions"]], 300)
    collator = TranslationCollator(tokenizer, MotionTokenizer(10), direction="m2t", seed=1)
    sources, targets = [], []
    for epoch in range(600):
        collator.epoch = epoch
        batch = collator(translation_rows[:1])
        sources.append(tuple(batch["input_ids"][0].tolist()[1:-1]))
        targets.append(tuple(batch["labels"][0].tolist()))
    assert set(sources) == {(1, 2, 3, 4), (1, 2, 3), (2, 3, 4), (5, 6, 7), (5, 6), (6, 7)}
    assert len(set(targets)) == 3
    whole = np.mean([source in {(1, 2, 3, 4), (5, 6, 7)} for source in sources])
    assert abs(whole - 2 / 3) < 0.06
    again = collator(translation_rows)
    assert again["labels"].tolist() == collator(translation_rows)["labels"].tolist()


def test_residuals_are_drawn_with_their_codes(translation_rows):
    tokenizer = train_text_tokenizer(["a person waves"], 280)
    for row in translation_rows:  # each residual tells its code and the number of the sequence
        sequences = [[(code, number) for code in codes] for number, codes in enumerate(row["codes"])]
        row["residuals"] = [np.array(pairs, np.float16).tobytes() for pairs in sequences]
    collator = TranslationCollator(tokenizer, MotionTokenizer(10), direction="m2t", shortest_crop=0.3)
    numbers = set()
    for epoch in range(40):
        collator.epoch = epoch
        batch = collator(translation_rows)
        ids, residuals = batch["input_ids"], batch["residuals"]
        assert residuals.shape == (*ids.shape, 2) and residuals.dtype == torch.float32
        assert torch.equal(residuals[..., 0], torch.where(ids < 10, ids, 0).float())
        numbers |= set(residuals[0, ids[0] < 10, 1].tolist())
        del batch["residuals"]
    assert numbers == {0, 1}
    rows = [{name: value for name, value in row.items() if name != "residuals"} for row in translation_rows]
    for pair in ((translation_rows[0], rows[1]), (rows[1], translation_rows[0])):  # the other has none
        mixed, known = collator(list(pair)), [row["id"] for row in pair].index("a")
        assert torch.equal(mixed["residuals"][known, :, 0], residuals[0, : mixed["residuals"].shape[1], 0])
        assert not mixed["residuals"][1 - known].any()
    same = collator(rows)
    assert same.keys() == batch.keys() and all(torch.equal(same[name], batch[name]) for name in same)
    whole = TranslationCollator(tokenizer, MotionTokenizer(10), direction="m2t", random=False)(translation_rows)
    assert whole["residuals"][..., 0].tolist() == [[0, 1, 2, 3, 4, 0], [0, 9, 9, 0, 0, 0]]


def test_further_texts(folder):
    (folder / "texts_people").mkdir()
    (folder / "texts_people" / "b.txt").write_text("he turns left\nhe bows##1.0#3.0\n")
    dataset = load_motion_dataset(folder, "train", mirror=True, further_texts=["texts_people"])
    rows = {row["id"]: row for row in dataset}
    assert rows["a"]["captions"] == ["a person waves"] and rows["a"]["sources"] == ["texts"]
    assert rows["b"]["captions"] == ["a person waves", "he turns left"]
    assert rows["b"]["sources"] == rows["Mb"]["sources"] == ["texts", "texts_people"]
    assert rows["Mb"]["captions"] == ["a person waves", "he turns right"]
    assert rows["b@1-3"]["sources"] == ["texts_people"]
    assert len(load_motion_dataset(folder, "train", mirror=True)) == 6
    with pytest.raises(FileNotFoundError, match="further_texts names texts_peopel, but .* has no such folder"):
        load_motion_dataset(folder, "train", further_texts=["texts_peopel"])


def test_folders_of_captions_are_drawn_evenly():
    row = {"captions": ["own", *(f"people {n}" for n in range(50))], "sources": ["texts", *["texts_people"] * 50]}
    for even, share in ((True, 1 / 2), (False, 1 / 51)):
        drawn = Counter(draw_caption(row, np.random.default_rng(seed), even) for seed in range(1000))
        assert abs(drawn["own"] / 1000 - share) < 0.05
        assert len(drawn) == 51
    one = {"captions": ["own", "two"], "sources": ["texts", "texts"]}
    draws = [[draw_caption(one, np.random.default_rng(seed), even) for seed in range(20)] for even in (True, False)]
    assert draws[0] == draws[1]


def test_captions_are_encoded_once(translation_rows):
    tokenizer = train_text_tokenizer([caption for row in translation_rows for caption in row["captions"]], 300)
    other = train_text_tokenizer(["a person"], 280)
    encoded = []

    class Encoder:
        device = "cpu"

        def get_text_features(self, input_ids, attention_mask):
            encoded.append(len(input_ids))
            return (input_ids * attention_mask).unsqueeze(-1).float().expand(-1, -1, 3)

    collator = TranslationCollator(
        tokenizer, MotionTokenizer(10), "t2m", random=False,
        text_features=CaptionFeatures(Encoder(), tokenizer, batch_size=1), label_tokenizer=other,
    )  # fmt: skip
    batch = collator(translation_rows)
    collator(translation_rows)
    assert encoded == [1, 1]
    captions = [row["captions"][0] for row in translation_rows]
    ids = tokenizer(captions, padding=True, return_tensors="pt")
    assert batch.keys() == {"inputs_embeds", "attention_mask", "labels", "caption_labels"}
    assert torch.equal(batch["attention_mask"], ids["attention_mask"])
    assert torch.equal(batch["inputs_embeds"][..., 2], (ids["input_ids"] * ids["attention_mask"]).float())
    expected = [ids[1:] for ids in other(captions)["input_ids"]]
    assert [[i for i in row if i != -100] for row in batch["caption_labels"].tolist()] == expected


def test_unknown_direction():
    with pytest.raises(ValueError, match="direction is 't2t', but has to be 'm2t' or 't2m'"):
        TranslationCollator(None, None, "t2t")


# --------------------------------------------------------------------------------------------------------- bad input


def test_caption_lines(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a # b#a/DET#0.0#0.0\n\nsits#sit/VERB#1.5#nan\na person walks\n")
    assert read_captions(path) == [
        CaptionLine("a # b", "a/DET", 0.0, 0.0),
        CaptionLine("sits", "sit/VERB", 1.5, 0.0),
        CaptionLine("a person walks", "", 0.0, 0.0),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The clip a has no caption: .*a.txt is empty"),
        ("a person walks#\n", "line 1: expected 'caption#lemma/POS ...#start#end', got 'a person walks#'"),
        ("ok#ok/ADJ#0.0#0.0\nx#x/X#now#0.0\n", "line 2: expected"),
        (" #a/DET#0.0#0.0\n", "line 1: the caption '' has no words"),
        ("...#a/DET#0.0#0.0\n", "line 1: the caption '...' has no words"),
        ("x#x/X#0.0#inf\n", "line 1: start and end are seconds, not infinite"),
    ],
)
def test_bad_text(folder, text, message):
    (folder / "texts" / "a.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_motion_dataset(folder, "train")


def test_bad_folder(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no data folder"):
        load_motion_dataset(tmp_path / "nowhere", "train")
    with pytest.raises(FileNotFoundError, match=r"has no split file val.txt \(split files there: train.txt\)"):
        load_motion_dataset(folder, "val")
    (folder / "train.txt").write_text("")
    with pytest.raises(ValueError, match="train.txt names no clip"):
        read_split(folder, "train")
    (folder / "train.txt").write_text("a\nb\na\n")
    with pytest.raises(ValueError, match="names the clip a more than once"):
        read_split(folder, "train")


def test_bad_clips(folder):
    np.save(folder / "new_joint_vecs" / "b.npy", np.where(noise(90) > 2.5, np.nan, noise(90)))
    with pytest.raises(ValueError, match="b.npy holds NaN or infinite features"):
        load_motion_dataset(folder, "train")
    (folder / "new_joint_vecs" / "b.npy").unlink()
    with pytest.raises(FileNotFoundError, match="The clip b has no features: .*tm2t-hf prepare"):
        load_motion_dataset(folder, "train")
    write_clip(folder, "b", noise(50))
    (folder / "texts" / "b.txt").unlink()
    with pytest.raises(FileNotFoundError, match="The clip b has no text: .*b.txt is missing"):
        load_motion_dataset(folder, "train")


def test_statistics(tmp_path):
    np.save(tmp_path / "Mean.npy", np.zeros(263))
    with pytest.raises(FileNotFoundError, match="Std.npy is missing; `tm2t-hf prepare` makes it"):
        load_statistics(tmp_path)
    np.save(tmp_path / "Std.npy", np.ones(263))
    mean, std = load_statistics(tmp_path)
    assert mean.dtype == std.dtype == np.float32
    np.save(tmp_path / "Std.npy", np.zeros(263))
    with pytest.raises(ValueError, match="Std.npy holds a deviation of 0"):
        load_statistics(tmp_path)
    with pytest.raises(ValueError, match=r"Mean.npy has shape \(263,\), but the kit skeleton has 251 features"):
        load_statistics(tmp_path, KIT)


@pytest.mark.parametrize("split", ["../train", "/etc/passwd", "..", "", "a\\b"])
def test_split_names_stay_in_the_folder(folder, split):
    with pytest.raises(ValueError, match="has to be the name of a split file"):
        read_split(folder, split)


@pytest.mark.parametrize("clip", ["../a", "/etc/passwd", "s1/../../a", "s1//a", "s1\\a"])
def test_ids_stay_in_the_folder(folder, clip):
    (folder / "train.txt").write_text(f"a\n{clip}\n")
    with pytest.raises(ValueError, match="ids are names below new_joints, such as s1/walk"):
        read_split(folder, "train")


def test_duplicate_ids_are_found_in_linear_time(folder):
    (folder / "train.txt").write_text("\n".join([*map(str, range(200_000)), "199999"]))
    start = time.process_time()  # whatever else runs on the machine
    with pytest.raises(ValueError, match="names the clip 199999 more than once"):
        read_split(folder, "train")
    assert time.process_time() - start < 5  # a minute in quadratic time


def test_byte_order_marks_are_not_trained_on(folder):
    (folder / "texts" / "a.txt").write_text(CAPTION, encoding="utf-8-sig")
    (folder / "train.txt").write_text("a\r\nb\r\n", encoding="utf-8-sig")
    dataset = load_motion_dataset(folder, "train")
    assert list(dataset["id"]) == ["a", "b"]
    assert dataset[0]["captions"] == ["a person waves"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_other_encodings_name_the_file(folder, encoding):
    for path in (folder / "texts" / "a.txt", folder / "train.txt"):
        before = path.read_bytes()
        path.write_bytes("é person waves#x/X#0.0#0.0\n".encode(encoding))
        with pytest.raises(ValueError, match=f"{path} is not UTF-8 text; save it in the encoding UTF-8"):
            load_motion_dataset(folder, "train")
        path.write_bytes(before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_frames": 0}, "min_frames is 0"),
        ({"min_frames": 50, "max_frames": 40}, "min_frames is 50 and max_frames 40"),
        ({"speeds": (0.0,)}, "speeds must be distinct and from 0.5 to 2"),
        ({"speeds": ()}, "speeds must be distinct and from 0.5 to 2"),
        ({"speeds": (1.0, 0.9, 1)}, "speeds must be distinct"),
        ({"repeats": {"*": 0}}, "repeats must give whole numbers"),
    ],
)
def test_arguments_are_validated_before_the_folder_is_read(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        load_motion_dataset(tmp_path / "nowhere", "train", **arguments)


# -------------------------------------------------------------------------------------------------------------- cache


@pytest.mark.parametrize(
    "damage", [lambda path: path.write_bytes(path.read_bytes()[:500]), lambda path: path.unlink()]
)
@pytest.mark.parametrize("pattern", ["*.arrow", "*.json"])
def test_a_broken_cache_is_made_again(folder, damage, pattern, caplog):
    whole = list(load_motion_dataset(folder, "train")["features"])
    broken = list((folder.parent / "cache" / "tm2t_hf").rglob(pattern))
    assert broken
    for path in broken:
        damage(path)
    again = list(load_motion_dataset(folder, "train")["features"])
    assert all(map(np.array_equal, again, whole))


def test_other_bodies_share_the_index(folder, caplog):
    for copies in (0, 1, 0):
        bodies = BodyVariation(copies, jitter=0.01 * copies)
        assert len(load_motion_dataset(folder, "train", bodies=bodies)) == 3 * (1 + copies)
    assert "is broken" not in caplog.text


def test_a_broken_cache_of_codes_is_made_again(folder, vq, extractor, caplog):
    dataset = load_motion_dataset(folder, "train")
    whole = list(tokenize_motions(dataset, vq, extractor))
    (path,) = (folder.parent / "cache").rglob("codes-*.arrow")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with caplog.at_level("WARNING", logger="tm2t_hf.data"):
        assert list(tokenize_motions(dataset, vq, extractor)) == whole
    assert "is broken" in caplog.text


def test_what_killed_runs_left_in_the_cache_is_removed(folder, vq, extractor):
    dataset = load_motion_dataset(folder, "train")
    (arrow,) = (folder.parent / "cache").rglob("*.arrow")
    old, new = arrow.with_name("tmpabcdefgh"), arrow.with_name("tmphijklmno")
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    tokenize_motions(dataset, vq, extractor)
    assert not old.exists() and new.exists()


def test_real_folder(data_dir, tmp_path):
    """The real clips, where they are: all of the test split within the default limits, three captions each."""
    folder = tmp_path / "bandai"
    (folder / "new_joint_vecs").mkdir(parents=True)
    source = data_dir / "bandai_namco"
    (folder / "texts").symlink_to(source / "texts")
    (folder / "test.txt").symlink_to(source / "test.txt")
    for clip in read_split(source, "test"):
        joints = np.load(source / "new_joints" / f"{clip}.npy")
        np.save(folder / "new_joint_vecs" / f"{clip}.npy", joints_to_features(joints, HUMANML3D))
    dataset = load_motion_dataset(folder, "test")
    assert len(dataset) == 258
    assert {len(captions) for captions in dataset["captions"]} == {3}


def test_random_crops_of_translations():
    tokenizer = train_text_tokenizer(["a person walks"], 300)
    codes = list(range(20))
    rows = [{"id": str(i), "captions": ["a person walks"], "tokens": [""], "codes": [codes]} for i in range(400)]
    collator = TranslationCollator(tokenizer, MotionTokenizer(20), direction="m2t", shortest_crop=0.5)
    batch = collator(rows)
    crops = [
        ids[mask == 1][1:-1].tolist() for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
    ]
    assert all(crop == codes[crop[0] : crop[-1] + 1] for crop in crops), "stretches in their order"
    lengths = np.array([len(crop) for crop in crops])
    assert lengths.min() == 10 and 0.4 < np.mean(lengths >= 19) < 0.7
    assert {crop[0] for crop in crops if len(crop) <= 12} >= set(range(9)), "from anywhere"
    whole = TranslationCollator(tokenizer, MotionTokenizer(20), direction="m2t", shortest_crop=0.5, random=False)(rows)
    assert whole["attention_mask"].sum(1).unique().tolist() == [22]
    with pytest.raises(ValueError, match="shortest_crop is 0, but has to be above 0 and at most 1"):
        TranslationCollator(tokenizer, MotionTokenizer(20), direction="m2t", shortest_crop=0)


def test_speeds_add_rows_of_other_lengths(folder):
    (plain, *_), varied = (
        load_motion_dataset(folder, "train", min_frames=4),
        load_motion_dataset(folder, "train", min_frames=4, speeds=(1.0, 0.5)),
    )
    slow = varied[len(varied) // 2]
    assert varied[0]["id"] == plain["id"] and slow["id"] == f"{plain['id']}*0.5"
    assert slow["captions"] == plain["captions"]
    joints, slow_joints = (features_to_joints(row["features"], 22) for row in (plain, slow))
    # half as fast: every second frame is one of the motion as recorded
    assert len(slow_joints) == 2 * (len(joints) - 1)
    heights, slow_heights = joints[:-1, 0, 1], slow_joints[0::2, 0, 1]
    np.testing.assert_allclose(slow_heights - slow_heights[0], heights - heights[0], atol=1e-4)
    with pytest.raises(ValueError, match="speeds must be distinct and from 0.5 to 2"):
        load_motion_dataset(folder, "train", speeds=(0.0,))


@pytest.mark.parametrize("store_variants", [False, True])
def test_lengths_are_known_without_reading_motions(folder, vq, extractor, store_variants):
    variants = {"mirror": True, "speeds": (1.0, 0.8), "store_variants": store_variants}
    dataset = load_motion_dataset(folder, "train", min_frames=4, **variants)
    lengths = motion_lengths(dataset)
    assert lengths == pytest.approx([len(row["features"]) for row in dataset], abs=2)
    codes = tokenize_motions(dataset, vq, extractor, num_offsets=2)
    assert motion_lengths(codes) == [len(sequences[0]) for sequences in codes["codes"]]


def test_repeats_count_clips_more_often(folder):
    plain = load_motion_dataset(folder, "train", min_frames=4, mirror=True)
    first = plain[0]["id"]
    more = load_motion_dataset(folder, "train", min_frames=4, mirror=True, repeats={first: 3, "*": 2})
    counts = Counter(row_id.split("#")[0] for row_id in more["id"])
    assert counts == {row_id: 3 if row_id in (first, f"M{first}") else 2 for row_id in plain["id"]}
    assert len(set(more["id"])) == len(more), "one id a row, for draws of its own"
    again = more[more["id"].index(f"M{first}#3")]
    mirrored = plain[plain["id"].index(f"M{first}")]
    np.testing.assert_array_equal(again["features"], mirrored["features"])
    assert again["captions"] == mirrored["captions"]


@pytest.mark.parametrize(
    ("repeats", "message"),
    [
        ({"*": 0}, "repeats must give whole numbers from 1 on"),
        ({"*": 1.5}, "repeats must give whole numbers from 1 on"),
        ({"*": 2, "nobody_*": 2}, r"repeats names nobody_\*, which no clip's id matches"),
    ],
)
def test_repeats_that_cannot_be_meant(folder, repeats, message):
    with pytest.raises(ValueError, match=message):
        load_motion_dataset(folder, "train", min_frames=4, repeats=repeats)
