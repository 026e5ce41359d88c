# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What the arguments of the training scripts may be."""

import pytest

from tm2t_hf.training import parse_arguments
from tm2t_hf.training.arguments import SECTIONS


def parse(section, *flags):
    return parse_arguments(SECTIONS[section], section, ["--data_dir", "data", "--output_dir", "out", *flags])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--skeleton horse", r"skeleton 'horse' is neither a name \(humanml3d, kit\) nor a JSON file"),
        ("--epochs 0", "--epochs must be at least 1; got 0"),
        ("--validate_every 0", "--validate_every must be at least 1; got 0"),
        ("--batch_size -3", "--batch_size must be at least 1; got -3"),
        ("--learning_rate=-1e-3", "--learning_rate must be at least 0; got -0.001"),
        ("--learning_rate nan", "--learning_rate must be at least 0; got nan"),
        ("--max_grad_norm -1", "--max_grad_norm must be at least 0"),
        ("--seed -1", "--seed must be from 0 to 4294967295; got -1"),
        ("--min_frames 50 --max_frames 40", "--max_frames 40 is below --min_frames 50"),
        ("--speeds 1 1.0", r"--speeds must be distinct and from 0.5 to 2 .*; got \[1.0, 1.0\]"),
        ("--speeds 1 5", r"--speeds must be distinct and from 0.5 .*; got \[1.0, 5.0\]"),
        ("--jitter 0.01", "--jitter is of the copies that --body_copies makes"),
        ("--still_frames 5", "--still_frames is of the copies that --body_copies makes"),
        ("--speeds 1 0", r"--speeds must be distinct and from 0.5 .*; got \[1.0, 0.0\]"),
    ],
)
def test_bad_values(flags, message):
    with pytest.raises(ValueError, match=message) as information:
        parse("vq", *flags.split())
    assert "\n" not in str(information.value)


def test_even_sources_need_several():
    with pytest.raises(ValueError, match="--even_sources needs --further_texts"):
        parse("t2m", "--even_sources")
    assert parse("t2m", "--even_sources", "--further_texts", "texts_people").even_sources


def test_a_text_encoder_of_an_earlier_model_can_be_trained_on():
    assert parse("t2m", "--init_from", "t2m").changes == {}
    changes = parse("t2m", "--init_from", "t2m", "--no_freeze_text_encoder").changes
    assert changes == {"freeze_text_encoder": False}


def test_the_architecture_decides_about_the_model_config():
    of_transformer = ("--model_config", '{"encoder_layers": 2}')
    assert parse("t2m", *of_transformer, "--architecture", "transformer").model_config == {"encoder_layers": 2}
    assert parse("t2m", *of_transformer, "--init_from", "a-transformer").model_config == {"encoder_layers": 2}
    with pytest.raises(ValueError, match="Unknown key encoder_layers in --model_config"):
        parse("t2m", *of_transformer)
