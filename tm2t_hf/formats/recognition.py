# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Recognizes a body by the names of its joints: which joints of a file are those of a `Skeleton`."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from os import PathLike
from pathlib import Path

import numpy as np

from ..files import check_is_file
from ..motion import Skeleton
from .joint_names import CENTRAL_PARTS, ENDS_OF, NAMINGS, SIDE_PARTS, SKELETON_PARTS, SUBSTITUTES, Naming

SPINE = ("spine1", "spine2", "spine3")
JointMap = Mapping[str, str | Sequence[str]]
_MAX_MAP_BYTES = 2**20
_MAX_PREFIXES = 32


@dataclass(frozen=True)
class Recognition:
    """Which joints of a file stand for those of a skeleton.

    Args:
        naming: the tool whose names the joints have, or `"joint map"`.
        sources: of each joint of the skeleton, the indices of the joints of the file whose mean it is.
        guesses: what may be wrong, one clause each.
    """

    naming: str
    sources: dict[str, tuple[int, ...]]
    guesses: tuple[str, ...] = ()

    def joints(self, positions: Mapping[int, np.ndarray]) -> np.ndarray:
        """`(frames, joints, 3)` joints of the skeleton from the positions `(frames, 3)` of the file's joints."""
        means = [np.mean([positions[index] for index in indices], axis=0) for indices in self.sources.values()]
        return np.stack(means, axis=1)


def recognize(
    names: Sequence[str],
    parents: Sequence[int],
    positions: np.ndarray,
    skeleton: Skeleton,
    joint_map: JointMap | None = None,
) -> Recognition:
    """Find the joints of a skeleton among those of a file.

    Args:
        names: of the file's joints.
        parents: index of the joint that each hangs from, -1 for a root.
        positions: `(joints, 3)` the file's joints in one frame; joints that lie on each other are told apart by it.
        skeleton: whose joints are wanted.
        joint_map: for bodies that no table knows: of joints of the skeleton, the name of the joint in the file, or a
            list of names whose mean is taken. Joints that it leaves out are found by the tables.

    Raises:
        ValueError: a clause without the name of the file: the names are not known, or `joint_map` is wrong.
    """
    given = _indices_of_map(joint_map or {}, names, skeleton)
    missing = [joint for joint in skeleton.joint_names if joint not in given]
    if not missing:
        return Recognition("joint map", {joint: given[joint] for joint in skeleton.joint_names})
    exact = {name: (index,) for index, name in reversed(list(enumerate(names)))}
    if all(joint in exact for joint in missing):
        return Recognition(skeleton.name, {joint: given.get(joint) or exact[joint] for joint in skeleton.joint_names})

    body = _Body(names, parents, np.asarray(positions, dtype=np.float64))
    naming = body.find_parts()
    guesses = [] if naming else ["the names of the joints are not known"]
    parts_of = SKELETON_PARTS.get(skeleton.name, {})
    sources, unknown = {}, []
    for joint in skeleton.joint_names:
        wanted = parts_of.get(joint, (joint,))
        found = [body.parts.get(part) for part in wanted]
        if joint in given:
            sources[joint] = given[joint]
        elif all(found):
            sources[joint] = tuple(index for indices in found for index in indices)
            if len(wanted) > 1:
                guesses.append(f"{joint} is the mean of {' and '.join(wanted)}")
        else:
            unknown.append(joint)
    if unknown:
        raise ValueError(
            f"no joint is known to be {', '.join(unknown)} among {_some(names)}; name them in a joint map such as "
            f'{{"{unknown[0]}": "{names[0]}"}}'
        )
    guesses += [guess for part, guess in body.guesses.items() if part in skeleton.joint_names and part not in given]
    repeated = {names[index] for indices in sources.values() for index in indices if names.count(names[index]) > 1}
    guesses += [f"the first of several joints named {name} is used" for name in sorted(repeated)]
    return Recognition(naming.name if naming else "joint map", sources, tuple(guesses))


def read_joint_map(path: str | PathLike) -> dict[str, str | list[str]]:
    """A joint map from a JSON file: `{"pelvis": "Hips", "spine2": ["Spine", "Chest"], ...}`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not such a JSON object.
    """
    path = Path(path)
    check_is_file(path)
    problem = 'is not a JSON object such as {"pelvis": "Hips", "spine2": ["Spine", "Chest"]}'
    if path.stat().st_size > _MAX_MAP_BYTES:
        raise ValueError(f"{path} {problem}.")
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} {problem}: {error}.") from None
    if not isinstance(values, dict) or not all(
        isinstance(item, str)
        for value in values.values()
        for item in (value if isinstance(value, list) and value else [value])
    ):
        raise ValueError(f"{path} {problem}.")
    return values


def _indices_of_map(joint_map: JointMap, names: Sequence[str], skeleton: Skeleton) -> dict[str, tuple[int, ...]]:
    found = {}
    for joint, sources in joint_map.items():
        if joint not in skeleton.joint_names:
            raise ValueError(
                f"the joint map names {joint!r}, but the joints of {skeleton.name} are "
                f"{', '.join(skeleton.joint_names)}"
            )
        sources = [sources] if isinstance(sources, str) else list(sources)
        for source in sources:
            if source not in names:
                close = get_close_matches(source, names[:500], 3) or names
                raise ValueError(f"the joint map names {source!r}, but its joints are called {_some(close)}")
        found[joint] = tuple(names.index(source) for source in sources)
    return found


class _Body:
    """Finds the parts of the body (named as HumanML3D's joints) among the joints of a file."""

    def __init__(self, names: Sequence[str], parents: Sequence[int], positions: np.ndarray):
        self.names, self.parents, self.positions = names, parents, positions
        self.index = {}
        for index, name in enumerate(names):
            self.index.setdefault(_plain(name), index)
        self.close = 1e-3 * np.ptp(positions, axis=0).max()  # nearer joints are one point
        self.parts: dict[str, tuple[int, ...]] = {}
        self.guesses: dict[str, str] = {}

    def find_parts(self) -> Naming | None:
        """Fill `parts` and `guesses`; returns whose names the file has."""
        best, spine = None, ()
        for naming in NAMINGS:
            for prefix in self._prefixes(naming):
                parts = self._parts_of(naming, prefix)
                chain = [
                    self.index[name]
                    for name in (prefix + _plain(joint) for joint in naming.spine)
                    if name in self.index
                ]
                if len(parts) + len(chain) > len(self.parts) + len(spine):
                    best, spine, self.parts = naming, chain, parts
        for part, start in ENDS_OF.items():
            if part not in self.parts and start in self.parts:
                self._take_end(part, start)
        self._place_spine(spine)
        for part, others in SUBSTITUTES.items():
            # a bone without length has no direction, and some tools put collars and neck on the chest
            on_chest = part in self.parts and self._same_point(part, "spine3")
            if (part not in self.parts or on_chest) and all(other in self.parts for other in others):
                self.parts[part] = tuple(index for other in others for index in self.parts[other])
                reason = "lies on spine3" if on_chest else "is missing"
                self.guesses[part] = f"{part} {reason}: a mean of {' and '.join(dict.fromkeys(others))} is taken"
        return best

    def _prefixes(self, naming: Naming) -> list[str]:
        """What may stand before every name of this naming, judged by the names that the pelvis may have."""
        pelvis = [_plain(name) for name in naming.pelvis.split("|")]
        found = {name.removesuffix(end) for name in self.index for end in pelvis if name.endswith(end)}
        return sorted(found, key=lambda prefix: (len(prefix), prefix))[:_MAX_PREFIXES]

    def _parts_of(self, naming: Naming, prefix: str) -> dict[str, tuple[int, ...]]:
        patterns = {part: getattr(naming, part) for part in CENTRAL_PARTS}
        for side, word in zip(("left", "right"), naming.sides, strict=True):
            patterns |= {f"{side}_{part}": getattr(naming, part).replace("{}", word) for part in SIDE_PARTS}
        parts = {}
        for part, pattern in patterns.items():
            found = [name for name in (prefix + _plain(word) for word in pattern.split("|")) if name in self.index]
            if found:
                parts[part] = (self.index[found[0]],)
        return parts

    def _take_end(self, part: str, start: str):
        """The child of the joint at which the bone starts, best one without children of its own."""
        children = [child for child, parent in enumerate(self.parents) if (parent,) == self.parts[start]]
        apart = [child for child in children if self._distance(child, self.parts[start][0]) > self.close]
        if apart:
            child = max(apart, key=lambda child: self._distance(child, self.parts[start][0]))
            self.parts[part] = (child,)
            self.guesses[part] = f"{part} is missing: {self.names[child]} is taken"

    def _place_spine(self, chain: Sequence[int]):
        """spine1 to spine3 from any number of joints between pelvis and neck."""
        below, above = self.parts.get("pelvis"), self.parts.get("neck") or self.parts.get("head")
        if below is None or above is None:
            return
        joints = []
        for joint in chain:
            if all(self._distance(joint, other) > self.close for other in (*joints, *below)):
                joints.append(joint)
        if not joints:
            places = (3 * below + above, below + above, below + 3 * above)
            self.guesses |= {part: f"{part} is missing: a mean of pelvis and neck is taken" for part in SPINE}
        elif len(joints) == 1:
            places = (below + (joints[0],), (joints[0],), (joints[0],) + above)
            self.guesses |= {part: f"{part} is missing: a mean of its neighbors is taken" for part in SPINE[::2]}
        elif len(joints) == 2:
            places = ((joints[0],), tuple(joints), (joints[1],))
        else:
            places = ((joints[0],), (joints[len(joints) // 2],), (joints[-1],))
        self.parts |= dict(zip(SPINE, places, strict=True))

    def _same_point(self, part: str, other: str) -> bool:
        first, second = (self.positions[list(self.parts.get(name, ()))] for name in (part, other))
        return len(first) and len(second) and np.linalg.norm(first.mean(0) - second.mean(0)) <= self.close

    def _distance(self, joint: int, other: int) -> float:
        return float(np.linalg.norm(self.positions[joint] - self.positions[other]))


def _plain(name: str) -> str:
    """Lower case, letters and digits only: `Left_Up-Leg` -> `leftupleg`."""
    return re.sub(r"[\W_]+", "", name.lower())


def _some(names: Sequence[str]) -> str:
    """The first names, for a message."""
    return ", ".join(name[:40] for name in names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
