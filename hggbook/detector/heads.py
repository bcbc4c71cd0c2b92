"""What every detector ends in: one tensor of predictions read as heatmaps and embeddings."""

import torch
from jaxtyping import Float
from torch import Tensor

from hggbook.types import Maps


def outputs_of(num_types: int, embedding: int) -> int:
    """How many channels a prediction has: a heatmap and ``embedding`` numbers for each of ``num_types`` types."""
    return num_types * (1 + embedding)


def read_maps(predictions: list[Float[Tensor, "B C h w"]], num_types: int, embedding: int, stride: int) -> Maps:
    """Heatmaps and embeddings of one or several predictions of the same image.

    Args:
        predictions: S tensors of the same shape. Channels are K heatmaps, then the d numbers of each type's embedding
            next to each other (channel ``K + k * d + j``), then what is not read.
        num_types: K.
        embedding: d.
        stride: pixels a cell, kept in the result.

    Returns:
        `Maps` in float32 if the predictions are in half precision (grouping is not done in it), else as they are.

    Paper: sec. 3.3.
    """
    outputs = torch.stack(predictions, dim=1)  # (B, S, C, h, w)
    if outputs.dtype in (torch.float16, torch.bfloat16):
        outputs = outputs.float()
    used = outputs_of(num_types, embedding)
    embeddings = outputs[:, :, num_types:used].unflatten(2, (num_types, embedding))
    return Maps(outputs[:, :, :num_types], embeddings, stride)


def check_sides(images: Float[Tensor, "B 3 H W"], unit: int) -> None:
    """Refuses images that a network cannot halve and double back to the same size.

    Raises:
        ValueError: height or width is no multiple of ``unit``, or nothing.
    """
    height, width = images.shape[-2:]
    if height % unit or width % unit or not height or not width:
        raise ValueError(f"images: expected height and width to be multiples of {unit}, got {height} x {width}")
