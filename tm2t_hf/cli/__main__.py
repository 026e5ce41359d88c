# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""`python -m tm2t_hf.cli`."""

import sys

from . import main

sys.exit(main())
