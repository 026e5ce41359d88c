# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Labels, further captions, repeats and development sets of the shipped models' training folder."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import shipped.match_captions as match
from conftest import EXAMPLES
from shipped import build, repeats, write_captions
from shipped.labels import Label, label_of_clip, plain_styles, styles_by_action
from shipped.match_captions import confirmed, fits, sentences_with_meanings
from shipped.sentences import meanings

from tm2t_hf.data import mirror_caption, read_captions, read_split

DEV = EXAMPLES / "shipped" / "dev"
CLIPS = ("bn1_walk_normal_001", "bn1_walk_masculinity_001", "bn1_walk_old_001", "bn1_dash_sad_001", "deepmimic_kick",
         "bn1_punch_normal_001", "cmu_07_04_006456", "cmu_05_18_013590", "cmu_05_02_003354")  # fmt: skip


def label(action, style="normal", *details):
    return Label(action, style, frozenset(details))


def fitting(sentence, wanted, styles=("normal", "masculine", "elderly", "active")):
    return any(fits(meaning, wanted, set(styles)) for meaning in meanings(sentence))


def normalized(sentence):
    return " ".join(re.findall(r"[a-z0-9']+", sentence.lower()))


def dev(name):
    return json.loads((DEV / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train.txt").write_text("".join(f"{clip}\n" for clip in CLIPS))
    return tmp_path


def test_labels():
    assert label_of_clip("bn1_walk_old_001") == label("walk", "elderly")
    assert label_of_clip("bn1_punch_normal_001") == label("punch", "normal", "left", "often")
    assert label_of_clip("deepmimic_getup_faceup") == label("get-up", "normal", "face-up")
    assert label_of_clip("cmu_05_18_013590") == label("balance-on-one-leg")
    assert label_of_clip("cmu_05_18_008733") == label("ballet")
    assert label_of_clip("cmu_07_04_006456") == label("walk", "normal", "short", "slow")
    with pytest.raises(ValueError, match="'deepmimic_fly' is no Bandai-Namco clip id"):
        label_of_clip("deepmimic_fly")


def test_every_clip_has_a_label_and_captions_of_our_own(data_dir):
    clips = read_split(data_dir / "bandai_namco", "all")
    clips += [build.DEEPMIMIC + clip.removeprefix("dm_") for clip in read_split(data_dir / "deepmimic", "all")]
    rows = map(json.loads, (data_dir / "cmu" / "clips.jsonl").read_text().splitlines())
    cmu = [row for row in rows if row.get("captions")]
    train = [f"cmu_{row['file'][4:9]}_{row['humanml3d_id']}" for row in cmu if row["split"] == "train"]
    for row in cmu:
        label_of_clip(f"cmu_{row['file'][4:9]}_{row['humanml3d_id']}")
    labels = [label_of_clip(clip) for clip in clips + train]
    styles = styles_by_action(labels)
    for each in set(labels):
        captions = write_captions.captions_of(each, styles[each.action])
        assert len(captions) >= 8 and not any(set("[]{}#") & set(caption) for caption in captions)


def test_plain_sentences_belong_to_normal_clips():
    assert fitting("a person walks forward", label("walk"))
    assert not fitting("a person walks forward", label("walk", "elderly"))
    assert not fitting("a person walks forward sadly", label("walk"))
    assert fitting("a person sprints forward", label("dash", "sad"), {"sad", "proud"})  # no clip is normal
    assert not fitting("a person sprints forward at a normal pace", label("dash", "sad"), {"sad", "proud"})


def test_styles_of_sentences():
    assert fitting("a man walks forward", label("walk", "masculine"))
    assert not fitting("a man walks forward", label("walk"))
    assert fitting("a man does a cartwheel", label("cartwheel"), {"normal"})  # anybody
    assert not fitting("a woman does a cartwheel", label("cartwheel"), {"normal"})
    assert fitting("a person walks slowly", label("walk", "elderly"))
    assert fitting("a person walks slowly", label("walk", "normal", "short", "slow"))
    assert not fitting("a person walks at a normal pace", label("walk", "normal", "short", "slow"))
    assert fitting("a person runs fast", label("dash", "sad"), {"sad"})
    assert not fitting("a person jogs fast", label("dash", "sad"), {"sad"})


def test_details_of_sentences():
    right = label("punch", "normal", "right", "once")
    assert fitting("a person punches with their right hand", right)
    assert not fitting("a person punches with their left hand", right)
    assert not fitting("a person punches repeatedly", right)
    assert fitting("a person takes a few steps forward", label("walk", "normal", "short"))
    assert not fitting("a person takes a few steps forward", label("walk"))


def test_sentences_are_used_with_sides_exchanged():
    found = sentences_with_meanings(["a person waves  the left hand", "a person flies"])
    assert list(found) == ["a person waves the left hand", "a person waves the right hand"]


def test_the_text_encoder_refuses_what_lies_closer_to_another_action():
    at = {"bow down": [1, 0], "a person bows": [0.9, np.sqrt(0.19)], "a person is bowing": [0, 1], "kick": [0.1, 0.99]}

    def encoder(sentences):
        return np.array([at[sentence] for sentence in sentences], np.float32)

    known = {"bow": {"bow down"}, "kick": {"kick"}}
    found = {sentence: meanings(sentence) for sentence in ("a person bows", "a person is bowing")}
    assert list(confirmed(found, known, encoder)) == ["a person bows"]


def test_people_s_captions_are_written(folder, tmp_path, monkeypatch):
    class Encoder:
        def __init__(self, name):
            pass

        def __call__(self, sentences):
            return np.ones((len(sentences), 1), np.float32)

    monkeypatch.setattr(match, "SentenceEncoder", Encoder)
    captions = ["a person walks forward", "a person kicks with the left leg", "a man walks", "he swims"]
    pd.DataFrame({"captions": [captions[:3], captions[3:]]}).to_parquet(tmp_path / "captions.parquet")
    match.main(["--data_dir", str(folder), "--captions", str(tmp_path / "captions.parquet"), "--text_encoder", "none"])
    written = {path.stem: [line.caption for line in read_captions(path)] for path in folder.glob("texts_people/*")}
    assert written == {
        "bn1_walk_normal_001": ["a person walks forward"],
        "bn1_walk_masculinity_001": ["a man walks"],
        "cmu_07_04_006456": ["a person walks forward"],
        "deepmimic_kick": ["a person kicks with the right leg"],
    }


def test_our_own_captions_are_written(folder):
    write_captions.main(["--data_dir", str(folder)])
    captions = {path.stem: [line.caption for line in read_captions(path)] for path in folder.glob("texts_written/*")}
    assert sorted(captions) == sorted(CLIPS)
    assert any(mirror_caption(caption) != caption for caption in captions["bn1_punch_normal_001"])
    assert not any("right" in caption for caption in captions["bn1_punch_normal_001"])
    write_captions.main(["--data_dir", str(folder)])  # the same again
    assert captions["bn1_walk_old_001"] == [
        line.caption for line in read_captions(folder / "texts_written" / "bn1_walk_old_001.txt")
    ]


def test_phrases_agree_with_their_subject():
    assert write_captions.spoken("wash[es] {themselves} with {their} hand", "she") == "washes herself with her hand"
    assert write_captions.spoken("show[s] that {they} heard") == "shows that they heard"
    with pytest.raises(ValueError, match="paraphrases.json has nothing for fly and normal"):
        write_captions.captions_of(label("fly"), {"normal"})


def test_repeats(folder, capsys):
    actions = {f"bn1_walk_normal_{i:03d}": "walk" for i in range(100)}
    actions |= {f"bn1_bow_normal_{i:03d}": "bow" for i in range(10)} | {"deepmimic_roll": "roll"}
    assert repeats.repeats_of(actions, power=0.5, most=40) == {"bn1_bow_*": 3, "deepmimic_roll": 10}
    assert repeats.repeats_of(actions, power=0.0, most=40) == {"bn1_bow_*": 10, "deepmimic_roll": 40}
    assert repeats.repeats_of(actions, power=1.0, most=40) == {}
    sides = {f"bn1_walk-left_normal_{i}": "walk-left" for i in range(30)}
    sides |= {f"bn1_walk-right_normal_{i}": "walk-right" for i in range(10)}
    assert repeats.repeats_of(sides, power=0.0, most=40) == {}  # mirrored clips make them equal
    waiting = {"bn1_dance-short_normal_001_s0": "dance-short", "bn1_dance-short_normal_001_s1": "dance-short"}
    assert repeats.repeats_of(actions | waiting, power=0.0, most=9).keys() == {
        "bn1_bow_*", "bn1_dance-short_normal_001_s1", "deepmimic_roll"
    }  # fmt: skip
    repeats.main(["--data_dir", str(folder)])
    printed = capsys.readouterr()
    assert json.loads(printed.out)["deepmimic_kick"] >= 2 and "9 clips" in printed.err
    with pytest.raises(ValueError, match="power must be 0 to 1"):
        repeats.main(["--data_dir", str(folder), "--power", "2"])


def test_development_sets_are_large_and_distinct():
    people, unknown, asks = map(dev, ("people", "unknown", "asks"))
    assert len(people) >= 150 and len(unknown) >= 80
    sentences = [normalized(row["sentence"]) for row in people + unknown + asks]
    assert len(set(sentences)) == len(sentences)
    paraphrases = write_captions.paraphrases()
    actions = {key.split()[0].replace("{side}", side) for key in paraphrases["actions"] for side in ("left", "right")}
    assert {row["action"] for row in people + asks} <= actions
    assert {row["action"] for row in people} == actions  # all of them
    assert {row["style"] for row in people if "style" in row} <= set(paraphrases["styles"])
    clips = {row["clip"] for row in asks}
    assert len(asks) == 2 * len(clips) and all(label_of_clip(row["clip"]).action == row["action"] for row in asks)


def test_development_sets_are_not_trained_on(data_dir):
    labels = [label_of_clip(clip) for clip in read_split(data_dir / "bandai_namco", "train")]
    labels += [label_of_clip(row["clip"]) for row in dev("asks")]
    styles = styles_by_action(labels)
    trained = {caption for each in set(labels) for caption in write_captions.captions_of(each, styles[each.action])}
    trained |= set(pd.read_parquet(data_dir / "captions" / "humanml3d_train.parquet")["captions"].explode())
    for folder in ("bandai_namco", "deepmimic"):
        for path in (data_dir / folder / "texts").iterdir():
            trained |= {line.caption for line in read_captions(path)}
    trained = {normalized(each) for caption in trained for each in (caption, mirror_caption(caption))}
    for name in ("people", "unknown", "asks"):
        assert not {normalized(row["sentence"]) for row in dev(name)} & trained


def test_plain_styles():
    assert plain_styles({"normal", "sad"}) == {"normal"}
    assert plain_styles({"proud", "sad"}) == {"proud", "sad"}
