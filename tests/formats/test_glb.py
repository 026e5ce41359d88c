# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""GLB files: read back by a reader of these tests, and checked by Khronos' validator where it is installed."""

import json
import os
import shutil
import struct
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rigid_motions import bend, largest_error, random_motion, random_skeleton, steps_in_degrees, t_pose, turn

from tm2t_hf.formats.bvh import standard_names
from tm2t_hf.formats.glb import save_glb
from tm2t_hf.skeletons import HUMANML3D, KIT

DTYPES = {5126: "<f4", 5121: "u1", 5123: "<u2", 5125: "<u4"}
WIDTHS = {"SCALAR": (), "VEC3": (3,), "VEC4": (4,), "MAT4": (4, 4)}

VALIDATE = """
const validator = require('gltf-validator'), fs = require('fs');
validator.validateBytes(new Uint8Array(fs.readFileSync(process.argv[1]))).then(
    report => console.log(JSON.stringify(report.issues)));
"""


class Glb:
    """A GLB file: its document and its arrays."""

    def __init__(self, path):
        content = path.read_bytes()
        magic, version, length = struct.unpack_from("<4sII", content)
        assert (magic, version, length) == (b"glTF", 2, len(content))
        size, kind = struct.unpack_from("<I4s", content, 12)
        assert kind == b"JSON"
        self.document = json.loads(content[20 : 20 + size])
        rest, kind = struct.unpack_from("<I4s", content, 20 + size)
        self.binary = content[28 + size :]
        assert kind == b"BIN\0" and rest == len(self.binary) == self.document["buffers"][0]["byteLength"]

    def array(self, index):
        accessor = self.document["accessors"][index]
        view = self.document["bufferViews"][accessor["bufferView"]]
        dtype, shape = DTYPES[accessor["componentType"]], (accessor["count"], *WIDTHS[accessor["type"]])
        array = np.frombuffer(self.binary, dtype, np.prod(shape, dtype=int), view["byteOffset"]).reshape(shape)
        assert array.nbytes == view["byteLength"]
        return array

    def matrices(self):
        """(frames, joints, 4, 4) from the axes of each joint to the world's, by the animation."""
        document = self.document
        (animation,) = document["animations"]
        nodes = document["nodes"]
        frames = document["accessors"][animation["samplers"][0]["input"]]["count"]
        locals_ = np.tile(np.eye(4), (frames, len(nodes), 1, 1))
        for index, node in enumerate(nodes):
            locals_[:, index, :3, 3] = node.get("translation", (0, 0, 0))
        for channel in animation["channels"]:
            values = self.array(animation["samplers"][channel["sampler"]]["output"]).astype(float)
            if channel["target"]["path"] == "translation":
                locals_[:, channel["target"]["node"], :3, 3] = values
            else:
                locals_[:, channel["target"]["node"], :3, :3] = matrix(values)
        world = {}

        def visit(index, above):
            world[index] = above @ locals_[:, index]
            for child in nodes[index].get("children", ()):
                visit(child, world[index])

        for root in document["scenes"][0]["nodes"]:
            visit(root, np.eye(4))
        return np.stack([world[joint] for joint in document["skins"][0]["joints"]], axis=1)


def matrix(quaternions):
    """(x, y, z, w) -> rotation matrices."""
    x, y, z, w = np.moveaxis(quaternions, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def written(tmp_path, joints, skeleton=HUMANML3D, **arguments):
    """The file and its joints in the order of the skeleton."""
    path = tmp_path / "motion.glb"
    save_glb(joints, path, skeleton=skeleton, **arguments)
    assert [file.name for file in tmp_path.iterdir()] == ["motion.glb"]
    glb = Glb(path)
    nodes = [glb.document["nodes"][joint]["name"] for joint in glb.document["skins"][0]["joints"]]
    order = [nodes.index(name) for name in standard_names(skeleton)]
    return glb, glb.matrices()[:, order][..., :3, 3]


def walk(frames=40):
    """Legs and arms swing while the body turns and moves on."""
    swing = np.linspace(0, 4 * np.pi, frames)
    joints = np.stack([t_pose()] * frames)
    for joint, phase in (("left_hip", 0), ("right_hip", np.pi)):
        joints = bend(joints, joint, turn((1, 0, 0), 30 * np.sin(swing + phase)))
        joints = bend(joints, joint.replace("hip", "knee"), turn((1, 0, 0), 25 - 25 * np.cos(swing + phase)))
    for joint, side in (("left_shoulder", -1), ("right_shoulder", 1)):
        joints = bend(joints, joint, turn((0, 0, 1), np.full(frames, 75 * side)))
        joints = bend(joints, joint, turn((1, 0, 0), 30 * side * np.sin(swing)))
    joints = joints @ turn((0, 1, 0), np.linspace(0, 360, frames)).transpose(0, 2, 1)
    return joints + np.linspace(0, 2, frames)[:, None, None] * [0, 0, 1]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(2, 25), frames=st.integers(1, 30))
def test_rigid_motion_of_any_skeleton_comes_back(tmp_path_factory, seed, count, frames):
    rng = np.random.default_rng(seed)
    skeleton = random_skeleton(rng, count)
    joints = random_motion(rng, skeleton, frames)
    tmp_path = tmp_path_factory.mktemp("glb")
    _, once = written(tmp_path, joints, skeleton)
    assert largest_error(once, joints) < 2e-5
    _, twice = written(tmp_path, once, skeleton)
    assert largest_error(twice, joints) < 4e-5


def test_the_document(tmp_path):
    glb, joints = written(tmp_path, walk(), fps=25, title="a person walks in a circle, »slowly«")
    document = glb.document
    (animation,) = document["animations"]
    assert animation["name"] == "a person walks in a circle, »slowly«"
    times = glb.array(animation["samplers"][0]["input"])
    np.testing.assert_allclose(times, np.arange(40) / 25, atol=1e-6)
    assert {sampler["input"] for sampler in animation["samplers"]} == {animation["samplers"][0]["input"]}
    assert len(animation["channels"]) == 1 + 22 - 5  # the root's path, rotations of all joints with children
    assert [material["name"] for material in document["materials"]] == ["left", "right", "middle"]
    rest = np.array([node["translation"] for node in document["nodes"][:22]])
    assert rest[0, 1] == pytest.approx(0.87)  # the T-pose stands on the floor
    assert largest_error(joints, walk()) < 1e-5


def test_quaternions_do_not_jump(tmp_path):
    glb, _ = written(tmp_path, walk(90))
    (animation,) = glb.document["animations"]
    for sampler in animation["samplers"][1:]:
        quaternions = glb.array(sampler["output"]).astype(float)
        assert ((quaternions[1:] * quaternions[:-1]).sum(axis=-1) > 0).all()  # else viewers interpolate the long way
        assert steps_in_degrees(quaternions).max() < 45


@pytest.mark.parametrize("skeleton", [HUMANML3D, KIT], ids=["humanml3d", "kit"])
def test_the_figure_stays_around_its_bones(tmp_path, skeleton):
    """Skinned as a viewer does it: every vertex lies on the capsule around its bone, with a normal that points out."""
    joints = walk() if skeleton is HUMANML3D else random_motion(np.random.default_rng(0), KIT, 5)
    glb, places = written(tmp_path, joints, skeleton)
    matrices = glb.matrices()
    inverse_bind = glb.array(glb.document["skins"][0]["inverseBindMatrices"]).astype(float).transpose(0, 2, 1)
    bones = [(parent, joint) for joint, parent in enumerate(skeleton.parents) if parent >= 0]
    seen = set()
    for primitive in glb.document["meshes"][0]["primitives"]:
        attributes = {name: glb.array(index) for name, index in primitive["attributes"].items()}
        assert (attributes["WEIGHTS_0"].sum(axis=1) == 255).all()
        owners = attributes["JOINTS_0"][:, 0]
        seen |= set(owners.tolist())
        moved = matrices[:, owners] @ inverse_bind[owners]  # (frames, vertices, 4, 4)
        positions = (moved[..., :3, :3] @ attributes["POSITION"][..., None])[..., 0] + moved[..., :3, 3]
        normals = (moved[..., :3, :3] @ attributes["NORMAL"][..., None])[..., 0]
        np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-5)
        nearest = np.full(positions.shape[:2], np.inf)
        for parent, joint in bones:
            start, along = places[:, [parent]], places[:, [joint]] - places[:, [parent]]
            share = ((positions - start) * along).sum(-1, keepdims=True) / np.square(along).sum(-1, keepdims=True)
            nearest = np.minimum(nearest, np.linalg.norm(positions - start - share.clip(0, 1) * along, axis=-1))
        assert nearest.max() < 0.2
        triangles = glb.array(primitive["indices"]).reshape(-1, 3)
        first, second, third = (attributes["POSITION"][triangles[:, corner]].astype(float) for corner in range(3))
        faces = np.cross(second - first, third - first)
        assert ((faces * attributes["NORMAL"][triangles].sum(axis=1)).sum(axis=-1) > 0).all()  # seen from outside
    # every bone has its capsule
    assert seen == {parent for parent, _ in bones}


def test_left_is_blue_and_right_is_orange(tmp_path):
    glb, _ = written(tmp_path, walk())
    for primitive in glb.document["meshes"][0]["primitives"]:
        material = glb.document["materials"][primitive["material"]]
        red, _, blue, _ = material["pbrMetallicRoughness"]["baseColorFactor"]
        x = glb.array(primitive["attributes"]["POSITION"])[:, 0]
        if material["name"] == "left":
            assert x.mean() > 0.05 and blue > red
        elif material["name"] == "right":
            assert x.mean() < -0.05 and blue < red


def installed_validator():
    """The folder of node modules with `gltf-validator`, or a reason to skip."""
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    for folder in (os.environ.get("NODE_PATH"), os.getcwd()):
        environment = os.environ | ({"NODE_PATH": folder} if folder else {})
        probe = subprocess.run(["node", "-e", "require('gltf-validator')"], env=environment, capture_output=True)
        if probe.returncode == 0:
            return environment
    pytest.skip("the npm package gltf-validator is not installed; `npm install gltf-validator`, or set NODE_PATH")


@pytest.mark.parametrize("case", ["walk", "one frame", "kit", "random", "real", "long"])
def test_khronos_validator_finds_nothing(tmp_path, case, request):
    environment = installed_validator()
    skeleton, rng = {"kit": KIT}.get(case, HUMANML3D), np.random.default_rng(0)
    if case == "random":
        skeleton = random_skeleton(rng, 40)
    if case == "real":
        folder = request.getfixturevalue("data_dir") / "bandai_namco/new_joints"
        joints = np.load(sorted(folder.glob("*.npy"))[0])
    elif skeleton is HUMANML3D:
        joints = walk({"walk": 40, "one frame": 1, "long": 3000}[case])
    else:
        joints = random_motion(rng, skeleton, 20)
    path = tmp_path / "motion.glb"
    save_glb(joints, path, title="a person walks", skeleton=skeleton)
    done = subprocess.run(["node", "-e", VALIDATE, str(path)], env=environment, capture_output=True, text=True)
    issues = json.loads(done.stdout)
    assert issues["messages"] == [], issues
    assert (issues["numErrors"], issues["numWarnings"], issues["numInfos"], issues["numHints"]) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("joints", "message"),
    [
        (np.zeros((3, 21, 3)), "`joints` has shape"),
        (np.full((2, 22, 3), np.nan), "`joints` holds NaN or infinite values"),
        (np.zeros((2, 22, 3)), "have no length"),
    ],
)
def test_bad_input_leaves_nothing_behind(tmp_path, joints, message):
    with pytest.raises(ValueError, match=message):
        save_glb(joints, tmp_path / "motion.glb")
    assert not list(tmp_path.iterdir())


def test_too_many_joints_are_refused(tmp_path):
    skeleton = random_skeleton(np.random.default_rng(0), 256)
    with pytest.raises(ValueError, match="at most 255 joints; random has 256"):
        save_glb(np.zeros((1, 256, 3)), tmp_path / "motion.glb", skeleton=skeleton)
