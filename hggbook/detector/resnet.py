"""A second keypoint proposal network: a residual network with a path back up, and the same heads as the hourglass."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hggbook.detector.heads import check_sides, outputs_of, read_maps
from hggbook.detector.layers import check_counts, normalisation_of
from hggbook.types import Maps


class ResNet(nn.Module):
    """Residual network with lateral connections: images in, one prediction of heatmaps and embeddings out.

    A stem divides the size by four. ``depth`` times the size is halved and ``growth`` channels are added, with residual
    blocks at every size (He et al., CVPR 2016). On the way back each size's features, through a 1x1 convolution, are
    added to the enlarged smaller ones (Lin et al., CVPR 2017). A head of heatmaps and embeddings reads the result.

    HGG asks nothing of a detector but heatmaps and embeddings; this one is here to show it. It has one prediction where
    a stacked hourglass has several, so nothing supervises it half-way.

    Args:
        num_types: K.
        embedding: d, channels of relational embedding per keypoint type.
        depth: how often the size is halved after the stem.
        width: channels at a quarter of the image's size, and of the path back up.
        growth: channels added each time the size is halved.
        blocks: residual blocks of each size.
        normalisation: as for the hourglass; "none" hardly trains.

    Raises:
        ValueError: a size below 1, or an unknown normalisation.

    Not in the paper. It uses the hourglass, and says that HGG is "easily embedded into main-stream bottom-up methods".
    """

    stride = 4

    def __init__(
        self,
        num_types: int,
        embedding: int = 1,
        *,
        depth: int = 3,
        width: int = 64,
        growth: int = 64,
        blocks: int = 2,
        normalisation: str = "batch",
    ):
        super().__init__()
        sizes = {"depth": depth, "width": width, "growth": growth, "blocks": blocks}
        check_counts("resnet", num_types=num_types, embedding=embedding, **sizes)
        self.num_types, self.embedding, self.depth = num_types, embedding, depth
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 7, 2, padding=3, bias=normalisation == "none"),
            normalisation_of(normalisation, width),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        channels = [width + level * growth for level in range(depth + 1)]
        self.stages = nn.ModuleList()
        for level, wide in enumerate(channels):
            before = channels[max(level - 1, 0)]
            first = ResidualBlock(before, wide, stride=2 if level else 1, normalisation=normalisation)
            others = (ResidualBlock(wide, wide, normalisation=normalisation) for _ in range(blocks - 1))
            self.stages.append(nn.Sequential(first, *others))
        self.laterals = nn.ModuleList(nn.Conv2d(wide, width, 1) for wide in channels)
        self.smooth = ResidualBlock(width, width, normalisation=normalisation)
        self.head = nn.Conv2d(width, outputs_of(num_types, embedding), 1)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Maps:
        """Heatmaps and embeddings, of a single stack.

        Args:
            images: (B, 3, H, W) RGB in [0, 1]; H and W are multiples of ``4 * 2 ** depth``.

        Returns:
            `Maps` of H / 4 by W / 4 cells, stride 4, at least float32.

        Raises:
            ValueError: H or W is not such a multiple.
        """
        check_sides(images, self.stride * 2**self.depth)
        x, features = self.stem(images), []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        x = self.laterals[-1](features[-1])
        for lateral, feature in zip(self.laterals[-2::-1], features[-2::-1]):
            x = lateral(feature) + F.interpolate(x, scale_factor=2, mode="nearest")
        return read_maps([self.head(self.smooth(x))], self.num_types, self.embedding, self.stride)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside an identity, or beside a 1x1 convolution where size or channels change."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1, normalisation: str = "batch"):
        super().__init__()
        bias = normalisation == "none"

        def convolution(n, kernel, step):
            return (
                nn.Conv2d(n, outputs, kernel, step, padding=kernel // 2, bias=bias),
                normalisation_of(normalisation, outputs),
            )

        self.body = nn.Sequential(*convolution(inputs, 3, stride), nn.ReLU(), *convolution(outputs, 3, 1))
        same = stride == 1 and inputs == outputs
        self.side = nn.Identity() if same else nn.Sequential(*convolution(inputs, 1, stride))

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C2 h2 w2"]:
        """(B, inputs, h, w) to (B, outputs, h / stride, w / stride)."""
        return F.relu(self.body(x) + self.side(x))
