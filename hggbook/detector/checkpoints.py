"""Reads checkpoints of other code bases without executing anything in them."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Weights by name, on the CPU, from a file of ``torch.save``.

    Args:
        path: the weights, or a dict that holds them under ``state_dict``; names may carry any number of ``module.`` and
            ``model.`` prefixes, which are taken off.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a file.

    Not in the paper: bookkeeping.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a file that is no checkpoint can fail anywhere in the unpickler
        raise ValueError(f"{path}: expected a checkpoint of torch.save that holds only tensors: {error}") from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise ValueError(f"{path}: expected weights by name, or a dict with them under 'state_dict'")
    return {re.sub(r"^((module|model)\.)+", "", key): value for key, value in content.items()}
