# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Joints -> a GLB file: glTF 2.0 in binary form, which Blender, Unity, three.js and every glTF viewer open.

The file holds a skeleton of rigid bones (one node per joint, a T-pose that faces +z at rest), an animation (rotations
of the joints, path of the root) and a figure of capsules that the skeleton moves: left blue, right orange, the rest
dark. Specification: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html
"""

import json
import struct
from os import PathLike

import numpy as np

from ..files import written_beside
from ..skeletons import HUMANML3D, Skeleton
from .bvh import standard_names
from .gif import HEAD_RADIUS, LEFT, LIMB_RADIUS, MIDDLE, RIGHT, TIP_RADIUS
from .kinematics import animate_bones, checked_joints, children_of, rest_positions

COLORS = {"left": LEFT, "right": RIGHT, "": MIDDLE}  # by the start of a joint's name
TRUNK_RADIUS, NECK_RADIUS = 0.1, 0.05  # meters
SIDES, RINGS = 16, 5  # of a capsule: edges around it, and from one pole to the widest ring of a half sphere

FLOAT, UNSIGNED_BYTE, UNSIGNED_SHORT, UNSIGNED_INT = 5126, 5121, 5123, 5125  # component types
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963  # targets of buffer views
COMPONENTS = {
    np.dtype("<f4"): FLOAT,
    np.dtype("u1"): UNSIGNED_BYTE,
    np.dtype("<u2"): UNSIGNED_SHORT,
    np.dtype("<u4"): UNSIGNED_INT,
}
SHAPES = {(): "SCALAR", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}


def save_glb(
    joints: np.ndarray,
    path: str | PathLike,
    fps: float = 20.0,
    title: str | None = None,
    skeleton: Skeleton = HUMANML3D,
) -> None:
    """Write a motion as a GLB file, in meters, y up.

    Bones are rigid: the joints of the file are those of `kinematics.animate_bones`.

    Args:
        joints: `(frames, joints, 3)` in meters, y up.
        path: file to write.
        fps: frames per second.
        title: name of the animation; usually the caption.
        skeleton: skeleton of the joints; they get their standard names, as in a BVH file.

    Raises:
        ValueError: for joints of another shape, no frames, NaN or infinite values, bones without length, a frame rate
            that is not above 0, or a skeleton of more than 255 joints.
    """
    joints = checked_joints(joints, fps, skeleton)
    if skeleton.num_joints > 255:
        raise ValueError(f"A figure in a GLB file has at most 255 joints; {skeleton.name} has {skeleton.num_joints}.")
    animation = animate_bones(joints, skeleton)
    rest = rest_positions(animation).numpy()
    quaternions = np.roll(animation.rotations.numpy(), -1, axis=-1)  # glTF has (x, y, z, w)
    buffer = _Buffer()

    children = children_of(skeleton)
    nodes = [
        {"name": name, "translation": _floats(rest[joint] if joint == 0 else animation.offsets[joint].numpy())}
        | ({"children": children[joint]} if children[joint] else {})
        for joint, name in enumerate(standard_names(skeleton))
    ]
    nodes.append({"name": "figure", "mesh": 0, "skin": 0})
    inverse_bind = np.tile(np.eye(4), (len(rest), 1, 1))
    inverse_bind[:, 3, :3] = -rest  # column by column

    times = buffer.add(np.arange(len(joints)) / fps, bounds=True)
    samplers = [{"input": times, "output": buffer.add(animation.root.numpy())}]
    channels = [{"sampler": 0, "target": {"node": 0, "path": "translation"}}]
    for joint in range(len(rest)):
        if children[joint]:  # a joint without children has nothing to turn
            channels.append({"sampler": len(samplers), "target": {"node": joint, "path": "rotation"}})
            samplers.append({"input": times, "output": buffer.add(quaternions[:, joint])})

    primitives, materials = [], []
    for side, (positions, normals, owners, triangles) in _figure(rest, skeleton).items():
        joint_columns, weights = np.zeros((2, len(owners), 4), dtype=np.uint8)
        joint_columns[:, 0], weights[:, 0] = owners, 255
        attributes = {
            "POSITION": buffer.add(positions, bounds=True, target=ARRAY_BUFFER),
            "NORMAL": buffer.add(normals, target=ARRAY_BUFFER),
            "JOINTS_0": buffer.add(joint_columns, target=ARRAY_BUFFER),
            "WEIGHTS_0": buffer.add(weights, target=ARRAY_BUFFER, normalized=True),
        }
        indices = buffer.add(triangles.reshape(-1), target=ELEMENT_ARRAY_BUFFER)
        primitives.append({"attributes": attributes, "indices": indices, "material": len(materials)})
        materials.append(_material(side))

    document = {
        "asset": {"version": "2.0", "generator": "tm2t_hf"},
        "scene": 0,
        "scenes": [{"nodes": [0, len(rest)]}],
        "nodes": nodes,
        "meshes": [{"name": "figure", "primitives": primitives}],
        "materials": materials,
        "skins": [{"joints": list(range(len(rest))), "skeleton": 0, "inverseBindMatrices": buffer.add(inverse_bind)}],
        "animations": [{"name": title or "motion", "channels": channels, "samplers": samplers}],
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.content)}],
    }
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    with written_beside(path) as part, open(part, "wb") as file:
        file.write(struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(buffer.content)))
        file.write(struct.pack("<I4s", len(text), b"JSON") + text)
        file.write(struct.pack("<I4s", len(buffer.content), b"BIN\0") + buffer.content)


class _Buffer:
    """Collects arrays as the accessors of a glTF file."""

    def __init__(self):
        self.content, self.views, self.accessors = bytearray(), [], []

    def add(self, array: np.ndarray, bounds=False, target: int | None = None, normalized=False) -> int:
        """Append an array, floats as float32, and return the index of its accessor."""
        array = np.ascontiguousarray(array, dtype="<f4" if array.dtype.kind == "f" else array.dtype)
        accessor = {
            "bufferView": len(self.views),
            "componentType": COMPONENTS[array.dtype],
            "count": len(array),
            "type": SHAPES[array.shape[1:]],
        }
        if normalized:
            accessor["normalized"] = True
        if bounds:
            flat = array.reshape(len(array), -1)
            accessor |= {"min": _floats(flat.min(axis=0)), "max": _floats(flat.max(axis=0))}
        view = {"buffer": 0, "byteOffset": len(self.content), "byteLength": array.nbytes}
        self.views.append(view | ({"target": target} if target else {}))
        self.accessors.append(accessor)
        self.content += array.tobytes()
        self.content += bytes(-len(self.content) % 4)  # every array starts at a multiple of four bytes
        return len(self.accessors) - 1


def _floats(values: np.ndarray) -> list[float]:
    """The exact values of float32 numbers, as the bounds of an accessor must be."""
    return [float(value) for value in np.asarray(values, dtype=np.float32)]


def _material(side: str) -> dict:
    """A matt color."""
    linear = [round(float((channel / 255) ** 2.2), 4) for channel in COLORS[side]]  # sRGB is given as linear factors
    surface = {"baseColorFactor": [*linear, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.8}
    return {"name": side or "middle", "pbrMetallicRoughness": surface}


def _figure(rest: np.ndarray, skeleton: Skeleton) -> dict[str, tuple[np.ndarray, ...]]:
    """A capsule around each bone and a head; for each side positions, normals, moving joint and triangles."""
    parts: dict[str, list] = {side: [] for side in COLORS}
    for chain in skeleton.chains:
        side = _side(skeleton.joint_names[chain[-1]])
        ends = (LIMB_RADIUS, TIP_RADIUS) if side else (TRUNK_RADIUS, NECK_RADIUS)
        radii = np.linspace(*ends, len(chain))
        for parent, joint, wide, narrow in zip(chain, chain[1:], radii, radii[1:], strict=False):
            parts[side].append((*_capsule(rest[parent], rest[joint], wide, narrow), parent))
    if "head" in skeleton.joint_names:
        head = skeleton.joint_names.index("head")
        center = rest[head] + [0, 0.07, 0]
        parts[""].append((*_capsule(center, center, HEAD_RADIUS, HEAD_RADIUS), max(skeleton.parents[head], 0)))

    meshes = {}
    for side, capsules in parts.items():
        if not capsules:
            continue
        starts = np.cumsum([0] + [len(positions) for positions, *_ in capsules])
        meshes[side] = (
            np.concatenate([positions for positions, *_ in capsules]),
            np.concatenate([normals for _, normals, *_ in capsules]),
            np.concatenate([np.full(len(positions), owner) for positions, *_, owner in capsules]),
            _indices([triangles + start for (*_, triangles, _), start in zip(capsules, starts, strict=False)]),
        )
    return meshes


def _side(name: str) -> str:
    return next(side for side in COLORS if name.startswith(side))


def _indices(triangles: list[np.ndarray]) -> np.ndarray:
    """In the smallest type that glTF allows for the number of vertices."""
    joined = np.concatenate(triangles)
    return joined.astype("<u2" if joined.max() < 65535 else "<u4")


def _capsule(start: np.ndarray, end: np.ndarray, wide: float, narrow: float) -> tuple[np.ndarray, ...]:
    """Two half spheres and what lies between them: positions, normals (vertices, 3), triangles (triangles, 3)."""
    along = end - start
    length = np.linalg.norm(along)
    along = along / length if length > 0 else np.array([0.0, 1.0, 0.0])
    across = np.cross(along, np.eye(3)[np.abs(along).argmin()])
    across /= np.linalg.norm(across)
    frame = np.stack([across, np.cross(along, across), along])  # right-handed, the bone is its third axis

    latitudes = np.radians(90) * np.arange(RINGS + 1) / RINGS
    latitudes = np.concatenate([-latitudes[::-1], latitudes])  # the widest ring twice: one at each end
    longitudes = 2 * np.pi * np.arange(SIDES) / SIDES
    normals = np.stack(
        [
            np.cos(latitudes)[:, None] * np.cos(longitudes),
            np.cos(latitudes)[:, None] * np.sin(longitudes),
            np.sin(latitudes)[:, None].repeat(SIDES, axis=1),
        ],
        axis=-1,
    )  # (rings, sides, 3)
    normals = normals @ frame
    half = np.arange(len(latitudes)) > RINGS
    positions = np.where(half[:, None, None], end + narrow * normals, start + wide * normals)

    ring, side = np.meshgrid(np.arange(len(latitudes) - 1), np.arange(SIDES), indexing="ij")
    corners = ring * SIDES + side, ring * SIDES + (side + 1) % SIDES
    low, low_next, high, high_next = *corners, *(corner + SIDES for corner in corners)
    triangles = np.stack([low, low_next, high_next, low, high_next, high], axis=-1).reshape(-1, 3)
    positions, normals = positions.reshape(-1, 3), normals.reshape(-1, 3)
    first, second, third = positions[triangles.T]
    area = np.linalg.norm(np.cross(second - first, third - first), axis=-1)
    return positions, normals, triangles[area > 1e-12]  # without those that a pole shrinks to nothing


__all__ = ["save_glb"]
