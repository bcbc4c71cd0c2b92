"""The second detector: its maps, what it refuses, and that the rest of the library takes it like the first."""

import pytest
import torch

from hggbook.config import preset
from hggbook.detector import ResNet
from hggbook.detector.resnet import ResidualBlock
from hggbook.model import build, load_weights, save_weights
from hggbook.objective import Objective
from hggbook.skeleton import COCO
from hggbook.types import Batch

TINY = {"depth": 2, "width": 16, "growth": 8, "blocks": 1}
SMALL = ("detector.kind=resnet", "detector.stacks=1", "detector.depth=2", "detector.width=16", "detector.growth=8")


def tiny(num_types=3, embedding=1, **changes):
    torch.manual_seed(0)
    return ResNet(num_types, embedding, **{**TINY, **changes})


@pytest.mark.parametrize("normalisation", ["none", "batch", "group"])
def test_maps_are_a_quarter_of_the_image_with_a_single_stack(normalisation):
    maps = tiny(3, 2, normalisation=normalisation)(torch.rand(2, 3, 32, 48))
    assert maps.heatmaps.shape == (2, 1, 3, 8, 12)
    assert maps.embeddings.shape == (2, 1, 3, 2, 8, 12)
    assert maps.stride == 4


def test_half_precision_ends_in_single_precision():
    images = torch.rand(1, 3, 32, 32, dtype=torch.bfloat16)
    maps = tiny().to(torch.bfloat16)(images)
    assert maps.heatmaps.dtype == maps.embeddings.dtype == torch.float32


def test_a_block_whose_convolutions_say_nothing_hands_on_what_is_positive():
    block, x = ResidualBlock(4, 4, normalisation="none"), torch.randn(1, 4, 5, 5)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.zero_()
        torch.testing.assert_close(block(x), x.relu())
    assert ResidualBlock(4, 6, stride=2)(x).shape == (1, 6, 3, 3)


def test_every_parameter_takes_part():
    net = tiny(normalisation="group")
    maps = net(torch.rand(2, 3, 32, 32))
    (maps.heatmaps.square().mean() + maps.embeddings.square().mean()).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in net.parameters())


def test_a_far_corner_is_seen_through_the_smaller_sizes():
    """What the stem alone sees ends a few cells away; the path down and back up sees across the image."""
    net = tiny(normalisation="none", depth=3)
    images = torch.rand(1, 3, 64, 64, requires_grad=True)
    net(images).heatmaps[0, 0, 0, 0, 0].backward()
    reach = (images.grad.abs().sum((0, 1)) > 0).nonzero().amax(dim=0)
    assert (reach >= 48).all()


def test_what_does_not_fit_is_refused_by_name():
    with pytest.raises(ValueError, match="multiples of 16, got 32 x 40"):
        tiny()(torch.rand(1, 3, 32, 40))
    with pytest.raises(ValueError, match="resnet blocks: expected at least 1, got 0"):
        tiny(blocks=0)
    with pytest.raises(ValueError, match="normalisation: expected one of"):
        tiny(normalisation="layer")
    with pytest.raises(ValueError, match="detector.kind: expected one of .*, got 'resnext'"):
        build(preset("tiny").override("detector.kind=resnext"))
    with pytest.raises(ValueError, match="detector.stacks: a resnet has 1, got 2"):
        build(preset("tiny").override("detector.kind=resnet"))


def test_hgg_takes_it_like_the_hourglass(tmp_path):
    """Built from a config, all losses reach its first convolution, and its weights come back from a file."""
    torch.manual_seed(0)
    config = preset("tiny").override(*SMALL, "detector.input_size=64")
    model = build(config).train()
    keypoints = torch.rand(2, 17, 3) * torch.tensor([60.0, 60.0, 0.0]) + torch.tensor([2.0, 2.0, 2.0])
    batch = Batch(
        images=torch.rand(2, 3, 64, 64), keypoints=keypoints, area=torch.full((2,), 900.0), batch=torch.tensor([0, 1]),
        mask=torch.ones(2, 64, 64, dtype=torch.bool), image_id=torch.tensor([1, 2]),
        to_image=torch.eye(3)[:2].expand(2, 2, 3),
    )  # fmt: skip
    objective = Objective(model, config.loss, COCO.sigmas)
    losses = objective(batch, True, 2)
    assert set(losses) == {"detection", "pull", "push", "edge", "macro_final", "macro_intermediate"}
    objective.total(losses).backward()
    assert model.detector.stem[0].weight.grad.abs().sum() > 0

    save_weights(tmp_path / "w.safetensors", model.eval(), config)
    again, read = load_weights(tmp_path / "w.safetensors")
    assert read == config
    with torch.no_grad():
        torch.testing.assert_close(again.detect(batch.images).heatmaps, model.detect(batch.images).heatmaps)
