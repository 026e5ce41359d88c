# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The list of what a model can do: written, read, and refused where it is none."""

import pytest

from tm2t_hf.actions import ACTIONS_FILE, Action, read_actions, write_actions

ACTIONS = [Action("walk", "a person walks forward", 12), Action("café", 'someone says "hello"', 1)]


def test_actions_are_written_and_read(tmp_path):
    write_actions(tmp_path, ACTIONS)
    assert read_actions(tmp_path) == read_actions(str(tmp_path)) == ACTIONS
    assert len((tmp_path / ACTIONS_FILE).read_text(encoding="utf-8").splitlines()) == len(ACTIONS) + 2


@pytest.mark.parametrize("content", ["", "[]", "{}", "[1]", '[{"action": "walk", "prompt": "walk"}]', "[[]]"])
def test_what_is_no_list_of_actions_is_refused_by_name(tmp_path, content):
    (tmp_path / ACTIONS_FILE).write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=f"{ACTIONS_FILE} is not a list of objects with action, prompt and clips"):
        read_actions(tmp_path)


def test_a_model_without_a_list_is_named(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path.name} has no {ACTIONS_FILE}"):
        read_actions(tmp_path)
    with pytest.raises(
        ValueError, match=f"nobody/nothing is neither a folder nor a model on the Hub with {ACTIONS_FILE}"
    ):
        read_actions("nobody/nothing")
