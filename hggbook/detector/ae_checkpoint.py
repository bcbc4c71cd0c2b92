"""Reads a checkpoint of the published associative embedding network into our detector."""

import copy
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from hggbook.detector.checkpoints import read_tensors
from hggbook.detector.heads import outputs_of
from hggbook.detector.hourglass import Hourglass

# Their module names and ours, part by part of a dotted key. Units of theirs are called conv (and bn) as ours are.
_RENAMED = {
    "pre": "stem", "features": "bodies", "outs": "heads", "merge_preds": "merge_predictions", "up1": "side",
    "low1": "down", "low2": "inner", "low3": "up", "bn": "norm",
}  # fmt: skip


def load_ae_checkpoint(path: str | Path, num_types: int = 17) -> Hourglass:
    """The published associative embedding network as our detector, equal in every output of every stack.

    All sizes are read from the shapes of the weights. The published network has 68 outputs: 17 heatmaps, 17 embeddings
    of one channel, and 34 that its loss never touches but its next stack reads; they stay, as ``unused_outputs``.

    Args:
        path: file written by ``torch.save``: the weights, or a dict that holds them under ``state_dict``; keys may
            carry any number of ``module.`` and ``model.`` prefixes. Nothing in it is executed (``weights_only``).
        num_types: K.

    Returns:
        `Hourglass` in evaluation mode, float32, on the CPU.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a checkpoint, or one of another architecture; the message names the file and the missing,
            unexpected or misshapen weights. A network whose levels do not all widen by the same number of channels is
            such a case (the AE code makes one if its ``increase`` is not 128).

    Paper: sec. 3.3 (pre-training: the associative embedding network [29]).
    """
    path = Path(path)
    theirs = read_tensors(path)
    ours = {_rename(key): value.float() if value.is_floating_point() else value for key, value in theirs.items()}
    with torch.device("meta"):
        detector = Hourglass(num_types, **_sizes(ours, num_types, path))
    expected = {key: value.shape for key, value in detector.state_dict().items()}
    missing = [key for key in expected if key not in ours]
    unexpected = [key for key in ours if key not in expected]
    misshapen = [
        f"{key} {tuple(ours[key].shape)} instead of {tuple(shape)}"
        for key, shape in expected.items()
        if key in ours and ours[key].shape != shape
    ]
    problems = [("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen)]
    if missing or unexpected or misshapen:
        found = "; ".join(f"{what}: {_some(keys)}" for what, keys in problems if keys)
        raise ValueError(f"{path}: not an associative embedding network (keys under our names): {found}")
    detector.load_state_dict(ours, assign=True)
    return detector.requires_grad_(True).eval()


@torch.no_grad()
def without_unused_outputs(detector: Hourglass) -> Hourglass:
    """The same function with fewer weights: a head computes nothing but heatmaps and embeddings.

    From a stack's features to what its unused outputs add to the next stack's input, all is linear (a 1x1 convolution,
    then another). That map is added to ``merge_features``, which is such a map of the same features.

    Args:
        detector: as `load_ae_checkpoint` gives it; it stays as it is.

    Returns:
        A network whose maps are equal up to rounding, and whose architecture a config describes.

    Not in the paper: our config has no unused outputs, so that training can start here.
    """
    slim, used = copy.deepcopy(detector), outputs_of(detector.num_types, detector.embedding)
    for stack, head in enumerate(detector.heads):
        slim.heads[stack] = _part_of(head, used, head.in_channels)
        if stack < len(detector.merge_features):
            merge, features = detector.merge_predictions[stack], slim.merge_features[stack]
            slim.merge_predictions[stack] = _part_of(merge, merge.out_channels, used)
            onward = merge.weight[:, used:, 0, 0]
            features.weight += (onward @ head.weight[used:, :, 0, 0])[:, :, None, None]
            features.bias += onward @ head.bias[used:]
    return slim


def _part_of(layer: nn.Conv2d, outputs: int, inputs: int) -> nn.Conv2d:
    """A 1x1 convolution of its first channels."""
    part = nn.Conv2d(inputs, outputs, 1)
    part.weight.copy_(layer.weight[:outputs, :inputs])
    part.bias.copy_(layer.bias[:outputs])
    return part


def _rename(key: str) -> str:
    parts = [_RENAMED.get(part, part) for part in key.split(".")]
    if parts[0] in ("heads", "merge_features", "merge_predictions"):
        parts = [part for part in parts if part != "conv"]  # theirs are wrapped once or twice, ours are bare
    return ".".join(parts)


def _sizes(weights: Mapping[str, Tensor], num_types: int, path: Path) -> dict:
    def shape(key):
        if key not in weights or weights[key].ndim != 4:
            raise ValueError(
                f"{path}: not an associative embedding network: missing {key} (under our names), found {_some(weights)}"
            )
        return weights[key].shape

    first, second = shape("stem.0.conv.weight")[0], shape("stem.1.conv.weight")[0]
    width, outputs = shape("stem.4.conv.weight")[0], shape("heads.0.weight")[0]
    wider = shape("bodies.0.0.down.conv.weight")[0]
    unused = outputs - 2 * num_types
    if unused < 0:
        raise ValueError(f"{path}: expected at least {2 * num_types} outputs for {num_types} types, got {outputs}")
    if wider < width:
        raise ValueError(f"{path}: not an associative embedding network: an hourglass narrows from {width} to {wider}")
    return {
        "stacks": sum(bool(re.fullmatch(r"heads\.\d+\.weight", key)) for key in weights),
        "depth": max(key.count(".inner") for key in weights if key.startswith("bodies.0.0.")),
        "width": width,
        "growth": wider - width,
        "normalisation": "batch" if "stem.0.norm.weight" in weights else "none",
        "stem": (first, second),
        "unused_outputs": unused,
    }


def _some(keys, limit=4):
    keys = list(keys)
    return ", ".join(keys[:limit]) + (f" and {len(keys) - limit} more" if len(keys) > limit else "")
