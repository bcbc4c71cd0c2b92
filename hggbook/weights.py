"""Shipped weights by name: ``data/weights/<name>.safetensors``, each with its sha256 in ``data/weights/SHA256SUMS``."""

import hashlib
from pathlib import Path

from hggbook import paths
from hggbook.config import Config
from hggbook.model import HGG, load_weights

SUMS = "SHA256SUMS"


def find_weights(name: str | Path) -> Path:
    """The file of shipped weights with that name, or of that path.

    Raises:
        FileNotFoundError: neither; the shipped names are listed.
        ValueError: shipped weights whose checksum is not the recorded one.

    Not in the paper: bookkeeping.
    """
    folder = paths.weights_folder()
    shipped = folder / f"{name}.safetensors"
    if str(name) != Path(name).name or not shipped.is_file():  # a path is never a shipped name
        if Path(name).is_file():
            return Path(name)
        known = ", ".join(sorted(path.stem for path in folder.glob("*.safetensors"))) or "none"
        raise FileNotFoundError(f"weights {str(name)!r}: no such file, and no shipped weights of that name ({known})")
    recorded = dict(reversed(line.split()) for line in (folder / SUMS).read_text(encoding="utf-8").splitlines())
    found = hashlib.sha256(shipped.read_bytes()).hexdigest()
    if recorded.get(shipped.name) != found:
        raise ValueError(f"{shipped.name}: expected sha256 {recorded.get(shipped.name)}, got {found}: a damaged file")
    return shipped


def load(name: str | Path) -> tuple[HGG, Config]:
    """A trained model in eval mode and its config: shipped weights by name, or a weights file. Also ``hggbook.load``.

    Raises:
        FileNotFoundError, ValueError: see `find_weights` and `hggbook.model.load_weights`.

    Not in the paper: bookkeeping.
    """
    return load_weights(find_weights(name))
