# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Files as a faulty disk, a broken copy or a hostile hand leaves them."""

import os
import pickle
from pathlib import Path

import numpy as np
import torch

# How many of each file are tried; 4000 takes hours.
MUTATIONS = int(os.environ.get("TM2T_MUTATIONS", 20))


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Bytes flipped, cut off, doubled, put in or taken out."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        size = max(len(content), 1)
        # half of the changes hit the first 128 bytes, where formats have their headers
        at = int(rng.integers(min(size, 128) if rng.integers(2) else size))
        kind = rng.integers(6)
        if kind == 0:
            content[at : at + 1] = rng.bytes(1)
        elif kind == 1:
            del content[at:]
        elif kind == 2:
            content[at:at] = rng.bytes(int(rng.integers(1, 20)))
        elif kind == 3:
            del content[at : at + int(rng.integers(1, 200))]
        elif kind == 4:
            content[at : at + 1] = rng.choice(
                [b"#", b"\n", b"9", b"-", b"(", b",", b"O", b"\x00", b"inf", b"/", b"\xff"]
            )
        else:
            content += bytes(content)
    return bytes(content)


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, witness: Path):
        self.witness = witness

    def __reduce__(self):
        return Path.touch, (self.witness,)


def payloads(folder: Path) -> tuple[Path, list[bytes]]:
    """A file in `folder` that is there once one of these pickles was loaded: a plain one, and one by `torch.save`."""
    witness = folder / "witness"
    torch.save({"model": Payload(witness)}, folder / "payload.pt")
    pickles = [pickle.dumps(Payload(witness)), (folder / "payload.pt").read_bytes()]
    torch.load(folder / "payload.pt", weights_only=False)
    witness.unlink()
    pickle.loads(pickles[0])
    witness.unlink()
    return witness, pickles
