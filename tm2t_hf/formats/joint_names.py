# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What the joints of a human body are called: one table per tool, and how other skeletons name the same body parts.

Letter case, separators and a prefix that all joints share (`mixamorig:`, `CC_Base_`, `Bip01 `, `m_avg_`, `DEF-`) do
not matter, so they are left out where they are not needed to tell two joints apart.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Naming:
    """The names that one tool gives to the joints of a body.

    Each name may be followed by others that some versions of the tool use, separated by `|`; the first that the file
    has is taken. `{}` stands for the side.

    Args:
        name: of the tool.
        pelvis, neck, head: the joint at the hips, at the base of the neck, at the base of the skull.
        spine: all the joints between pelvis and neck that a file may have, from below.
        hip, knee, ankle, toe, collar, shoulder, elbow, wrist: the joint at which that part of the body turns; the toe
            is the ball of the foot.
        sides: what stands for left and right.
    """

    name: str
    pelvis: str
    spine: tuple[str, ...]
    neck: str
    head: str
    hip: str
    knee: str
    ankle: str
    toe: str
    collar: str
    shoulder: str
    elbow: str
    wrist: str
    sides: tuple[str, str] = ("Left", "Right")


CENTRAL_PARTS = ("pelvis", "neck", "head")
SIDE_PARTS = ("hip", "knee", "ankle", "toe", "collar", "shoulder", "elbow", "wrist")

_MIXAMO_LIMBS = {
    "hip": "{}UpLeg",
    "knee": "{}Leg",
    "ankle": "{}Foot",
    "toe": "{}ToeBase|{}Toe",
    "collar": "{}Shoulder",
    "shoulder": "{}Arm",
    "elbow": "{}ForeArm",
    "wrist": "{}Hand",
}
_ANATOMICAL_LIMBS = {
    "hip": "{}Hip",
    "knee": "{}Knee",
    "ankle": "{}Ankle",
    "toe": "{}Toe|{}Foot",
    "collar": "{}Collar",
    "shoulder": "{}Shoulder",
    "elbow": "{}Elbow",
    "wrist": "{}Wrist",
}
_UNITY_LIMBS = {
    "hip": "{}UpperLeg",
    "knee": "{}LowerLeg",
    "ankle": "{}Foot",
    "toe": "{}Toes|{}ToeBase|{}Toe",
    "collar": "{}Shoulder",
    "shoulder": "{}UpperArm",
    "elbow": "{}LowerArm",
    "wrist": "{}Hand",
}
_BIPED_LIMBS = {
    "hip": "{} Thigh",
    "knee": "{} Calf",
    "ankle": "{} Foot",
    "toe": "{} ToeBase|{} Toe0",
    "collar": "{} Clavicle",
    "shoulder": "{} UpperArm",
    "elbow": "{} Forearm",
    "wrist": "{} Hand",
}

NAMINGS = (
    Naming("SMPL", "Pelvis", ("Spine1", "Spine2", "Spine3"), "Neck", "Head", **_ANATOMICAL_LIMBS, sides=("L", "R")),
    Naming("HumanML3D", "Pelvis", ("Spine1", "Spine2", "Spine3"), "Neck", "Head", **_ANATOMICAL_LIMBS),
    Naming(
        "Bandai-Namco",
        "Hips",
        ("Spine", "Chest"),
        "Neck",
        "Head",
        hip="UpperLeg_{}",
        knee="LowerLeg_{}",
        ankle="Foot_{}",
        toe="Toes_{}",
        collar="Shoulder_{}",
        shoulder="UpperArm_{}",
        elbow="LowerArm_{}",
        wrist="Hand_{}",
        sides=("L", "R"),
    ),
    # Neck lies on Spine1 in these files, as do the two shoulders.
    Naming("CMU", "Hips", ("LowerBack", "Spine", "Spine1"), "Neck1", "Head", **_MIXAMO_LIMBS),
    Naming("Mixamo", "Hips", ("Spine", "Spine1", "Spine2", "Spine3"), "Neck", "Head", **_MIXAMO_LIMBS),
    Naming(
        "Character Creator",
        "Hip",
        ("Waist", "Spine01", "Spine02"),
        "NeckTwist01",
        "Head",
        **_BIPED_LIMBS,
        sides=("L", "R"),
    ),
    Naming(
        "Rokoko",
        "Hips",
        ("Spine", "Spine1", "Spine2", "Spine3", "Spine4", "Chest"),
        "Neck|Neck1",
        "Head",
        **_MIXAMO_LIMBS | {"hip": "{}Thigh|{}Leg", "knee": "{}Shin"},
    ),
    Naming("Xsens", "Hips", ("Chest", "Chest2", "Chest3", "Chest4"), "Neck", "Head", **_ANATOMICAL_LIMBS),
    Naming(
        "Xsens segments",
        "Pelvis",
        ("L5", "L3", "T12", "T8"),
        "Neck",
        "Head",
        **_UNITY_LIMBS | {"elbow": "{}ForeArm"},
    ),
    Naming("Unity", "Hips", ("Spine", "Chest", "UpperChest"), "Neck", "Head", **_UNITY_LIMBS),
    Naming(
        "VRoid",
        "C_Hips",
        ("C_Spine", "C_Chest", "C_UpperChest"),
        "C_Neck",
        "C_Head",
        **_UNITY_LIMBS,
        sides=("L", "R"),
    ),
    Naming(
        "3ds Max Biped",
        "Pelvis",
        ("Spine", "Spine1", "Spine2", "Spine3"),
        "Neck",
        "Head",
        **_BIPED_LIMBS,
        sides=("L", "R"),
    ),
    Naming(
        "Unreal",
        "pelvis",
        ("spine_01", "spine_02", "spine_03", "spine_04", "spine_05"),
        "neck_01",
        "head",
        hip="thigh_{}",
        knee="calf_{}",
        ankle="foot_{}",
        toe="ball_{}",
        collar="clavicle_{}",
        shoulder="upperarm_{}",
        elbow="lowerarm_{}",
        wrist="hand_{}",
        sides=("l", "r"),
    ),
    Naming(
        "Rigify",
        "spine",
        ("spine.001", "spine.002", "spine.003"),
        "spine.004",
        "spine.006|spine.005",
        hip="thigh.{}",
        knee="shin.{}",
        ankle="foot.{}",
        toe="toe.{}",
        collar="shoulder.{}",
        shoulder="upper_arm.{}",
        elbow="forearm.{}",
        wrist="hand.{}",
        sides=("L", "R"),
    ),
    Naming(
        "Poser",
        "hip",
        ("abdomen", "abdomenLower", "abdomenUpper", "chest", "chestLower", "chestUpper"),
        "neck|neckLower",
        "head",
        hip="{}Thigh|{}ThighBend",
        knee="{}Shin",
        ankle="{}Foot",
        toe="{}Toe",
        collar="{}Collar",
        shoulder="{}Shldr|{}ShldrBend",
        elbow="{}ForeArm|{}ForearmBend",
        wrist="{}Hand",
        sides=("l", "r"),
    ),
    Naming(
        "OptiTrack",
        "Hip",
        ("Ab", "Chest"),
        "Neck",
        "Head",
        hip="{}Thigh",
        knee="{}Shin",
        ankle="{}Foot",
        toe="{}Toe",
        collar="{}Shoulder",
        shoulder="{}UArm",
        elbow="{}FArm",
        wrist="{}Hand",
        sides=("L", "R"),
    ),
)

# Joints of a skeleton whose names say something else than the tables above: the parts whose mean they are.
SKELETON_PARTS = {
    "kit": {
        "root": ("pelvis",),
        "spine2": ("spine3",),
        "spine3": ("neck",),
        "left_heel": ("left_ankle", "left_toe"),  # the middle of the foot, in front of the ankle
        "right_heel": ("right_ankle", "right_toe"),
    },
}

# What a missing part is the mean of; a part that is named twice weighs double.
SUBSTITUTES = {
    "neck": ("spine3", "head"),
    "left_collar": ("neck", "neck", "left_shoulder"),
    "right_collar": ("neck", "neck", "right_shoulder"),
}

# A missing part is the end of the bone that begins at another.
ENDS_OF = {
    "head": "neck",
    "left_toe": "left_ankle",
    "right_toe": "right_ankle",
    "left_wrist": "left_elbow",
    "right_wrist": "right_elbow",
}
