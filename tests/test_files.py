# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Files written whole or not at all, and read, whatever they hold, to a result or one sentence that names them."""

import errno
import os
import shutil

import numpy as np
import pytest
from mutations import MUTATIONS, mutated

from tm2t_hf.data import check, load_motion_dataset, prepare, read_captions, read_split
from tm2t_hf.files import load_array, load_statistics, read_text, save_array, written_beside
from tm2t_hf.toy import make_toy_dataset


def test_an_error_keeps_the_old_file_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), written_beside(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    path = tmp_path / "model"
    path.mkdir()
    (path / "weights").write_text("old")
    replace = os.replace

    def fails(source, target):
        if str(source).endswith(".part") and target == path and not str(source).endswith(".old.part"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="model cannot be written: No space left"), written_beside(path) as part:
        part.mkdir()
    assert (path / "weights").read_text() == "old" and os.listdir(tmp_path) == ["model"]


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    def full(file, array, allow_pickle):
        file.write(b"half")
        raise OSError("100 requested and 4 written")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="a.npy cannot be written: 100 requested and 4 written"):
        save_array(tmp_path / "a.npy", np.zeros(3))
    assert not os.listdir(tmp_path)
    with pytest.raises(OSError, match="no/a.npy cannot be written: No such file or directory"):
        save_array(tmp_path / "no" / "a.npy", np.zeros(3))


def test_text(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffé\r\nb".encode())
    assert read_text(path) == "é\nb"
    path.write_bytes("é".encode("latin-1"))
    with pytest.raises(ValueError, match="a.txt is not UTF-8 text"):
        read_text(path)
    with pytest.raises(FileNotFoundError, match="b.txt is missing"):
        read_text(tmp_path / "b.txt")


def test_a_folder_is_no_file(tmp_path):
    for read in (read_text, load_array):
        with pytest.raises(ValueError, match=f"{tmp_path} is a folder, not a file"):
            read(tmp_path)


READERS = {
    "new_joints/{clip}.npy": lambda folder, path: load_array(path),
    "new_joint_vecs/{clip}.npy": lambda folder, path: load_array(path),
    "texts/{clip}.txt": lambda folder, path: read_captions(path),
    "train.txt": lambda folder, path: read_split(folder, "train"),
    "Std.npy": lambda folder, path: load_statistics(folder),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.filterwarnings("ignore")
def test_mutated_files_end_in_a_result_or_one_sentence(name, tmp_path_factory):
    folder = make_toy_dataset(tmp_path_factory.mktemp("fuzz") / "toy", num_clips=10)
    path = folder / name.format(clip=read_split(folder, "train")[0])
    whole = path.read_bytes()
    refused = 0
    for seed in range(MUTATIONS):
        rng = np.random.default_rng(seed)
        path.write_bytes(mutated(whole, rng))
        assert all(isinstance(problem, str) for problem in check(folder))  # it never raises
        uses = [lambda: READERS[name](folder, path), lambda: load_motion_dataset(folder, "train")]
        for use in uses[: 2 if seed % 20 == 0 else 1]:  # the second is slow
            try:
                use()
            except (ValueError, FileNotFoundError) as error:
                refused += 1
                message = str(error)
                assert "\n" not in message and (path.name in message or "has no features" in message), (seed, message)
    assert refused
    if name.startswith("new_joints"):
        for seed in range(0, MUTATIONS, 6):
            path.write_bytes(mutated(whole, np.random.default_rng(seed)))
            shutil.rmtree(folder / "new_joint_vecs")
            try:
                prepare(folder)
            except ValueError as error:
                assert path.name in str(error) and "\n" not in str(error), seed
