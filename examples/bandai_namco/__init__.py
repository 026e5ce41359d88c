# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What belongs to the Bandai Namco Research motion datasets, and to no other: labels, their judge."""
