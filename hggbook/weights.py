"""Weights by name or file, and the images that they have learned from.

Shipped ones are ``data/weights/<name>.safetensors``, each with its sha256 in ``data/weights/SHA256SUMS``. Weights that
were trained on images have these beside them in ``<name>.images.json``, so that nobody scores them on these unawares.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from hggbook import paths
from hggbook.config import Config
from hggbook.model import HGG, load_weights
from hggbook.paths import whole_file

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


def write_images(weights: str | Path, images: Mapping[str, int]) -> None:
    """Puts the images that weights have learned from beside their file.

    Args:
        weights: the file of the weights; it need not be there yet.
        images: id by file name, as in the annotation file.

    Not in the paper: bookkeeping.
    """
    with whole_file(_images_file(weights)) as place:
        listed = {"trained_on": dict(sorted(images.items()))}
        place.write_text(json.dumps(listed, indent=0) + "\n", encoding="utf-8")


def read_images(weights: str | Path) -> dict[str, int] | None:
    """The images that weights have learned from, id by file name; None if their file does not say.

    Raises:
        ValueError: a file of another form.

    Not in the paper: bookkeeping.
    """
    file = _images_file(weights)
    if not file.is_file():
        return None
    try:
        return {str(name): int(number) for name, number in json.loads(file.read_text("utf-8"))["trained_on"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"{file}: expected {{'trained_on': {{file name: image id}}}}") from None


def _images_file(weights):
    return Path(weights).with_suffix(".images.json")
