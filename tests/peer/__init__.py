# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""transformers' own common tests, run unchanged on the classes of tm2t_hf; see README.md."""
