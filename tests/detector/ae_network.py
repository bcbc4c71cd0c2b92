"""The AE network again, written for the tests: its module names and order of operations, none of our code."""

import torch
from torch import nn
from torch.nn import functional as F


class Conv(nn.Module):
    def __init__(self, inputs, outputs, kernel=3, stride=1, relu=True, bn=False):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2)
        self.relu, self.bn = relu, nn.BatchNorm2d(outputs) if bn else None

    def forward(self, x):
        x = self.conv(x)
        x = x.relu() if self.relu else x
        return x if self.bn is None else self.bn(x)


class Merge(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = Conv(inputs, outputs, 1, relu=False)

    def forward(self, x):
        return self.conv(x)


class Recursion(nn.Module):
    def __init__(self, depth, width, growth, bn):
        super().__init__()
        self.up1 = Conv(width, width, bn=bn)
        self.low1 = Conv(width, width + growth, bn=bn)
        self.low2 = (
            Recursion(depth - 1, width + growth, growth, bn)
            if depth > 1
            else Conv(width + growth, width + growth, bn=bn)
        )
        self.low3 = Conv(width + growth, width)
        self.up2 = nn.UpsamplingNearest2d(scale_factor=2)

    def forward(self, x):
        low = self.low3(self.low2(self.low1(F.max_pool2d(x, 2, 2))))
        return self.up1(x) + self.up2(low)


class AENetwork(nn.Module):
    """``forward`` takes (B, H, W, 3) and gives (B, S, outputs, H / 4, W / 4), as theirs does."""

    def __init__(self, stacks, width, outputs, *, depth=4, growth=128, stem=(64, 128), bn=False):
        super().__init__()
        first, second = stem
        self.pre = nn.Sequential(
            Conv(3, first, 7, 2, bn=bn),
            Conv(first, second, bn=bn),
            nn.MaxPool2d(2, 2),
            Conv(second, second, bn=bn),
            Conv(second, width, bn=bn),
        )
        self.features = nn.ModuleList(
            nn.Sequential(Recursion(depth, width, growth, bn), Conv(width, width), Conv(width, width))
            for _ in range(stacks)
        )
        self.outs = nn.ModuleList(Conv(width, outputs, 1, relu=False) for _ in range(stacks))
        self.merge_features = nn.ModuleList(Merge(width, width) for _ in range(stacks - 1))
        self.merge_preds = nn.ModuleList(Merge(outputs, width) for _ in range(stacks - 1))

    def forward(self, images):
        x = self.pre(images.permute(0, 3, 1, 2))
        predictions = []
        for stack, features in enumerate(self.features):
            feature = features(x)
            predictions.append(self.outs[stack](feature))
            if stack + 1 < len(self.features):
                x = x + self.merge_preds[stack](predictions[-1]) + self.merge_features[stack](feature)
        return torch.stack(predictions, 1)
