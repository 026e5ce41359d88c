# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Sentences of people about what no clip of the shipped models' training folder shows, one per line.

    python examples/shipped/other_captions.py humanml3d_train.parquet > others.txt

They come from the captions of HumanML3D's training split: those with a word that names something else. Requests are
compared with them when a model is calibrated: `examples/calibrate.py --others others.txt`.
"""

import argparse
import re

import pandas as pd

OTHERWISE = re.compile(
    r"\b(sit(s|ting)?|kneel\w*|swim\w*|stairs?|golf\w*|tennis|phone|clap\w*|stretch\w*|squat\w*|drink\w*|eat\w*|catch\w*"
    r"|push\w*|pull\w*|guitar|violin|piano|drum\w*|driv(es|ing)|lean\w*|shov\w*|cook\w*|stir\w*|cut\w*|chop\w*|knock\w*"
    r"|open\w*|clean\w*|weights?|jacks?|lung\w*|limp\w*|stumbl\w*|trip(s|ped|ping)?|chicken|monkey|gorilla|pour\w*"
    r"|tie\w*|brush\w*|scratch\w*|shiver\w*|rope|ladder|beam|handrail|box|chair|shrug\w*|pray\w*|salut\w*|hug\w*"
    r"|throws? (a ball|something|an object)|baseball|football|soccer|fish\w*|skat\w*|ski\w*|yoga|push-?ups?"
    r"|sit-?ups?)\b"
)


def main():
    """Print the sentences, each once."""
    parser = argparse.ArgumentParser(description="Sentences about what the shipped models did not learn.")
    parser.add_argument("captions", help="parquet file with a column `captions`, a list of sentences per clip")
    parser.add_argument("--most", type=int, default=3000, help="number of sentences")
    arguments = parser.parse_args()
    sentences = pd.read_parquet(arguments.captions)["captions"].explode().drop_duplicates()
    chosen = sentences[sentences.str.contains(OTHERWISE)]
    print(*chosen.sample(min(arguments.most, len(chosen)), random_state=0), sep="\n")


if __name__ == "__main__":
    main()
