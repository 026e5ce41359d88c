# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""A folder in the HumanML3D layout from recordings of any tool and one file with their captions."""

import csv
import io
import json
import logging
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from ..files import read_text, save_array, written_beside
from ..formats.reading import READERS, check_arguments, import_motion
from ..formats.recognition import JointMap, read_joint_map
from ..lemmas import tag_words
from ..plausibility import problems_of
from ..skeletons import HUMANML3D, Skeleton
from .folder import SPLITS

logger = logging.getLogger(__name__)

KEYS = ("file", "caption", "captions", "start", "end", "split")
MADE_HERE = {"new_joints", "new_joint_vecs", "texts", "Mean.npy", "Std.npy", "prepared.json", "prepared_joints.json"}
SHARES = {"train": 0.8, "val": 0.05, "test": 0.15}  # of the clips, as in HumanML3D
SHORTEST = 5  # frames: features have one less, and a motion token takes four of those
SLACK = 0.5  # seconds that a caption may go on after the end of its recording


@dataclass(frozen=True)
class ImportedRecordings:
    """What `import_recordings` made and what it left out.

    Args:
        folder: the folder that was made.
        clips: the ids of its clips.
        left_out: how many clips are missing.
        problems: why, one sentence each, with the lines of the caption file.
    """

    folder: Path
    clips: tuple[str, ...]
    left_out: int
    problems: tuple[str, ...]


@dataclass
class _Clip:
    """A recording, or a part of one, with what the rows of the caption file say about it."""

    file: str
    start: float | None
    end: float | None
    split: str | None
    captions: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)


def import_recordings(
    recordings_dir: str | PathLike,
    captions: str | PathLike,
    output_dir: str | PathLike,
    skeleton: Skeleton = HUMANML3D,
    joint_map: JointMap | str | PathLike | None = None,
    unit: float | str | None = None,
    up: str | None = None,
    fps: float | None = None,
    smpl_order: bool = False,
    seed: int = 0,
    overwrite: bool = False,
) -> ImportedRecordings:
    """Make `new_joints`, `texts` and the split files from recordings; `prepare` makes the rest.

    A line of the caption file is one JSON object (`.jsonl`), or one row below a header (`.csv`), with

    - `file`: the recording, relative to `recordings_dir`: `.bvh`, `.npz` or `.npy`, as `read_motion` reads them;
    - `caption` or `captions`: a string or a list of strings, which a table holds as JSON. Rows of the same part of a
      file share a clip;
    - `start` and `end`, optional: the part of the recording in seconds. A part becomes a clip of its own, whose id is
      `<file>_<start>-<end>`;
    - `split`, optional: train, val or test. Files without one are drawn: about 80 % of the clips for training, 5 %
      for validation, 15 % for testing, all parts of a recording in the same split.

    Captions are tagged by `tag_words`; where lemminflect is not installed, every word of them gets the tag OTHER.

    What cannot be used is logged, with its line, and left out. The folder is moved into place when it is whole.

    Args:
        recordings_dir: folder with the recordings, which may have sub-folders.
        captions: the caption file, UTF-8.
        output_dir: folder to make.
        skeleton: whose joints are wanted; they are written in its unit and at its frame rate.
        joint_map: as for `read_motion`, as are `unit`, `up` and `smpl_order`.
        unit: what the recordings are measured in, if not to be found from their size.
        up: the axis that points up in the recordings, if not to be found from the motion.
        fps: frames per second of the recordings, where the files do not say or say something wrong.
        smpl_order: take the first 22 joints of arrays with the joints of SMPL (24), SMPL-H (52) or SMPL-X.
        seed: another seed draws other splits.
        overwrite: replace `output_dir`, if it holds nothing but such a folder.

    Raises:
        FileNotFoundError: there is no such folder, caption file or joint map.
        ValueError: an argument is out of range, `output_dir` holds something, the caption file is not one, or no clip
            could be made, or none for training.
    """
    recordings, captions, output = Path(recordings_dir), Path(captions), Path(output_dir).absolute()
    check_arguments(skeleton.fps, unit, up, fps)
    if isinstance(joint_map, (str, PathLike)):
        joint_map = read_joint_map(joint_map)
    if not recordings.is_dir():
        raise FileNotFoundError(f"There is no folder {recordings} with recordings.")
    _check_output(output, recordings, captions, overwrite)
    problems: list[str] = []
    left_out = 0

    def leave_out(lines: Iterable[int], reason: str, clips: int = 1):
        nonlocal left_out
        problems.append(f"{captions}, {_in_words(lines)}: {reason}")
        left_out += clips

    files: dict[str, dict[tuple, _Clip]] = defaultdict(dict)
    for line, row in _read_rows(captions):
        try:
            clip = _clip_of_row(row, recordings)
        except ValueError as error:
            leave_out([line], str(error))
            continue
        known = files[clip.file].setdefault((clip.start, clip.end), clip)
        if clip.split and known.split and clip.split != known.split:
            leave_out([line], f"puts {clip.file} into {clip.split}, but line {known.lines[0]} into {known.split}.")
            continue
        known.split = known.split or clip.split
        if known is not clip:
            known.captions += clip.captions
        known.lines.append(line)
    _tell_of_the_rest(recordings, files, fps)

    made: dict[str, _Clip] = {}
    output.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(output) as part:
        for folder in ("new_joints", "texts"):
            (part / folder).mkdir(parents=True)
        for file, clips in tqdm(files.items(), desc="Recordings", unit="file"):
            try:
                motion = import_motion(
                    recordings / file, skeleton, skeleton.fps, joint_map, unit, up, fps, smpl_order
                ).joints
            except (ValueError, OSError) as error:
                leave_out((line for clip in clips.values() for line in clip.lines), str(error), len(clips))
                continue
            for clip in clips.values():
                try:
                    name, joints = _cut(motion, clip, skeleton)
                    if name in made:
                        raise ValueError(f"{file} and {made[name].file} would both be the clip {name}; rename one.")
                except ValueError as error:
                    leave_out(clip.lines, str(error))
                    continue
                made[name] = clip
                _save_clip(part, name, joints, clip.captions)
        for problem in problems:  # not earlier, because the progress bar would be in the way
            logger.warning("Left out: %s", problem)
        if not made:
            raise ValueError(f"No clip could be made: {problems[0] if problems else f'{captions} has no rows.'}")
        splits = _splits(made, seed)
        if "train" not in splits.values():
            raise ValueError(f"{captions} gives no clip the split train; leave out `split` to have it drawn.")
        for split in SPLITS:
            if ids := [name for name in sorted(made) if splits[name] == split]:
                (part / f"{split}.txt").write_text("".join(f"{name}\n" for name in ids), encoding="utf-8")
    return ImportedRecordings(Path(output_dir), tuple(sorted(made)), left_out, tuple(problems))


def caption_line(caption: str) -> str:
    """The line of a caption of a whole clip in a text file, `caption#lemma/POS ...#0.0#0.0`.

    Where lemminflect is not installed, words are not lemmatized and have the tag OTHER.
    """
    caption = " ".join(caption.replace("#", " ").split())
    try:
        tagged = tag_words(caption)
    except ImportError:
        tagged = [(word, "OTHER") for word in re.findall(r"[^\W\d_]+", caption.lower())]
    return f"{caption}#{' '.join('/'.join(pair) for pair in tagged)}#0.0#0.0"


def _check_output(output: Path, recordings: Path, captions: Path, overwrite: bool):
    """Only what was made here may be replaced."""
    resolved = output.resolve()
    for path in (recordings, captions):
        if resolved in (path.resolve(), *path.resolve().parents):
            raise ValueError(f"{path} lies in {output}, the folder to make; give another one.")
    if output.exists() and not output.is_dir():
        raise ValueError(f"{output} is a file; give a folder to make.")
    held = sorted(path.name for path in output.iterdir()) if output.exists() else []
    if held and not overwrite:
        raise ValueError(f"{output} is not empty; give a new folder, or pass overwrite to make it again.")
    if foreign := [name for name in held if name not in MADE_HERE and name.removesuffix(".txt") not in SPLITS]:
        raise ValueError(f"{output} holds {foreign[0]}, which overwrite would remove; give another folder.")


def _read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | ValueError]]:
    """Line number and values of each row; of a row that cannot be read, what is wrong with it."""
    reader = {".jsonl": _read_jsonl, ".csv": _read_csv}.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"{path} must end in .jsonl (one JSON object per line) or .csv (with a header).")
    unused: set[str] = set()
    for line, row in reader(path, read_text(path)):
        unused |= set(row) - set(KEYS) if isinstance(row, dict) else set()
        yield line, row
    if unused:
        logger.warning("%s: not used are %s; the keys are %s.", path, ", ".join(sorted(unused)), ", ".join(KEYS))


def _read_jsonl(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any] | ValueError]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            row = ValueError(f"is not JSON: {error}.")
        yield number, row if isinstance(row, (dict, ValueError)) else ValueError("is not a JSON object.")


def _read_csv(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any] | ValueError]]:
    header = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=header.count)  # spreadsheets write all three
    rows = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)  # or an open quote would swallow the rest
    try:
        keys = [key.strip().lower() for key in next(rows, [])]
        if "file" not in keys or not {"caption", "captions"} & set(keys):
            raise ValueError(f"{path} has no header with the columns file and caption; its first line is {header!r}.")
        for row in rows:
            if len(row) > len(keys):
                problem = f"has {len(row)} cells for {len(keys)} columns; put a caption with {delimiter!r} in quotes."
                yield rows.line_num, ValueError(problem)
            elif any(cell.strip() for cell in row):
                yield rows.line_num, dict(zip(keys, row, strict=False))
    except csv.Error as error:
        problem = f"is not CSV ({error}), and nothing after it is read; is a quote left open?"
        yield rows.line_num, ValueError(problem)


def _clip_of_row(row: dict[str, Any] | ValueError, recordings: Path) -> _Clip:
    """What a row says, checked; a ValueError is the end of a sentence."""
    if isinstance(row, ValueError):
        raise row
    start, end = (_seconds(row.get(key), key) for key in ("start", "end"))
    if (start or 0.0) == 0.0 and (end or 0.0) == 0.0:
        start = end = None  # the whole clip, as in the text files
    elif end is not None and end <= (start or 0.0):
        raise ValueError(f"ends at {end:g} s, not after its start at {start or 0:g} s.")
    split = row.get("split") or None
    if isinstance(split, str):
        split = split.strip().lower() or None
    if split is not None and split not in SPLITS:
        raise ValueError(f"has the split {split!r}, but it must be one of {', '.join(SPLITS)}.")
    file = _file_of_row(row, recordings)
    return _Clip(file, start, end, split, _captions_of_row(row))


def _file_of_row(row: dict[str, Any], recordings: Path) -> str:
    file = row.get("file")
    if not isinstance(file, str) or not file.strip():
        raise ValueError("names no file; its `file` must be the path of a recording.")
    path = PurePosixPath(file.strip().replace("\\", "/"))
    if path.is_absolute() and path.is_relative_to(recordings.absolute().as_posix()):
        path = path.relative_to(recordings.absolute().as_posix())
    if path.is_absolute() or ".." in path.parts or not str(path).isprintable():
        raise ValueError(f"names the file {file!r}, which does not lie in {recordings}.")
    return str(path)


def _captions_of_row(row: dict[str, Any]) -> list[str]:
    captions = []
    for key in ("caption", "captions"):
        value = row.get(key)
        values = _list_in(value) if isinstance(value, str) else [] if value is None else value
        if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
            raise ValueError(f"has {key} that are neither a string nor a list of strings.")
        captions += values
    captions = [" ".join(caption.replace("#", " ").split()) for caption in captions]
    if not any(map(str.isalnum, "".join(captions))):
        raise ValueError("has no caption.")
    return [caption for caption in captions if any(map(str.isalnum, caption))]


def _list_in(text: str) -> list:
    """The items of a JSON list, which a cell of a table may hold, or the text itself."""
    if text.strip().startswith("["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            pass
    return [text]


def _seconds(value: Any, key: str) -> float | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ValueError(f"has the {key} {value!r}, which is not a time in seconds.")
    return seconds


def _tell_of_the_rest(recordings: Path, files: dict[str, Any], fps: float | None):
    """Recordings that no row names, and frame rates that no file names."""
    found = (path.relative_to(recordings) for path in recordings.rglob("*") if path.suffix.lower() in READERS)
    if unnamed := sorted({path.as_posix() for path in found} - set(files)):
        logger.warning("There is no caption for %s of %s.", _some(unnamed), recordings)
    if fps is None and any(file.lower().endswith(".npy") for file in files):
        logger.warning(
            "The .npy files do not say their frame rate: it is taken for the skeleton's unless you pass fps (--fps)."
        )


def _cut(motion: np.ndarray, clip: _Clip, skeleton: Skeleton) -> tuple[str, np.ndarray]:
    """Id and joints of a clip, in the skeleton's unit.

    Args:
        motion: `(frames, joints, 3)` in meters, the whole recording.
        clip: the part wanted.
        skeleton: skeleton of the joints.
    """
    name = str(PurePosixPath(clip.file).with_suffix("")).strip()
    seconds = (len(motion) - 1) / skeleton.fps
    if clip.start is not None or clip.end is not None:
        start, end = clip.start or 0.0, seconds if clip.end is None else clip.end
        if start >= seconds or end > seconds + SLACK:
            raise ValueError(
                f"{clip.file} is {seconds:.4g} s long, but the part is from {start:g} to {end:g} s; leave `end` "
                "out for all that follows `start`."
            )
        motion = motion[round(start * skeleton.fps) : round(end * skeleton.fps) + 1]
        name = f"{name}_{round(start, 2):g}-{round(end, 2):g}"
    if len(motion) < SHORTEST:
        raise ValueError(f"{name} has {len(motion)} frames at {skeleton.fps:g} fps; a clip needs {SHORTEST} or more.")
    joints = (motion / skeleton.metres_per_unit).astype(np.float32)
    if problems := problems_of(joints, skeleton):
        raise ValueError(f"{name} {problems[0]}.")
    return name, joints


def _save_clip(folder: Path, name: str, joints: np.ndarray, captions: Sequence[str]):
    for path in (folder / "new_joints" / f"{name}.npy", folder / "texts" / f"{name}.txt"):
        path.parent.mkdir(parents=True, exist_ok=True)
    save_array(folder / "new_joints" / f"{name}.npy", joints)
    text = "".join(f"{caption_line(caption)}\n" for caption in dict.fromkeys(captions))
    (folder / "texts" / f"{name}.txt").write_text(text, encoding="utf-8")


def _splits(clips: dict[str, _Clip], seed: int) -> dict[str, str]:
    """The split of each clip: given by its row, or else by another part of its file, or else drawn for its file."""
    of_file = {clip.file: clip.split for clip in clips.values() if clip.split}
    several = sorted({clip.file for clip in clips.values() if clip.split and clip.split != of_file[clip.file]})
    if several:
        logger.warning("There are parts in more than one split of %s.", _some(several))
    counts = Counter(dict.fromkeys(SPLITS, 0))
    counts.update(clip.split or of_file[clip.file] for clip in clips.values() if clip.file in of_file)
    sizes = Counter(clip.file for clip in clips.values() if clip.file not in of_file)
    files = sorted(sizes)
    files = [files[index] for index in np.random.default_rng(seed).permutation(len(files))]

    def take(file: str, split: str):
        of_file[file] = split
        counts[split] += sizes[file]

    for split in ("val", "test"):  # both get a clip where there are enough files
        if not counts[split] and len(files) > (not counts["train"]):
            smallest = min(files, key=sizes.__getitem__)
            files.remove(smallest)
            take(smallest, split)
    for file in files:
        take(file, max(SPLITS, key=lambda split: SHARES[split] * len(clips) - counts[split]))
    return {name: clip.split or of_file[clip.file] for name, clip in clips.items()}


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _in_words(lines: Iterable[int]) -> str:
    lines = sorted(lines)
    return f"line {lines[0]}" if len(lines) == 1 else f"lines {', '.join(map(str, lines))}"
