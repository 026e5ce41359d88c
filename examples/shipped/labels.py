# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What the clips of the shipped models' training folder show: action, style, and what else a sentence may say."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from bandai_namco.labels import NORMAL
from bandai_namco.labels import action_and_style_of_clip as label_of_bandai_namco_clip


class Label(NamedTuple):
    """What a clip shows.

    `action` and `style` are those of `bandai_namco.labels`, with further actions for the other data sets. `details`
    are what sentences about that action may say of some of its clips only: `left` and `right` (the arm or leg),
    `once` and `often`, `short` (a few steps).
    """

    action: str
    style: str = NORMAL
    details: frozenset[str] = frozenset()


def _label(action: str, *details: str, style: str = NORMAL) -> Label:
    return Label(action, style, frozenset(details))


# By the part of the id between "deepmimic_" or "cmu_" and the number in HumanML3D, where that is enough.
_DEEPMIMIC = {
    "backflip": _label("backflip"),
    "cartwheel": _label("cartwheel"),
    "crawl": _label("crawl"),
    "dance_a": _label("dance-short"),
    "dance_b": _label("dance-short"),
    "dance_spin": _label("dance-spin"),
    "getup_facedown": _label("get-up", "face-down"),
    "getup_faceup": _label("get-up", "face-up"),
    "jog": _label("run"),
    "jump": _label("jump", "forward"),
    "kick": _label("kick", "right", "once"),
    "punch": _label("punch", "right", "once"),
    "roll": _label("roll"),
    "run": _label("run"),
    "sideflip": _label("sideflip"),
    "spin": _label("jump-spin"),
    "spinkick": _label("spin-kick"),
    "stealthy_walk": _label("sneak"),
    "walk": _label("walk", "short"),
    "zombie_walk": _label("zombie-walk"),
    "sie_punch_forward00": _label("punch", "right", "once"),
    "sie_punch_forward01": _label("punch", "right", "once"),
    "sie_punch_forward02": _label("punch", "right", "often"),
    "sie_punch_left00": _label("punch", "right", "once"),
}
_CMU = {
    "01_01": _label("hop-forward-and-back"),
    "01_08": _label("climb"),
    "02_01": _label("walk", "short"),
    "02_04": _label("jump", "up"),
    "02_05": _label("punch", "right", "often"),
    "02_06": _label("pick-up-and-raise"),
    "02_08": _label("slash"),
    "02_10": _label("wash"),
    "05_18_013590": _label("balance-on-one-leg"),
    "06_03": _label("dribble"),
    "06_04": _label("dribble"),
    "06_05": _label("dribble"),
    "06_06": _label("dribble-back"),
    "06_08": _label("dribble-left"),
    "06_09": _label("dribble-left"),
    "06_10": _label("dribble"),
    "06_11": _label("dribble"),
    "06_12": _label("dribble"),
    "06_15": _label("dribble-and-shoot"),
    "07_04": _label("walk", "short", "slow"),
    "07_12": _label("walk", "short", "fast"),
}
_CMU_SUBJECTS = {"05": _label("ballet"), "07": _label("walk", "short")}  # for all other trials
_BANDAI_NAMCO_DETAILS = {
    "bn1_punch_normal_001": {"left", "often"},
    "bn1_punch_normal_002": {"right", "often"},
    "bn1_kick_normal_001_s0": {"right", "often"},
    "bn1_kick_normal_001_s1": {"right", "often"},
}
NOTHING_SHOWN = {"bn1_dance-short_normal_001_s0"}  # the dancer stands and waits


def label_of_clip(clip_id: str) -> Label:
    """What a clip shows, from its id.

    Raises:
        ValueError: the id is none of the training folder's.
    """
    source, _, name = clip_id.partition("_")
    if source == "deepmimic" and name in _DEEPMIMIC:
        return _DEEPMIMIC[name]
    if source == "cmu":
        for part in (name, name.rpartition("_")[0]):
            if part in _CMU:
                return _CMU[part]
        if name[:2] in _CMU_SUBJECTS:
            return _CMU_SUBJECTS[name[:2]]
    return Label(*label_of_bandai_namco_clip(clip_id), frozenset(_BANDAI_NAMCO_DETAILS.get(clip_id, ())))


def styles_by_action(labels: Iterable[Label]) -> dict[str, set[str]]:
    """Action -> the styles that its clips show."""
    styles = defaultdict(set)
    for label in labels:
        styles[label.action].add(label.style)
    return dict(styles)


def plain_styles(styles: set[str]) -> set[str]:
    """The styles of an action that a sentence without a word about style describes: normal, or all if none is."""
    return {NORMAL} if NORMAL in styles else styles
