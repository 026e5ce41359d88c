# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""`python -m tm2t_hf.cli`, for which Python imports the whole package first; `python -m tm2t_hf_cli` does without."""

from tm2t_hf_cli import console

console()
