# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Shards of clips, streams of them, and what an index in the cache saves."""

import errno
import io
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor

import datasets
import numpy as np
import pytest
import torch
from datasets.distributed import split_dataset_by_node
from mutations import MUTATIONS, mutated

from tm2t_hf.configuration_motion_vq import MotionVQConfig
from tm2t_hf.data import MotionColumn, load_motion_dataset, tokenize_motions, write_shards
from tm2t_hf.data.shards import find_shards, hub_data_set
from tm2t_hf.feature_extraction_motion import MotionFeatureExtractor
from tm2t_hf.modeling_motion_vq import MotionVQModel
from tm2t_hf.skeletons import HUMANML3D

LENGTHS = {"a": 40, "s1/b": 90, "c": 21, "d": 24, "e": 33}
TEXT = "a person waves#a/DET#0.0#0.0\nthe left hand#b/DET#0.0#0.0\npart of it#c/DET#0.5#1.5\n"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def folder(tmp_path):
    """Five clips, each with a part of 20 frames."""
    folder = tmp_path / "data"
    for clip, frames in LENGTHS.items():
        for kind in ("new_joint_vecs", "texts"):
            (folder / kind / clip).parent.mkdir(parents=True, exist_ok=True)
        features = np.random.default_rng(frames).normal(size=(frames, 263)).astype(np.float32)
        np.save(folder / "new_joint_vecs" / f"{clip}.npy", features)
        (folder / "texts" / f"{clip}.txt").write_text(TEXT)
    (folder / "train.txt").write_text("\n".join(LENGTHS))
    for name in ("Mean", "Std"):
        np.save(folder / f"{name}.npy", np.ones(263, dtype=np.float32))
    return folder


@pytest.fixture
def shards(folder, tmp_path):
    return write_shards(folder, tmp_path / "shards", clips_per_shard=3)


@pytest.fixture
def tars(folder, tmp_path):
    """The same in the webdataset layout."""
    target = tmp_path / "tars"
    target.mkdir()
    for number, clips in enumerate((["a", "s1/b"], ["c", "d", "e"])):
        with tarfile.open(target / f"train-{number:05d}.tar", "w") as archive:
            for clip in clips:
                archive.add(folder / "new_joint_vecs" / f"{clip}.npy", f"{clip}.npy")
                archive.add(folder / "texts" / f"{clip}.txt", f"{clip}.txt")
    return target


def rows_of(dataset) -> dict:
    return {row["id"]: {**row, "features": row["features"].tolist()} for row in dataset}


def test_shards_hold_what_the_folder_holds(folder, shards, tars):
    assert sorted(path.name for path in shards.iterdir()) == [
        "Mean.npy", "Std.npy", *(f"train-{number:05d}.parquet" for number in range(4))
    ]  # fmt: skip
    expected = rows_of(load_motion_dataset(folder, "train"))
    assert len(expected) == 8  # two parts are too short
    for source in (shards, tars):
        for streaming in (False, True):
            dataset = load_motion_dataset(source, "train", streaming=streaming)
            assert isinstance(dataset, datasets.IterableDataset) == streaming
            assert rows_of(dataset) == expected
    assert rows_of(load_motion_dataset(folder, "train", streaming=True)) == expected


def test_limits_and_variants_of_shards(folder, shards):
    options = {"min_frames": 24, "mirror": True, "speeds": [1.0, 1.25], "repeats": {"d": 2}}
    expected = rows_of(load_motion_dataset(folder, "train", **options))
    assert {"a", "Ma", "a*1.25", "s1/Mb", "d#2", "Md*1.25#2"} <= expected.keys()
    for streaming in (False, True):
        assert rows_of(load_motion_dataset(shards, "train", streaming=streaming, **options)) == expected


def test_stored_variants_are_those_made_on_the_fly(folder):
    options = {"mirror": True, "speeds": [1.0, 0.9]}
    stored = load_motion_dataset(folder, "train", store_variants=True, **options)
    made = load_motion_dataset(folder, "train", **options)
    assert rows_of(stored) == rows_of(made)
    raw = MotionColumn(HUMANML3D.to_dict(), decode=False)
    values = [
        [row["features"]["values"] is not None for row in each.cast_column("features", raw)] for each in (stored, made)
    ]
    # the rows themselves are never copied
    assert values == [[False] * 8 + [True] * 24, [False] * 32]


def test_a_stream_resumes_from_its_state(shards):
    stream = load_motion_dataset(shards, "train", streaming=True)
    straight = [row["id"] for row in stream]
    for stop in (1, 4):
        rows = iter(stream)
        first = [next(rows)["id"] for _ in range(stop)]
        state = stream.state_dict()
        again = load_motion_dataset(shards, "train", streaming=True)
        again.load_state_dict(state)
        assert first + [row["id"] for row in again] == straight


def test_processes_share_the_files(shards):
    stream = load_motion_dataset(shards, "train", streaming=True)
    assert stream.num_shards == 4
    parts = [[row["id"] for row in split_dataset_by_node(stream, rank, 2)] for rank in range(2)]
    assert all(parts) and sorted(sum(parts, [])) == sorted(row["id"] for row in stream)


def test_codes_of_a_stream_and_by_workers(folder, shards):
    torch.manual_seed(0)
    vq = MotionVQModel(MotionVQConfig(hidden_size=16, codebook_size=32)).eval()
    extractor = MotionFeatureExtractor(HUMANML3D, mean=np.zeros(263), std=np.ones(263))
    state = torch.get_rng_state()
    plain = tokenize_motions(load_motion_dataset(folder, "train"), vq, extractor, num_offsets=2)
    assert torch.equal(torch.get_rng_state(), state), "training must not depend on what is in the cache"
    streamed = tokenize_motions(load_motion_dataset(shards, "train", streaming=True), vq, extractor, num_offsets=2)
    assert list(streamed) == list(plain)
    stored = load_motion_dataset(folder, "train", max_frames=198)  # other limits: not in the cache
    workers = tokenize_motions(stored, vq, extractor, num_offsets=2, batch_size=4, num_workers=2)
    assert list(workers) == list(plain)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b"half"), "train-00001.parquet is not a whole shard of motions"),
        (lambda path: path.write_bytes(path.read_bytes()[:-500]), "train-00001.parquet is not a whole shard"),
    ],
)
def test_damaged_shards(shards, damage, message):
    damage(shards / "train-00001.parquet")
    for streaming in (True, False):
        with pytest.raises(ValueError, match=message):
            list(load_motion_dataset(shards, "train", streaming=streaming))


@pytest.mark.parametrize("kind", ["shards", "tars"])
def test_mutated_shards_end_in_a_result_or_one_sentence(request, kind):
    folder = request.getfixturevalue(kind)
    path, *others = sorted(folder.glob("train-*"))
    for other in others:
        other.unlink()
    whole, refused = path.read_bytes(), 0
    for seed in range(MUTATIONS):
        path.write_bytes(mutated(whole, np.random.default_rng(seed)))
        try:
            list(load_motion_dataset(folder, "train", streaming=True))
        except ValueError as error:
            refused += 1
            assert f"{path.name} is not a whole shard of motions (" in str(error) and "\n" not in str(error), seed
    assert refused > MUTATIONS // 2


def test_an_error_of_the_disk_is_no_damage(shards, monkeypatch):
    def unreadable(*arguments, **options):
        raise OSError(errno.EIO, "Input/output error", "train-00000.parquet")

    monkeypatch.setattr("tm2t_hf.data.shards.fsspec.open", unreadable)
    with pytest.raises(OSError, match="Input/output error: 'train-00000.parquet'"):
        list(load_motion_dataset(shards, "train", streaming=True))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((30, 251), np.float32), r"the features of x have shape \(30, 251\), but humanml3d needs"),
        (np.full((30, 263), np.nan), "the features of x are NaN or infinite"),
        (np.array([["a"] * 263] * 30), "the features of x are <U1, not real numbers"),
        (np.array([{}], dtype=object), "Object arrays cannot be loaded"),
    ],
)
def test_bad_motions_in_a_shard(tmp_path, array, message):
    content = io.BytesIO()
    np.save(content, array, allow_pickle=True)
    with tarfile.open(tmp_path / "train-0.tar", "w") as archive:
        for suffix, data in (("npy", content.getvalue()), ("txt", b"a person waves")):
            member = tarfile.TarInfo(f"x.{suffix}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    with pytest.raises(ValueError, match=f"train-0.tar is not a whole shard of motions .{message}"):
        list(load_motion_dataset(tmp_path, "train", streaming=True))


def test_threads_read_one_array_at_a_time(shards, monkeypatch):
    """Python 3.11 cannot parse two headers at once."""
    read, reading, at_once = np.lib.format.read_array, [], []

    def read_slowly(*arguments, **options):
        reading.append(None)
        at_once.append(len(reading))
        time.sleep(0.01)
        reading.pop()
        return read(*arguments, **options)

    monkeypatch.setattr(np.lib.format, "read_array", read_slowly)
    stream = load_motion_dataset(shards, "train", streaming=True)
    with ThreadPoolExecutor(2) as threads:
        ids = list(threads.map(lambda number: [row["id"] for row in stream], range(2)))
    assert ids[0] == ids[1] and len(at_once) > 2 * len(LENGTHS) and set(at_once) == {1}


def test_where_shards_are_looked_for(folder, shards, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_shards(folder, "train") is None and find_shards(shards, "val") is None
    for name in ("shards", "data/more", "data/more@v1", "your-name/motions@", "your-name/motions/train"):
        assert hub_data_set(name) is None
    assert hub_data_set("your-name/motions") == ("your-name/motions", None)
    assert hub_data_set("your-name/motions@refs/pr/1") == ("your-name/motions", "refs/pr/1")
    with pytest.raises(FileNotFoundError, match="There is no data folder your-name/motions, and the Hub gave no data"):
        load_motion_dataset("your-name/motions", "train")
    with pytest.raises(ValueError, match="further_texts names folders, but .*shards holds shards"):
        load_motion_dataset(shards, "train", further_texts=["texts_people"])
    with pytest.raises(FileNotFoundError, match="data has no split file, so there is nothing to write shards of"):
        write_shards(folder, tmp_path / "none", splits=["val"])
