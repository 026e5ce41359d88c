# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The demo as a Space on the Hub: upload this folder, with `tm2t_hf` in its requirements.

    hf upload your-name/tm2t examples/space --repo-type space

Here, `tm2t-hf demo` shows the same page. TEXT_TO_MOTION and MOTION_TO_TEXT may name other models, by their Hub ids.
"""

import os

from tm2t_hf.demo import LAUNCH, build_app

app = build_app(os.environ.get("TEXT_TO_MOTION", ""), os.environ.get("MOTION_TO_TEXT", ""))

if __name__ == "__main__":
    app.launch(**LAUNCH)
