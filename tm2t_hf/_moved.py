# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Modules that have moved keep their old names for one release, with a warning."""

import importlib
import warnings
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec

MOVED = {
    "tm2t_hf.body_size": "tm2t_hf.bodies",
    "tm2t_hf.model_card": "tm2t_hf.training.model_card",
    "tm2t_hf.modeling_motion_discriminator": "tm2t_hf.training.discriminator",
    "tm2t_hf.prepare": "tm2t_hf.data",
    "tm2t_hf.visualization": "tm2t_hf.formats",
}


class MovedModules(MetaPathFinder, Loader):
    """Finds what is imported under a name in `MOVED`."""

    def find_spec(self, fullname, path=None, target=None) -> ModuleSpec | None:
        """The specification of a moved module, or None for any other."""
        return ModuleSpec(fullname, self) if fullname in MOVED else None

    def exec_module(self, module) -> None:
        """Fill the old module with the names of the new one."""
        new = MOVED[module.__name__]
        warnings.warn(f"{module.__name__} has moved; import from {new}.", FutureWarning, stacklevel=2)
        content = vars(importlib.import_module(new))
        vars(module).update({name: value for name, value in content.items() if not name.startswith("__")})
