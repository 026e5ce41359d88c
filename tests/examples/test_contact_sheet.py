# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Pictures of prompts, by the tiny models of `common_fixtures.py`."""

import json

import contact_sheet
import numpy as np
import pytest
from PIL import Image

from tm2t_hf import HUMANML3D
from tm2t_hf.toy import make_toy_clip


def test_prompts_are_read(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(["walks", {"sentence": "runs"}]))
    (tmp_path / "b.txt").write_text("walks\n\n  runs \n")
    for name in ("a.json", "b.txt"):
        assert contact_sheet.read_prompts(tmp_path / name) == ["walks", "runs"]
    (tmp_path / "b.txt").write_text("\n")
    with pytest.raises(SystemExit, match="b.txt has no prompt in it"):
        contact_sheet.read_prompts(tmp_path / "b.txt")


def test_strip_shows_poses_over_time():
    joints, _ = make_toy_clip("walk", np.random.default_rng(0))
    strip = np.asarray(contact_sheet.draw_strip("walks", joints, HUMANML3D.fps, poses=3, size=64))
    assert strip.shape == (64 + contact_sheet.MARGIN, 3 * 64, 3)
    first, middle, last = np.split(strip[contact_sheet.MARGIN :], 3, axis=1)
    assert (first != middle).any() and (middle != last).any()
    empty = np.asarray(contact_sheet.draw_strip("walks", joints[:0], HUMANML3D.fps, poses=3, size=64))
    assert (empty[contact_sheet.MARGIN :] == 255).all() and (empty[: contact_sheet.MARGIN] < 255).any()


def test_sheets_of_a_model(t2m_model, processor, tmp_path):
    folder = tmp_path / "model"
    t2m_model.generation_config.max_new_tokens = 12
    t2m_model.generation_config.do_sample = True
    t2m_model.save_pretrained(folder)
    processor.save_pretrained(folder)
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a person walks\nsomeone waves\n")
    output = tmp_path / "sheets" / "sheet.png"
    command = ["--model", str(folder), "--prompts", str(prompts), "--output", str(output)]
    contact_sheet.main([*command, "--samples", "2", "--poses", "2", "--size", "48", "--rows", "3"])
    heights = [Image.open(output.with_name(name)).height for name in ("sheet.png", "sheet_2.png")]
    assert heights == [3 * (48 + contact_sheet.MARGIN), 48 + contact_sheet.MARGIN]
