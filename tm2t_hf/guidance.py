# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Classifier-free guidance, which none of these models is trained for."""


def check_guidance(guidance_scale: float | None):
    """Refuse the argument `guidance_scale` of `generate()`.

    Raises:
        ValueError: for anything but None and 1, which switch guidance off.
    """
    if guidance_scale not in (None, 1):
        raise ValueError(
            f"guidance_scale={guidance_scale} is not possible: these models are not trained to generate without their "
            "input, so there is nothing to guide away from; leave it out."
        )


__all__ = ["check_guidance"]
