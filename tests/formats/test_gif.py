# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""GIFs: frames, times, what is where in the picture; bad input."""

import builtins

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tm2t_hf.formats import gif, save_gif, save_motion
from tm2t_hf.formats.gif import BACKGROUND, LEFT, PATH, RIGHT, draw_motion
from tm2t_hf.motion import HUMANML3D, KIT

Image = pytest.importorskip("PIL.Image")


def stand(frames=3, travel=0.0):
    """A person of 1.7 m who stands with the arms hanging, facing +z, and is moved along +z over the frames."""
    names = {
        "pelvis": (0, 0.95),
        "left_hip": (0.1, 0.9),
        "left_knee": (0.1, 0.5),
        "left_ankle": (0.1, 0.1),
        "left_toe": (0.1, 0.0),
        "spine1": (0, 1.05),
        "spine2": (0, 1.15),
        "spine3": (0, 1.25),
        "neck": (0, 1.45),
        "head": (0, 1.55),
        "left_collar": (0.08, 1.4),
        "left_shoulder": (0.18, 1.4),
        "left_elbow": (0.22, 1.1),
        "left_wrist": (0.24, 0.85),
    }
    pose = np.zeros((22, 3))
    for joint, name in enumerate(HUMANML3D.joint_names):
        x, y = names.get(name) or names[name.replace("right", "left")]
        pose[joint] = (-x if name.startswith("right") else x, y, 0.12 if name.endswith("toe") else 0)
    return pose + np.linspace(0, travel, frames)[:, None, None] * [0, 0, 1]


def where(image, color):
    """Rows and columns of the pixels of a color."""
    distance = np.abs(np.asarray(image, dtype=int) - color).sum(axis=-1)
    return np.argwhere(distance < 30)


def test_the_figure_stands_upright_its_left_on_our_right():
    (image,) = draw_motion(stand(1), size=240)
    assert image.size == (240, 240)
    left, right = where(image, LEFT), where(image, RIGHT)
    assert len(left) > 100 and len(right) > 100
    assert left[:, 1].mean() > right[:, 1].mean()
    head, feet = stand(1)[0, 15], stand(1)[0, 10]
    assert head[1] > feet[1]
    assert where(image, gif.MIDDLE)[:, 0].mean() < left[:, 0].mean()  # the trunk is above the legs


def test_the_trunk_is_filled_between_shoulders_and_hips():
    (image,) = draw_motion(stand(1), size=240)
    rows, _ = where(image, gif.MIDDLE).T
    assert all((rows == row).sum() > 14 for row in range(84, 103))  # from below the arms down to the hips


@pytest.mark.parametrize("travel", [0.0, 2.5, 12.0])
def test_the_figure_is_whole_and_well_sized_in_every_frame(travel):
    for image in draw_motion(stand(5, travel), size=240):
        figure = np.concatenate([where(image, color) for color in (LEFT, RIGHT, gif.MIDDLE)])
        assert figure.min() > 4 and figure.max() < 235
        assert np.ptp(figure[:, 0]) > 240 * 0.35


def test_a_figure_that_travels_moves_to_the_right_over_the_floor():
    first, *_, last = draw_motion(stand(5, 2.0), size=240)
    columns = [where(image, gif.MIDDLE)[:, 1].mean() for image in (first, last)]
    assert columns[1] > columns[0] + 20
    assert len(where(last, gif.PATH)) > 20


def test_the_title_is_wrapped_and_makes_room():
    title = "a person walks forward and waves the left hand and then turns around and walks back to where they began"
    plain, titled = (draw_motion(stand(1), title=text, size=240)[0] for text in (None, title))
    assert len(where(titled, gif.INK)) > len(where(plain, gif.INK))
    tops = [where(image, RIGHT)[:, 0].min() for image in (plain, titled)]
    assert tops[1] > tops[0]
    draw_motion(stand(1), title="x" * 500, size=120)


@pytest.mark.parametrize("fps", [20, 12.5, 30, 120])
def test_gif_times_add_up(tmp_path, fps):
    path = tmp_path / "motion.gif"
    save_gif(stand(int(2 * fps), 1.0), path, fps=fps, title="a person walks", size=120)
    with Image.open(path) as gif:
        durations = []
        for frame in range(gif.n_frames):
            gif.seek(frame)
            durations.append(gif.info["duration"])
        assert gif.size == (120, 120) and gif.info["loop"] == 0
    assert sum(durations) == pytest.approx(2000, abs=20)
    assert min(durations) >= 20
    if fps == 20:
        assert durations == [50] * 40
    assert [file.name for file in tmp_path.iterdir()] == ["motion.gif"]


def test_the_suffix_decides(tmp_path):
    joints = stand(4)
    save_motion(joints, tmp_path / "motion.npy")
    np.testing.assert_allclose(np.load(tmp_path / "motion.npy"), joints, atol=1e-6)
    assert np.load(tmp_path / "motion.npy").dtype == np.float32
    save_motion(joints, tmp_path / "motion.GIF", fps=20, title="a person")
    with Image.open(tmp_path / "motion.GIF") as gif:
        assert gif.format == "GIF"
    with pytest.raises(ValueError, match="motion.fbx must end in one of .gif, "):
        save_motion(joints, tmp_path / "motion.fbx")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["motion.GIF", "motion.npy"]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.01, 5), frames=st.integers(1, 3))
def test_any_motion_of_any_skeleton_is_drawn(seed, scale, frames):
    rng = np.random.default_rng(seed)
    for skeleton in (HUMANML3D, KIT):
        joints = rng.normal(size=(frames, skeleton.num_joints, 3)) * scale
        for image in draw_motion(joints, skeleton=skeleton, size=96):
            assert len(where(image, BACKGROUND)) < 96 * 96


def test_a_figure_shrunk_to_a_point_is_drawn():
    assert len(draw_motion(np.zeros((2, 22, 3)), size=96)) == 2


@pytest.mark.parametrize(
    ("joints", "message"),
    [
        (np.zeros((3, 21, 3)), r"`joints` has shape \(3, 21, 3\), but joints of the humanml3d .* \(frames, 22, 3\)"),
        (np.zeros((0, 22, 3)), "`joints` has no frames"),
        (np.full((2, 22, 3), np.nan), "`joints` holds NaN or infinite values"),
    ],
)
def test_bad_joints_are_named(joints, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        save_gif(joints, tmp_path / "motion.gif")
    assert not list(tmp_path.iterdir())


def test_a_bad_frame_rate_is_named(tmp_path):
    with pytest.raises(ValueError, match="fps=0 must be above 0"):
        save_gif(stand(), tmp_path / "motion.gif", fps=0)


def test_without_pillow_the_extra_is_named(monkeypatch, tmp_path):
    real = builtins.__import__

    def without_pillow(name, *args, **kwargs):
        if name.startswith("PIL"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pillow)
    with pytest.raises(ImportError, match=r"pip install -e \.\[render\]"):
        save_gif(stand(), tmp_path / "motion.gif")


def test_a_path_that_only_the_end_shows_has_its_color(tmp_path):
    joints = stand(40)
    joints[31:] += np.linspace(0, 2, 9)[:, None, None] * [0, 0, 1]
    save_gif(joints, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as image:
        image.seek(image.n_frames - 1)
        distance = np.abs(np.asarray(image.convert("RGB"), dtype=int) - PATH).sum(axis=-1)
    assert (distance < 20).sum() > 50
