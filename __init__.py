# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Not the package, which is the folder `tm2t_hf` in here: what `import tm2t_hf` finds next to a clone of that name.

Without this file Python would take the clone for an empty namespace package, and nothing would be registered.
"""

if __name__ == "tm2t_hf":
    raise ImportError(
        "`import tm2t_hf` found the folder of the clone, not the package in it: start Python in another folder, or "
        "give the clone another name."
    )
