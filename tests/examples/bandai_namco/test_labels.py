# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Action and style labels: literal captions, clip ids, and agreement on all real captions."""

import pytest
from bandai_namco.labels import (
    ACTION_RULES,
    STYLE_RULES,
    action_and_style,
    action_and_style_of_clip,
    mirror_action,
)

from tm2t_hf.data import read_captions

CAPTIONS = {
    "an angry person walks to the left side angrily": ("walk-left", "angry"),
    "a young person raises the left hand and waves in a youthful manner": ("wave-left-hand", "youthful"),
    "the person waves one hand to someone with heavy steps": ("wave-one-hand", "giant"),
    "someone waves goodbye with both hands tiredly": ("wave-both-hands", "exhausted"),
    "an elderly person lifts their right arm up slowly": ("raise-up-right-hand", "elderly"),
    "the person runs forward fast with a swagger": ("dash", "chimpira"),
    "someone runs forward as if dancing to music": ("run", "musical"),
    "the person dances around casually": ("dance-short", "normal"),
    "someone gestures with a hand to the side and shows the way proudly": ("guide", "proud"),
    "someone gestures to someone casually": ("call", "normal"),
    "a person responds to a call": ("respond", "normal"),
    "a woman walks forward then turns to the right": ("walk-turn-right", "feminine"),
    "a person walks and swings its arms back and forth": ("walk", "normal"),
    "a person walks forward, making circular motions with their right hand": ("walk", "normal"),
    "a person steps to the left hand side, holding the right arm": ("walk-left", "normal"),
    "A MAN KICKS": ("kick", "masculine"),
    "the person sits on a chair": (None, "normal"),
}


@pytest.mark.parametrize(("caption", "labels"), CAPTIONS.items())
def test_caption(caption, labels):
    assert action_and_style(caption) == labels


@pytest.mark.parametrize(
    ("clip", "labels"),
    [
        ("bn1_walk-left_angry_001", ("walk-left", "angry")),
        ("Mbn1_walk-left_angry_001", ("walk-right", "angry")),
        ("bn1_byebye_masculinity_001", ("wave-both-hands", "masculine")),
        ("bn1_bye_feminine_001_s0", ("wave-one-hand", "feminine")),
        ("Mbn2_raise-up-both-hands_exhausted_017", ("raise-up-both-hands", "exhausted")),
        ("bn1_walk_not-confident_001", ("walk", "not-confident")),
    ],
)
def test_clip(clip, labels):
    assert action_and_style_of_clip(clip) == labels


def test_other_ids_are_refused():
    with pytest.raises(ValueError, match="'000021' is no Bandai-Namco clip id"):
        action_and_style_of_clip("000021")


def test_mirrored_actions_are_actions():
    actions = {rule[0] for rule in ACTION_RULES}
    assert {mirror_action(action) for action in actions} == actions
    assert mirror_action("walk-turn-left") == "walk-turn-right"
    assert mirror_action("bow") == "bow"


def test_rule_agrees_with_the_clips_on_all_real_captions(data_dir):
    """The issue asks for 99 %; captions and clips agree on each of the 8,394."""
    texts = sorted((data_dir / "bandai_namco" / "texts").glob("*.txt"))
    captions = right = 0
    seen_actions, seen_styles = set(), set()
    for text in texts:
        labels = action_and_style_of_clip(text.stem)
        seen_actions.add(labels[0])
        seen_styles.add(labels[1])
        for line in read_captions(text):
            lemmas = " ".join(token.split("/")[0] for token in line.tokens.split())
            captions += 2
            right += (action_and_style(line.caption) == labels) + (action_and_style(lemmas) == labels)
    assert captions == 2 * 8394
    assert right / captions > 0.99
    assert seen_actions == {rule[0] for rule in ACTION_RULES}
    assert seen_styles == {rule[0] for rule in STYLE_RULES} | {"normal"}
