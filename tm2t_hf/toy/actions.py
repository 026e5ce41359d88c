# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The actions of the toy set, and the grammar that captions come from.

In a clip a body of 22 joints (HumanML3D's, 20 fps) stands, does one action at some pace, and stands again.
"""

from dataclasses import dataclass

import numpy as np

from ..skeletons import HUMANML3D
from .body import SIDES, Performance, on_ground, standing_toe, turned

FPS = HUMANML3D.fps
GRAVITY = 9.81  # meters per second squared


# ------------------------------------------------------------------------------------------------------------- actions


@dataclass
class Manner:
    """How a clip does its action: its length in frames, `speed` and `size` about 1, and a random source."""

    frames: int
    speed: float
    size: float
    rng: np.random.Generator

    @property
    def seconds(self) -> np.ndarray:
        """The time of each frame, (frames,)."""
        return np.arange(self.frames) / FPS


def _ease(values: np.ndarray) -> np.ndarray:
    """0 before 0, 1 after 1, with no jerk at either end."""
    values = np.clip(values, 0, 1)
    return values**3 * (10 - 15 * values + 6 * values**2)


def _during(manner: Manner, start: float, end: float, ramp: float = 0.15) -> np.ndarray:
    """An envelope from 0 to 1 and back; start, end and ramp are parts of the clip."""
    part = np.linspace(0, 1, manner.frames)
    return _ease((part - start) / ramp) * _ease((end - part) / ramp)


def _stand(manner: Manner) -> Performance:
    """Standing, with a little sway and breath."""
    time, phase = manner.seconds, manner.rng.uniform(0, 2 * np.pi, 3)
    sway = 0.008 * np.stack([np.sin(1.9 * time + phase[0]), np.sin(1.3 * time + phase[1])], axis=-1)
    body = Performance(np.zeros((manner.frames, 2)), np.zeros(manner.frames))
    body.path += sway
    body.bends["spine2"][:, 0] += 0.012 * np.sin(1.6 * time + phase[2])
    body.bends["neck"][:, 1] += 0.06 * np.sin(0.7 * time + phase[0])
    return body


def _step(
    manner: Manner, velocity: np.ndarray, yaw: np.ndarray, frequency: float, bearing: float = 0.58, lift: float = 0.09
) -> Performance:
    """Feet that follow a path: each is set down where the pelvis passes while it bears.

    Args:
        manner: gives the frames and the draws.
        velocity: of the pelvis to its left and front, meters per second, (frames, 2).
        yaw: heading, (frames,).
        frequency: strides (two steps) a second.
        bearing: part of a stride that a foot is on the ground; below a half is a run.
        lift: height of the swinging foot.
    """
    time = manner.seconds
    path = np.cumsum(turned(velocity, yaw), axis=0) / FPS
    body = Performance(path, yaw)
    pace = np.linalg.norm(velocity, axis=1) + 0.25 * np.abs(np.gradient(yaw)) * FPS
    moving = np.clip(pace / (0.4 * pace.max()), 0, 1)
    first = manner.rng.integers(2)
    for index, (sign, side) in enumerate(zip((1, -1), SIDES, strict=True)):
        offset = 0.5 * ((index + first) % 2)
        stride, part = np.divmod(frequency * time + offset, 1)
        places = []
        for number in (stride, stride + 1):
            middle = (number + bearing / 2 - offset) / frequency
            heading = np.interp(middle, time, yaw)
            ground = np.stack([np.interp(middle, time, path[:, axis]) for axis in (0, 1)], axis=-1)
            places.append((ground + turned(standing_toe(sign), heading), heading))
        (place, heading), (next_place, next_heading) = places
        swing = np.clip((part - bearing) / (1 - bearing), 0, 1)
        progress = swing**2 * (3 - 2 * swing)
        reach = np.linalg.norm(next_place - place, axis=1) + 0.3 * np.abs(next_heading - heading)
        effort = np.clip(reach / 0.5, 0, 1)
        foot = body.feet[side]
        foot.toe = on_ground(place + (next_place - place) * progress[:, None])
        foot.toe[:, 1] += lift * effort * np.sin(np.pi * swing) ** 2
        foot.yaw = heading + (next_heading - heading) * progress
        forward = np.clip(velocity[:, 1] / 1.2, -0.3, 1)
        push_off = _ease((part / bearing - 0.55) / 0.45) * (1 - _ease(swing / 0.7))
        foot.pitch = forward * effort * (0.75 * push_off - 0.25 * np.sin(np.pi * swing) * (swing > 0.5))
        foot.bears = part < bearing
        # The weight goes over the bearing foot, and the arm swings against the leg.
        sway = np.cos(2 * np.pi * (part - bearing / 2))
        body.path += turned(np.array([0.5 * sign * 0.025, 0.0]), yaw) * (moving * sway)[:, None]
        body.tilt += -0.5 * sign * 0.03 * moving * sway
        ahead = np.cos(2 * np.pi * (part + 0.08)) * moving
        swinging = 0.5 * manner.size * np.clip(np.abs(velocity[:, 1]) / 1.2, 0.15, 1)
        body.bends[f"{side}_shoulder"][:, 0] += swinging * ahead + 0.05
        body.bends[f"{side}_elbow"][:, 0] += -0.25 * moving * (1 - 0.5 * ahead)
        body.bends["spine2"][:, 1] += 0.5 * sign * 0.1 * ahead
    body.bends["spine1"][:, 0] += 0.05 * moving
    return body


def _travel(manner: Manner, side: float = 0.0, front: float = 0.0) -> np.ndarray:
    """A velocity to the left and front that starts and ends standing, (frames, 2)."""
    ramp = min(0.3, 12 / manner.frames)
    return _during(manner, 0.04, 0.96, ramp)[:, None] * manner.speed * np.array([side, front])


def walk(manner: Manner, turn: float = 0.0, front: float = 1.05) -> Performance:
    """Walk ahead, back (`front` below 0) or along a curve."""
    part = np.linspace(0, 1, manner.frames)
    yaw = turn * manner.size * _ease((part - 0.25) / 0.55)
    return _step(manner, _travel(manner, front=front), yaw, frequency=0.9 * manner.speed**0.5)


def step_aside(manner: Manner, sign: int) -> Performance:
    """Walk sideways, to the left where `sign` is 1."""
    return _step(manner, _travel(manner, side=sign * 0.32), np.zeros(manner.frames), 0.95 * manner.speed, lift=0.07)


def turn_around(manner: Manner, sign: int) -> Performance:
    """Turn on the spot, to the left where `sign` is 1."""
    part = np.linspace(0, 1, manner.frames)
    yaw = sign * 0.85 * np.pi * manner.size * _ease((part - 0.1) / 0.8)
    return _step(manner, np.zeros((manner.frames, 2)), yaw, frequency=0.9 * manner.speed, lift=0.08)


def run(manner: Manner) -> Performance:
    """Run ahead."""
    velocity = _travel(manner, front=2.5)
    body = _step(manner, velocity, np.zeros(manner.frames), 1.35 * manner.speed**0.3, bearing=0.4, lift=0.28)
    moving = velocity[:, 1] / velocity.max()
    body.lean = 0.15 * moving
    body.height = np.full(manner.frames, 0.93)
    for side in SIDES:
        body.bends[f"{side}_elbow"][:, 0] -= 1.1 * moving
    return body


def march(manner: Manner) -> Performance:
    """Steps on the spot with high knees."""
    body = _stand(manner)
    moving = _during(manner, 0.05, 0.95, 0.1)
    phase = 2 * np.pi * 0.8 * manner.speed * manner.seconds
    for sign, side in zip((1, -1), SIDES, strict=True):
        raised = moving * np.clip(sign * np.sin(phase), 0, 1) ** 1.5
        foot = body.feet[side]
        foot.toe[:, 1] += 0.33 * manner.size * raised
        foot.toe[:, 2] += 0.12 * raised
        foot.pitch = 0.4 * raised
        foot.bears = raised < 1e-3
        body.path[:, 0] += -0.06 * sign * raised
        body.bends[f"{side}_shoulder"][:, 0] += 0.5 * moving * sign * np.sin(phase)
        body.bends[f"{side}_elbow"][:, 0] -= 0.5 * moving
    return body


def wave(manner: Manner, signs: tuple[int, ...]) -> Performance:
    """Wave the hands of these sides, 1 for left and -1 for right."""
    body = _stand(manner)
    up = _during(manner, 0.03, 0.97, 0.2)
    shake = np.sin(2 * np.pi * 1.5 * manner.speed * manner.seconds)
    for sign in signs:
        side = SIDES[sign < 0]
        body.bends[f"{side}_shoulder"][:, 2] += sign * up * (1.0 + 0.35 * manner.size + 0.08 * shake)
        body.bends[f"{side}_shoulder"][:, 0] -= 0.25 * up
        body.bends[f"{side}_elbow"][:, 2] += sign * up * (1.3 + 0.45 * manner.size * shake)
        body.tilt += -sign * 0.03 * up
    return body


def raise_arms(manner: Manner, signs: tuple[int, ...]) -> Performance:
    """Raise the arms of these sides, 1 for left and -1 for right."""
    body = _stand(manner)
    up = _during(manner, 0.08, 0.92, 0.28)
    for sign in signs:
        side = SIDES[sign < 0]
        body.bends[f"{side}_shoulder"][:, 0] -= up * (2.55 + 0.3 * manner.size)
        body.bends[f"{side}_shoulder"][:, 2] += -sign * 0.05 * up
        body.bends[f"{side}_elbow"][:, 0] += 0.1 * up
    body.bends["spine2"][:, 0] -= 0.06 * up
    return body


def kick(manner: Manner, sign: int) -> Performance:
    """Kick with the left leg where `sign` is 1, or the right one."""
    body = _stand(manner)
    side, other = SIDES[sign < 0], SIDES[sign > 0]
    part = np.linspace(0, 1, manner.frames)
    over = _during(manner, 0.05, 0.95, 0.25)
    back = np.exp(-(((part - 0.34) / 0.08) ** 2))
    front = np.exp(-(((part - 0.52) / 0.09) ** 2))
    foot = body.feet[side]
    lifted = _during(manner, 0.16, 0.84, 0.14)
    body.path[:, 0] += -sign * 0.09 * over
    foot.toe[:, 0] += -sign * 0.04 * lifted
    foot.toe[:, 1] += 0.07 * lifted + 0.16 * back + 0.55 * manner.size * front
    foot.toe[:, 2] += -0.32 * back + 0.72 * front
    foot.pitch = 0.9 * back + 0.1 * front * lifted
    foot.bears = lifted < 1e-4
    body.lean = 0.12 * back - 0.22 * front
    body.bends[f"{other}_shoulder"][:, 0] += -0.7 * front + 0.3 * back
    body.bends[f"{side}_shoulder"][:, 0] += 0.5 * front - 0.3 * back
    for sign_of_arm, arm in zip((1, -1), SIDES, strict=True):
        body.bends[f"{arm}_shoulder"][:, 2] += sign_of_arm * 0.3 * over
        body.bends[f"{arm}_elbow"][:, 0] -= 0.4 * over
    return body


def punch(manner: Manner, sign: int) -> Performance:
    """Punch with the left hand where `sign` is 1, or the right one."""
    body = _stand(manner)
    side = SIDES[sign < 0]
    guard = _during(manner, 0.03, 0.97, 0.18)
    hit = guard * np.clip(np.sin(2 * np.pi * 0.75 * manner.speed * manner.seconds - 1.2), 0, 1) ** 3
    for sign_of_arm, arm in zip((1, -1), SIDES, strict=True):
        straight = hit if arm == side else 0 * hit
        body.bends[f"{arm}_shoulder"][:, 0] -= guard * (0.55 + 0.95 * straight)
        body.bends[f"{arm}_shoulder"][:, 2] -= sign_of_arm * 0.15 * guard
        body.bends[f"{arm}_elbow"][:, 0] -= guard * (1.85 - 1.85 * straight)
    body.bends["spine1"][:, 1] -= sign * 0.35 * hit
    body.bends["spine2"][:, 1] -= sign * 0.2 * hit
    body.path[:, 1] += 0.06 * hit
    body.height = 0.9 - 0.03 * guard
    return body


def squat(manner: Manner) -> Performance:
    """Squat, as often as the time allows."""
    body = _stand(manner)
    times = max(1, round(manner.frames / FPS / 2.4 * manner.speed))
    down = np.sin(np.pi * np.clip(np.linspace(-0.08, 1.08, manner.frames), 0, 1) * times) ** 2 * manner.size
    body.height = 0.9 - 0.36 * down
    body.path[:, 1] -= 0.13 * down
    body.lean = 0.5 * down
    body.bends["neck"][:, 0] -= 0.3 * down
    for side in SIDES:
        body.bends[f"{side}_shoulder"][:, 0] -= 1.75 * down
        body.bends[f"{side}_elbow"][:, 0] += 0.1 * down
    return body


def jump(manner: Manner, front: float = 0.0) -> Performance:
    """Jump on the spot, or ahead by `front`."""
    body = _stand(manner)
    time = manner.seconds
    flight = 0.42 * manner.size**0.5
    take_off = manner.frames / FPS * 0.45
    since = time - take_off
    body.airborne = np.maximum(0.5 * GRAVITY * since * (flight - since), 0)
    crouch = np.exp(-(((since + 0.26) / 0.15) ** 2)) + 0.7 * np.exp(-(((since - flight - 0.16) / 0.16) ** 2))
    forward = front * manner.size * np.clip(since / flight, 0, 1)
    body.height = 0.94 - 0.24 * np.clip(crouch, 0, 1)
    body.path[:, 1] += forward
    pointed = _ease((since + 0.1) / 0.15) * _ease((flight + 0.02 - since) / 0.15)
    for side, foot in body.feet.items():
        foot.toe[:, 2] += forward
        foot.pitch = 0.7 * pointed
        swing = _ease((since + 0.3) / 0.35) * _ease((flight + 0.5 - since) / 0.4)
        body.bends[f"{side}_shoulder"][:, 0] += 0.6 * np.exp(-(((since + 0.32) / 0.16) ** 2)) - 1.8 * swing
        body.bends[f"{side}_elbow"][:, 0] -= 0.3 * swing
    body.lean = 0.45 * np.clip(crouch, 0, 1)
    return body


def bow(manner: Manner) -> Performance:
    """Bow and rise again."""
    body = _stand(manner)
    down = _during(manner, 0.08, 0.92, 0.3) * manner.size
    body.lean = 0.45 * down
    body.path[:, 1] -= 0.1 * down
    for spine in ("spine1", "spine2", "spine3"):
        body.bends[spine][:, 0] += 0.2 * down
    body.bends["neck"][:, 0] += 0.25 * down
    for side in SIDES:
        body.bends[f"{side}_shoulder"][:, 0] -= 0.55 * down
    return body


# ------------------------------------------------------------------------------------------------------------ captions

SUBJECTS = ("a person", "someone", "the person", "a human")
PACES = {
    "slow": ("slowly", "at a slow pace", "in slow motion"),
    "normal": ("", "", "at a normal pace"),
    "fast": ("quickly", "at a fast pace", "in a hurry"),
}
SPEEDS = {"slow": (0.65, 0.8), "normal": (0.95, 1.1), "fast": (1.25, 1.45)}
LEFT, RIGHT, BOTH = (1,), (-1,), (1, -1)

# name -> (what makes the motion, seconds at normal speed, ways to say it)
ACTIONS = {
    "stand": (_stand, 3.0, ("stands still", "stands in place", "does not move")),
    "walk": (walk, 4.0, ("walks forward", "walks straight ahead", "takes a few paces forward")),
    "walk-back": (
        lambda manner: walk(manner, front=-0.75),
        4.0,
        ("walks backward", "steps back", "takes a few paces backward"),
    ),
    "run": (run, 3.0, ("runs forward", "jogs straight ahead", "runs in a straight line")),
    "march": (march, 4.0, ("marches in place", "walks on the spot", "lifts the knees in place")),
    "squat": (squat, 4.0, ("squats down and stands up", "does a squat", "bends the knees and goes down")),
    "jump": (jump, 2.5, ("jumps up", "jumps in place", "leaps into the air")),
    "jump-forward": (
        lambda manner: jump(manner, front=0.8),
        2.5,
        ("jumps forward", "leaps ahead", "does a long jump"),
    ),
    "bow": (bow, 3.5, ("bows", "bends forward and bows", "takes a bow")),
    "wave-both": (
        lambda manner: wave(manner, BOTH),
        3.5,
        ("waves both hands", "waves with both arms", "raises both arms and waves"),
    ),
    "raise-both": (
        lambda manner: raise_arms(manner, BOTH),
        3.0,
        ("raises both arms", "lifts both hands above the head", "puts both arms up"),
    ),
}
# The same for actions of one side, made for the left (1) and the right (-1); {side} is named in the words.
SIDED_ACTIONS = {
    "walk-turn": (
        lambda manner, sign: walk(manner, turn=sign * 1.7),
        4.5,
        ("walks and turns {side}", "turns {side} while walking", "walks in a curve to the {side}"),
    ),
    "turn": (turn_around, 3.0, ("turns to the {side}", "turns around to the {side}", "makes a {side} turn in place")),
    "step": (step_aside, 3.5, ("steps to the {side}", "walks sideways to the {side}", "moves to the {side} side")),
    "wave": (
        lambda manner, sign: wave(manner, (sign,)),
        3.5,
        ("waves the {side} hand", "waves with the {side} arm", "raises the {side} hand and waves"),
    ),
    "raise": (
        lambda manner, sign: raise_arms(manner, (sign,)),
        3.0,
        ("raises the {side} arm", "lifts the {side} hand above the head", "puts the {side} arm up"),
    ),
    "kick": (kick, 2.4, ("kicks with the {side} leg", "does a {side} kick", "swings the {side} foot forward")),
    "punch": (punch, 3.0, ("punches with the {side} hand", "throws a {side} punch", "boxes with the {side} fist")),
}
# Part of speech -> its words, each as lemma:word where the two differ. No word is in two lines.
_PARTS_OF_SPEECH = {
    "DET": "a the both",
    "NOUN": "person human arm arm:arms hand hand:hands knee:knees head leg foot fist side line spot place air squat "
    "jump bow kick punch curve turn motion pace pace:paces hurry",
    "PRON": "someone",
    "VERB": "stand:stands move:moves move walk:walks walk:walking take:takes run:runs jog:jogs march:marches "
    "lift:lifts squat:squats do:does bend:bends go:goes jump:jumps leap:leaps bow:bows wave:waves raise:raises "
    "put:puts turn:turns make:makes step:steps kick:kicks swing:swings punch:punches throw:throws box:boxes",
    "ADJ": "left right few slow normal fast long straight",
    "ADV": "still forward ahead backward back slowly quickly up down around sideways",
    "ADP": "in on at to with into above",
    "SCONJ": "while",
    "CCONJ": "and",
    "PART": "not",
}
LEXICON = {
    entry.split(":")[-1]: f"{entry.split(':')[0]}/{part}"
    for part, entries in _PARTS_OF_SPEECH.items()
    for entry in entries.split()
}
