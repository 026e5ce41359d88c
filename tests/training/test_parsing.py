# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""How arguments are read: defaults, a JSON file, flags."""

import json
from dataclasses import dataclass, field

import pytest

from tm2t_hf.training import LoopArguments, parse_arguments
from tm2t_hf.training.arguments import SECTIONS

REQUIRED = ("--data_dir", "data", "--output_dir", "out")


@dataclass
class Arguments(LoopArguments):
    """Arguments of a test."""

    window: int = field(default=64, metadata={"help": "Frames."})
    shift: float = 0.0
    append: bool = True
    vq: str = "tm2t-vq"


@pytest.fixture
def parse(tmp_path):
    """`parse(*flags, json_file=...)` as the script would."""

    def parse(*flags: str, json_file=None, required=REQUIRED, section="vq"):
        command = [*required, *flags]
        if json_file is not None:
            path = tmp_path / "config.json"
            path.write_text(json_file if isinstance(json_file, str) else json.dumps(json_file))
            command.insert(0, str(path))
        return parse_arguments(Arguments, section, command)

    return parse


def test_flags_alone(parse):
    arguments = parse("--epochs", "7", "--mirror", "--shift", "-1.5", "--model_config", '{"hidden_size": 8}')
    assert (arguments.data_dir, arguments.output_dir) == ("data", "out")
    assert (arguments.epochs, arguments.mirror, arguments.shift, arguments.append) == (7, True, -1.5, True)
    assert arguments.model_config == {"hidden_size": 8}
    assert arguments.batch_size == 64  # its default


CONFIG = {
    "seed": 3,
    "epochs": 10,
    "mirror": True,
    "vq": {"epochs": 50, "append": False, "shift": -1e-5, "model_config": {"fps": 12.5, "codebook_update": "ema"}},
    "m2t": {"epochs": 70, "num_offsets": 0},
}


def test_values_of_the_file_its_section_and_flags(parse):
    arguments = parse(json_file=CONFIG)
    assert (arguments.seed, arguments.epochs, arguments.mirror, arguments.append) == (3, 50, True, False)
    assert arguments.shift == -1e-5
    assert arguments.model_config == {"fps": 12.5, "codebook_update": "ema"}
    arguments = parse("--epochs", "2", "--mirror", "false", "--model_config", '{"fps": 20.0}', json_file=CONFIG)
    assert (arguments.seed, arguments.epochs, arguments.mirror) == (3, 2, False)
    assert arguments.model_config == {"fps": 20.0}, "in place of the file's"


def test_lists(parse):
    assert parse().speeds == [1.0]
    assert parse(json_file={"vq": {"speeds": [1.0, 0.9], "epochs": 2}}).speeds == [1.0, 0.9]
    assert parse("--speeds", "1.1", "1", json_file={"speeds": [1.0, 0.9]}).speeds == [1.1, 1.0]


@pytest.mark.parametrize("where", ["section", "top"])
def test_objects(parse, where):
    def config(values):
        return values if where == "top" else {"vq": values}

    assert parse().repeats == {}
    assert parse(json_file=config({"repeats": {"a_*": 3}})).repeats == {"a_*": 3}
    assert parse(json_file=config({"model_config": {"hidden_size": 8}})).model_config == {"hidden_size": 8}
    assert parse("--repeats", '{"b": 2}', json_file=config({"repeats": {"a_*": 3}})).repeats == {"b": 2}


def test_a_name_that_is_an_argument_and_a_section(parse):
    config = {"vq": "my-vq", "m2t": {"epochs": 2}}
    arguments = parse(json_file=config, section="m2t")
    assert (arguments.vq, arguments.epochs) == ("my-vq", 2)


def test_a_file_may_hold_everything_required(parse):
    arguments = parse(json_file={"data_dir": "a b", "vq": {"output_dir": "c"}}, required=())
    assert (arguments.data_dir, arguments.output_dir) == ("a b", "c")


def test_old_names_keep_working(parse):
    assert parse("--licence", "mit").license == "mit"
    assert parse(json_file={"licence": "mit"}).license == "mit"
    for flags in (("--resume",), ("--resume", "true"), ("--resume_from_checkpoint", "latest")):
        assert parse(*flags).resume_from_checkpoint == "latest"
    assert parse(json_file={"resume": True}).resume_from_checkpoint == "latest"
    assert parse("--resume", "false").resume_from_checkpoint == parse().resume_from_checkpoint == ""
    assert parse("--resume_from_checkpoint", "other/last").resume_from_checkpoint == "other/last"


@pytest.mark.parametrize("unknown", ["windows", "epoch"])  # the second is a beginning of one that there is
def test_unknown_keys_and_flags(parse, unknown):
    with pytest.raises(ValueError, match=f"Unknown argument --{unknown}; did you mean --{unknown[:5]}"):
        parse(f"--{unknown}", "3")
    with pytest.raises(ValueError, match=f"Unknown key {unknown} in vq of .*config.json; did you mean"):
        parse(json_file={"vq": {unknown: 3}})


@pytest.mark.parametrize("stage", SECTIONS)
def test_the_sections_of_other_scripts_are_checked(stage, tmp_path):
    """Otherwise a run of hours comes before the next script refuses the file."""

    def parse_with(values):
        path = tmp_path / "config.json"
        path.write_text(json.dumps(values))
        return parse_arguments(SECTIONS[stage], stage, [str(path), *REQUIRED])

    for other in SECTIONS:
        script_has = {"vq": "window", "m2t": "num_beams", "t2m": "alignment_tau", "matcher": "feat_bias"}[other]
        parse_with({other: {"epochs": 3, "licence": "mit", script_has: 1}})
        for wrong, close in (("epochss", "epochs"), (f"{script_has}s", script_has)):
            with pytest.raises(ValueError, match=f"Unknown key {wrong} in {other} of .*; did you mean {close}"):
                parse_with({other: {wrong: 3}})
        with pytest.raises(ValueError, match=f"epochs in {other} of .* must be of type int; got 'three'"):
            parse_with({other: {"epochs": "three"}})
        with pytest.raises(ValueError, match=f"{script_has} in {other} of .* must be of type (int|float); got 'one'"):
            parse_with({other: {script_has: "one"}})
        size = {"vq": "hidden_size", "m2t": "d_model", "t2m": "num_layers", "matcher": "movement_size"}[other]
        parse_with({other: {"model_config": {size: 8}}})
        source = "--model_config" if other == stage else f"model_config in {other} of .*config.json"
        with pytest.raises(ValueError, match=f"Unknown key {size}s in {source}; did you mean {size}"):
            parse_with({other: {"model_config": {f"{size}s": 8}}})
        with pytest.raises(ValueError, match=f"{source}: Field '{size}' expected int, got str"):
            parse_with({other: {"model_config": {size: "8"}}})
        for name in SECTIONS[other].set_by_script:
            with pytest.raises(ValueError, match=f"{name} in {source} follows from the data or other arguments"):
                parse_with({other: {"model_config": {name: 3}}})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"vqq": {"epochs": 2}}, "Unknown key vqq in .*config.json; did you mean vq"),
        ({"matcher": 3}, "matcher in .*config.json must be an object with the values of one script; got 3"),
        ({"vq": 3}, "vq in .*config.json must be .*; got 3"),
        ({"epochs": 2.5}, "epochs in .*config.json must be of type int; got 2.5"),
        ({"epochs": True}, "epochs in .* must be of type int; got True"),
        ({"vq": {"mirror": "yes"}}, "mirror in vq of .* must be of type bool; got 'yes'"),
        ({"skeleton": "horse"}, r"skeleton 'horse' is neither a name \(humanml3d, kit\) nor a JSON file"),
        ({"speeds": 1.0}, "speeds in .* must be a list of float values; got 1.0"),
        ({"model_config": [1]}, r"model_config in .* must be of type dict; got \[1\]"),
        ({"epochs": None}, "epochs in .* must be of type int; got None"),
        ("{seed: 1}", r"config\.json is not JSON: .*line 1"),
        ("[1]", r"config\.json must be a JSON object"),
        ('{"vq": {"epochs": 3, "seed": 1, "epochs": 5}}', r"config\.json gives epochs twice; leave one out\.$"),
    ],
)
def test_bad_files(parse, config, message):
    with pytest.raises(ValueError, match=message) as information:
        parse(json_file=config)
    assert "\n" not in str(information.value)


def test_a_file_that_is_not_there():
    with pytest.raises(FileNotFoundError, match="nowhere.json is missing.$"):
        parse_arguments(Arguments, "vq", ["nowhere.json"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--epochs many", "argument --epochs.*: invalid int value: 'many'"),
        ("--mixed_precision int4", "argument --mixed_precision.*: invalid choice: 'int4'"),
        ("--lr_schedule reduce_lr_on_plateau", "argument --lr_schedule.*: invalid choice"),
        ("--model_config hidden_size=8", "argument --model_config.*: the value is not JSON"),
        ("--model_config 8", "argument --model_config.*: the value must be a JSON object"),
        ("--repeats a_*=3", "argument --repeats.*is not JSON"),
    ],
)
def test_bad_flags(parse, flags, message):
    with pytest.raises(ValueError, match=message) as information:
        parse(*flags.split())
    assert "\n" not in str(information.value)


def test_required_flags(parse):
    with pytest.raises(ValueError, match="are required: --data_dir.*--output_dir"):
        parse(required=())


def test_the_help_is_readable(parse, capsys):
    with pytest.raises(SystemExit) as information:
        parse("--help")
    assert information.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert "usage:" in lines[0] and lines[0].endswith("[config.json] [--flag value ...]")
    assert any(line.startswith("  --epochs INT") and line.endswith("(default: 300)") for line in lines)
    assert any(line.startswith("  --model_config DICT") and '{"hidden_size": 192}' in line for line in lines)
    assert max(map(len, lines)) <= 119
