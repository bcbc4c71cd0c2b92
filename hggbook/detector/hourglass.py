"""The keypoint proposal network: the stacked hourglass of the associative embedding (AE) code base."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hggbook.detector.heads import check_sides, outputs_of, read_maps
from hggbook.detector.layers import check_counts, normalisation_of
from hggbook.types import Maps


class Hourglass(nn.Module):
    """Stacked hourglass: images in, keypoint heatmaps and relational embeddings of every stack out.

    A stem halves the image twice; every stack is one hourglass, two more convolutions (its *feature*) and a 1x1 head
    (its *prediction*). Between stacks the prediction and the feature, each through a 1x1 convolution, are added to the
    stack's input. The defaults are the paper's network: 138,832,776 parameters for 17 keypoint types.

    Args:
        num_types: K.
        embedding: d, channels of relational embedding per keypoint type.
        stacks: S.
        depth: how often an hourglass halves its input.
        width: channels at the outermost level.
        growth: channels added each time an hourglass halves.
        normalisation: "none" (as the AE code is run), "batch" or "group" (about 8 channels a group; the result for an
            image does not depend on the images beside it).
        stem: channels of the first and of the second convolution; by default a quarter and half of ``width``, which at
            width 256 is the AE code's 64 and 128.
        unused_outputs: channels that every head computes after heatmaps and embeddings and that `Maps` leaves out. A
            published AE network has 34 of them; they still flow into the next stack, so they cannot be dropped.

    Choice: the unit is convolution, ReLU, then normalisation if any, as in the AE code, and as there the convolution
    that closes an hourglass and the two after it have none.
    Choice: the stem narrows with ``width``; a small net would otherwise spend most of its time in a full-size stem.

    Attributes:
        stride: input pixels per map cell.
        unit: of an image's sides, pixels: ``stride * 2 ** depth``.

    Raises:
        ValueError: a size below 1, or an unknown normalisation.

    Paper: sec. 3.3 (the keypoint proposal network is that of associative embedding [29]).
    """

    stride = 4

    def __init__(
        self,
        num_types: int,
        embedding: int = 1,
        *,
        stacks: int = 4,
        depth: int = 4,
        width: int = 256,
        growth: int = 128,
        normalisation: str = "none",
        stem: tuple[int, int] | None = None,
        unused_outputs: int = 0,
    ):
        super().__init__()
        first, second = stem or (max(1, width // 4), max(1, width // 2))
        check_counts("hourglass", num_types=num_types, embedding=embedding, stacks=stacks, depth=depth, width=width)
        self.num_types, self.embedding, self.unit = num_types, embedding, self.stride * 2**depth
        outputs = outputs_of(num_types, embedding) + unused_outputs
        self.stem = nn.Sequential(
            Unit(3, first, kernel=7, stride=2, normalisation=normalisation),
            Unit(first, second, normalisation=normalisation),
            nn.MaxPool2d(2),
            Unit(second, second, normalisation=normalisation),
            Unit(second, width, normalisation=normalisation),
        )
        self.bodies = nn.ModuleList(
            nn.Sequential(Body(depth, width, growth, normalisation), Unit(width, width), Unit(width, width))
            for _ in range(stacks)
        )
        self.heads = nn.ModuleList(nn.Conv2d(width, outputs, 1) for _ in range(stacks))
        self.merge_features = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(stacks - 1))
        self.merge_predictions = nn.ModuleList(nn.Conv2d(outputs, width, 1) for _ in range(stacks - 1))

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Maps:
        """Heatmaps and embeddings of every stack.

        Args:
            images: (B, 3, H, W) RGB in [0, 1], neither mean nor deviation removed; any memory format. H and W are
                multiples of `unit`.

        Returns:
            `Maps` of H / 4 by W / 4 cells, stride 4, at least float32 (also under autocast: grouping is not done in
            half precision). An embedding's d channels lie next to each other: output channel ``K + k * d + j``.

        Raises:
            ValueError: H or W is not such a multiple.
        """
        check_sides(images, self.unit)
        x = self.stem(images)
        predictions = []
        for stack, (body, head) in enumerate(zip(self.bodies, self.heads)):
            feature = body(x)
            prediction = head(feature)
            predictions.append(prediction)
            if stack < len(self.merge_features):
                x = x + self.merge_predictions[stack](prediction) + self.merge_features[stack](feature)
        return read_maps(predictions, self.num_types, self.embedding, self.stride)


class Body(nn.Module):
    """One hourglass: half the size, more channels, back to full size, plus a path at full size; recursive in ``depth``.

    Paper: sec. 3.3 (through [29]).
    """

    def __init__(self, depth: int, width: int, growth: int, normalisation: str):
        super().__init__()
        wider = width + growth
        self.side = Unit(width, width, normalisation=normalisation)
        self.down = Unit(width, wider, normalisation=normalisation)
        if depth > 1:
            self.inner = Body(depth - 1, wider, growth, normalisation)
        else:
            self.inner = Unit(wider, wider, normalisation=normalisation)
        self.up = Unit(wider, width)

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C h w"]:
        """(B, C, h, w) to the same shape; h and w divisible by ``2 ** depth``."""
        low = self.up(self.inner(self.down(F.max_pool2d(x, 2))))
        return self.side(x) + F.interpolate(low, scale_factor=2, mode="nearest")


class Unit(nn.Module):
    """Convolution that keeps the size (or divides it by ``stride``), ReLU, normalisation.

    Paper: sec. 3.3 (through [29]).
    """

    def __init__(self, inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, normalisation: str = "none"):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=(kernel - 1) // 2)
        self.norm = normalisation_of(normalisation, outputs)

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C2 h2 w2"]:
        """(B, inputs, h, w) to (B, outputs, h / stride, w / stride)."""
        return self.norm(F.relu(self.conv(x)))
