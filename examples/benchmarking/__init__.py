# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The parts of `benchmark.py`."""
