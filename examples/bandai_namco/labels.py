# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Action and style of the Bandai-Namco clips: read off a clip's id, and read off a caption by a rule.

The rule says what a caption claims, so a generated caption, or a motion generated from a caption, can be scored.
Labels that the captions word alike are one label here (`tired` and `exhausted`, `bye` and a wave of one hand, ...).
"""

import re

from tm2t_hf.data import mirror_caption

# Labels of the data set whose captions cannot be told apart -> the one label that stands for them.
ACTION_SYNONYMS = {"bye": "wave-one-hand", "byebye": "wave-both-hands"}
STYLE_SYNONYMS = {"old": "elderly", "tired": "exhausted", "masculinity": "masculine"}

NO_LIMB = "(?! (?:hand(?! side)|arm|elbow|leg|knee|foot))"  # "walks, swinging the left arm": no direction

# The first label all of whose patterns begin a word of the caption. Order matters: "raises the left hand and waves" is
# a wave, "responds to a call" no call, and "bows as if dancing" no dance.
ACTION_RULES = (
    ("respond", "respond|answer"),
    ("wave-both-hands", "wav", "both|two|arms|hands"),
    ("wave-left-hand", "wav", "left"),
    ("wave-right-hand", "wav", "right"),
    ("wave-one-hand", "wav"),
    ("raise-up-both-hands", "rais|lift", "both|two|arms|hands"),
    ("raise-up-left-hand", "rais|lift", "left"),
    ("raise-up-right-hand", "rais|lift", "right"),
    ("walk-turn-left", "turn", "left"),
    ("walk-turn-right", "turn", "right"),
    ("walk-back", "walk|step", "back(?! and forth)"),
    ("walk-left", "walk|step", f"left{NO_LIMB}"),
    ("walk-right", "walk|step", f"right{NO_LIMB}"),
    ("walk", "walk"),
    ("dash", "sprint|dash|fast"),
    ("run", "run|jog"),
    ("bow", "bow"),
    ("kick", "kick"),
    ("punch", "punch"),
    ("slash", "slash|sword"),
    ("guide", "guid|points? out|shows? the way"),
    ("call", "call|beckon|gestur"),
    ("dance-short", "danc"),
)
STYLE_RULES = (
    ("active", "energ|lively|active"),
    ("angry", "angr"),
    ("childish", "child"),
    ("chimpira", "thug|swagger"),
    ("feminine", "feminine|wom[ae]n"),
    ("giant", "giant|heavy"),
    ("happy", "happ"),
    ("masculine", "masculine|m[ae]n\\b"),
    ("musical", "rhythm|music"),
    ("not-confident", "without confidence|shy"),
    ("elderly", "old\\b|elder"),
    ("proud", "proud"),
    ("sad", "sad"),
    ("exhausted", "tired|exhaust|wear[iy]"),
    ("youthful", "young|youth"),
)
NORMAL = "normal"  # the style of a caption that names none


def action_and_style(caption: str) -> tuple[str | None, str]:
    """The action and the style that a caption names: `("walk-left", "angry")`.

    The action is None where the caption names none of the data set's; the style is `"normal"` where it names none.
    Plain and lemmatized captions give the same.
    """
    return _first_label(ACTION_RULES, caption), _first_label(STYLE_RULES, caption) or NORMAL


def action_and_style_of_clip(clip_id: str) -> tuple[str, str]:
    """The action and the style of a clip, from its id: `bn1_walk-left_angry_001` -> `("walk-left", "angry")`.

    A mirrored clip (`Mbn1_...`) has the mirrored action. Raises ValueError for other ids.
    """
    match = re.fullmatch(r"(M?)bn\d_([a-z-]+)_([a-z-]+)_\d+(?:_s\d+)?(?:@.*)?", clip_id)
    if match is None:
        raise ValueError(f"{clip_id!r} is no Bandai-Namco clip id such as 'bn1_walk-left_angry_001'.")
    mirrored, action, style = match.groups()
    action = ACTION_SYNONYMS.get(action, action)
    return mirror_action(action) if mirrored else action, STYLE_SYNONYMS.get(style, style)


def mirror_action(action: str) -> str:
    """The label of the mirrored motion: `walk-left` -> `walk-right`, `bow` -> `bow`."""
    return mirror_caption(action)


def _first_label(rules: tuple[tuple[str, ...], ...], caption: str) -> str | None:
    for label, *patterns in rules:
        if all(re.search(rf"\b(?:{pattern})", caption, re.IGNORECASE) for pattern in patterns):
            return label
    return None
