"""The detector: the paper's size, shapes, what it refuses."""

import pytest
import torch

from hggbook.detector import Hourglass

TINY = {"stacks": 2, "depth": 2, "width": 16, "growth": 8}


def tiny(num_types=3, embedding=1, **changes):
    torch.manual_seed(0)
    return Hourglass(num_types, embedding, **{**TINY, **changes})


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_paper_size_has_the_parameters_counted_for_the_ae_network():
    with torch.device("meta"):
        assert parameters(Hourglass(17)) == 138_832_776
        assert parameters(Hourglass(17, unused_outputs=34)) == 138_893_840
        assert parameters(Hourglass(17, stacks=1)) == 526_080 + 34_511_872 + 8_738


def test_paper_size_maps_are_a_quarter_of_the_input():
    with torch.device("meta"):
        maps = Hourglass(17)(torch.empty(2, 3, 512, 512))
    assert maps.heatmaps.shape == (2, 4, 17, 128, 128)
    assert maps.embeddings.shape == (2, 4, 17, 1, 128, 128)
    assert maps.stride == 4


@pytest.mark.parametrize("normalisation", ["none", "batch", "group"])
def test_every_normalisation_gives_maps_of_the_same_shape(normalisation):
    maps = tiny(3, 2, normalisation=normalisation)(torch.rand(2, 3, 32, 48))
    assert maps.heatmaps.shape == (2, 2, 3, 8, 12)
    assert maps.embeddings.shape == (2, 2, 3, 2, 8, 12)


def test_output_channels_are_heatmaps_then_each_types_embedding_then_the_unused_ones():
    net = tiny(3, 2, stacks=1, unused_outputs=2)
    with torch.no_grad():
        net.heads[0].weight.zero_()
        net.heads[0].bias.copy_(torch.arange(11.0))
    maps = net(torch.rand(1, 3, 16, 16))
    assert maps.heatmaps[0, 0, :, 0, 0].tolist() == [0, 1, 2]
    assert maps.embeddings[0, 0, :, :, 0, 0].tolist() == [[3, 4], [5, 6], [7, 8]]


@pytest.mark.parametrize("normalisation", ["none", "group"])
def test_an_images_maps_do_not_depend_on_the_images_beside_it(normalisation):
    net, images = tiny(normalisation=normalisation), torch.rand(3, 3, 32, 32)
    together = net(images)
    for i in range(3):
        alone = net(images[i : i + 1])
        torch.testing.assert_close(together.heatmaps[i : i + 1], alone.heatmaps)
        torch.testing.assert_close(together.embeddings[i : i + 1], alone.embeddings)


def test_normalisation_comes_after_the_relu():
    net = tiny(normalisation="batch").train()
    kinds = [type(m).__name__ for m in net.modules()]
    assert "BatchNorm2d" in kinds
    unit = net.stem[0]
    out = unit(torch.rand(2, 3, 32, 32))
    assert out.min() < 0  # a ReLU after the normalisation would leave nothing negative
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(out.shape[1]), atol=1e-4, rtol=0)


def test_every_parameter_gets_a_gradient_from_the_last_stack_or_its_own():
    net = tiny(normalisation="group")
    maps = net(torch.rand(1, 3, 32, 32))
    (maps.heatmaps.square().sum() + maps.embeddings.square().sum()).backward()
    assert all(p.grad is not None for p in net.parameters())


def test_the_last_stack_trains_every_earlier_head_and_feature():
    net = tiny(stacks=3)
    net(torch.rand(1, 3, 32, 32)).heatmaps[:, -1].square().sum().backward()
    parts = [*net.heads, *net.merge_predictions, *net.merge_features]
    assert all(part.weight.grad.abs().sum() > 0 for part in parts)


def test_channels_last_gives_the_same_maps():
    net, images = tiny(), torch.rand(2, 3, 32, 32)
    expected = net(images).heatmaps
    net = net.to(memory_format=torch.channels_last)
    torch.testing.assert_close(net(images.to(memory_format=torch.channels_last)).heatmaps, expected)


def test_maps_are_float32_under_half_precision_autocast_and_keep_double():
    net, images = tiny(), torch.rand(1, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        assert net(images).heatmaps.dtype == torch.float32
    assert net.double()(images.double()).embeddings.dtype == torch.float64


def test_input_size_must_be_a_multiple_of_the_coarsest_cell():
    net = tiny()
    with pytest.raises(ValueError, match="multiples of 16, got 32 x 40"):
        net(torch.rand(1, 3, 32, 40))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"normalisation": "layer"}, "normalisation: expected one of .*'layer'"),
        ({"stacks": 0}, "stacks: expected at least 1, got 0"),
        ({"depth": 0}, "depth: expected at least 1, got 0"),
    ],
)
def test_bad_sizes_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        tiny(**change)
