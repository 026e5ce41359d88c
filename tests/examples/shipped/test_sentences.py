# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What the grammar of people's sentences takes for which action, and what it must not take."""

import pytest
from shipped.sentences import FAST, PLAIN, SLOW, meanings, plain_words

SAID = [
    ("a person walks forward.", "walk", PLAIN, set()),
    ("The man is slowly walking foward in a straight line", "walk", SLOW, set()),
    ("someone briskly walks ahead", "walk", FAST, set()),
    ("a person walks forward at a normal pace", "walk", "normal", set()),
    ("a man walks forward at a normal pace", "walk", "masculine", set()),
    ("a person takes a few steps forward", "walk", PLAIN, {"short"}),
    ("a person walks forward confidently", "walk", "proud", set()),
    ("he jogs in a straight line", "jog", PLAIN, set()),
    ("a person walks forward and then turns to his left", "walk-turn-left", PLAIN, set()),
    ("walking and taking a right turn", "walk-turn-right", PLAIN, set()),
    ("a person walks diagonally to the left", "walk-left", PLAIN, set()),
    ("a woman walks backwards", "walk-back", "feminine", set()),
    ("a person raises their right arm and waves hello", "wave-right-hand", PLAIN, set()),
    ("a person waves with both hands", "wave-both-hands", PLAIN, set()),
    ("a person waves goodbye", "wave-one-hand", PLAIN, set()),
    ("an old person lifts her left arm above her head and lowers it", "raise-up-left-hand", "elderly", set()),
    ("a person angrily throws a punch with their right hand", "punch", "angry", {"right", "once"}),
    ("a man throws jabs with left hand", "punch", "masculine", {"left"}),
    ("a person does a karate kick", "kick", PLAIN, {"once"}),
    ("a person stands up from laying on their stomach", "get-up", PLAIN, {"face-down"}),
    ("a man walks around like a zombie", "zombie-walk", "masculine", set()),
]
SAYS_MORE = [
    "a person walks forward then stops",
    "a person walks forward and sits down",
    "a person walks in a circle",
    "a person walks forward, turns around and walks back",
    "a person walks up the stairs",
    "a person turns left and jumps",
    "a person jogs in place",
    "a person runs backwards",
    "a person raises their right hand to their face",
    "a person raises their left leg",
    "a person waves with their left hand, then bows",
    "a person waves three times",
    "a person kicks a ball",
    "a person kicks and punches",
    "a person takes one step back",
    "a person dances the waltz",
    "a person is bowling",
    "a person walks happily and sadly",
    "a person walks like a chicken",
    "hello",
    "",
]


@pytest.mark.parametrize(("sentence", "action", "style", "details"), SAID)
def test_sentences_that_say_one_action(sentence, action, style, details):
    assert (action, style, frozenset(details)) in [(m.action, m.style, m.details) for m in meanings(sentence)]


@pytest.mark.parametrize("sentence", SAYS_MORE)
def test_sentences_that_say_more_or_something_else(sentence):
    assert not meanings(sentence)


@pytest.mark.parametrize(("side", "other"), [("left", "right"), ("right", "left")])
def test_sides_are_told_apart(side, other):
    for sentence in ("waves the {} hand", "raises the {} arm", "walks and turns {}", "walks to the {}"):
        actions = {m.action for m in meanings(sentence.format(side))}
        assert actions and not actions & {m.action for m in meanings(sentence.format(other))}


def test_an_arm_of_no_side_is_either():
    assert {m.action for m in meanings("a person raises an arm")} == {"raise-up-left-hand", "raise-up-right-hand"}


def test_plain_words():
    assert plain_words("The man's WALKING, slowly - with his arms!") == "man's walk slowly with their arms"
    assert plain_words("throws a quick punch") == "throw single quick punch"
    assert plain_words("a man throws punches") == "man throw punch"
