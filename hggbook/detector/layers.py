"""Layers that the detectors share."""

from math import gcd

from torch import nn

NORMALISATIONS = ("none", "batch", "group")


def normalisation_of(kind: str, channels: int) -> nn.Module:
    """The normalisation of that name for so many channels.

    Args:
        kind: none, batch, or group (about 8 channels a group; the result for an image does not depend on the images
            beside it).
        channels: of the tensor to normalise.

    Raises:
        ValueError: another name.

    Not in the paper: the AE code base has none.
    """
    if kind not in NORMALISATIONS:
        raise ValueError(f"detector normalisation: expected one of {NORMALISATIONS}, got {kind!r}")
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "group":
        return nn.GroupNorm(gcd(channels, max(1, channels // 8)), channels)
    return nn.Identity()


def check_counts(network: str, **counts: int) -> None:
    """Refuses sizes that are not at least 1.

    Raises:
        ValueError: names the network, the size and its value.
    """
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{network} {name}: expected at least 1, got {count}")
