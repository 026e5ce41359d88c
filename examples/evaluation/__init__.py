# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What `evaluate_tm2t.py` is made of: models, clips, scores, and how the report is written."""
