"""A published AE checkpoint gives a detector equal to the network that wrote it."""

import pytest
import torch
from torch import nn

from hggbook.detector import load_ae_checkpoint, without_unused_outputs
from tests.detector.ae_network import AENetwork


def saved(tmp_path, net, wrap=lambda weights: {"state_dict": weights, "epoch": 3}, prefix="model.module."):
    path = tmp_path / "checkpoint.pth.tar"
    torch.save(wrap({prefix + key: value for key, value in net.state_dict().items()}), path)
    return path


def network(**changes):
    torch.manual_seed(1)
    return AENetwork(**{"stacks": 3, "width": 12, "outputs": 12, "depth": 3, "growth": 8, "stem": (6, 10), **changes})


def assert_equal(theirs, path, num_types=3, size=64):
    ours = load_ae_checkpoint(path, num_types)
    images = torch.rand(2, size, size, 3)
    with torch.no_grad():
        expected = theirs.eval()(images)
        maps = ours(images.permute(0, 3, 1, 2))
    assert torch.equal(maps.heatmaps, expected[:, :, :num_types])
    assert torch.equal(maps.embeddings[:, :, :, 0], expected[:, :, num_types : 2 * num_types])
    return ours


@pytest.mark.parametrize("prefix", ["", "module.", "model.module.", "module.model."])
def test_every_stack_is_equal_with_any_prefix(tmp_path, prefix):
    net = network()
    assert_equal(net, saved(tmp_path, net, prefix=prefix))


def test_the_old_file_format_of_the_published_checkpoint(tmp_path):
    net = network()
    path = tmp_path / "old.pth.tar"
    content = {
        "state_dict": net.state_dict(),
        "optimizer": torch.optim.Adam(net.parameters()).state_dict(),
        "epoch": 362,
    }
    torch.save(content, path, _use_new_zipfile_serialization=False)
    assert_equal(net, path)


def test_weights_without_an_enclosing_dict_are_read_too(tmp_path):
    net = network()
    assert_equal(net, saved(tmp_path, net, wrap=lambda weights: weights))


def test_the_published_form_with_68_outputs_of_which_34_are_unused(tmp_path):
    net = network(stacks=2, width=8, outputs=68, depth=4, growth=128, stem=(64, 128))
    ours = assert_equal(net, saved(tmp_path, net), num_types=17)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in net.parameters())


def test_the_unused_outputs_matter_to_the_next_stack(tmp_path):
    net = network()
    path = saved(tmp_path, net)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        full = load_ae_checkpoint(path, 3)
        before = full(images).heatmaps
        full.heads[0].weight[6:] += 1
        after = full(images).heatmaps
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.equal(before[:, 1], after[:, 1])


@pytest.mark.parametrize(("stacks", "outputs"), [(1, 9), (3, 12), (3, 6)])
def test_without_unused_outputs_it_is_the_same_function(tmp_path, stacks, outputs):
    full = load_ae_checkpoint(saved(tmp_path, network(stacks=stacks, outputs=outputs)), 3)
    images, before = torch.rand(2, 3, 64, 64), {k: v.clone() for k, v in full.state_dict().items()}
    slim = without_unused_outputs(full)
    with torch.no_grad():
        expected, maps = full(images), slim(images)
    torch.testing.assert_close(maps.heatmaps, expected.heatmaps)
    torch.testing.assert_close(maps.embeddings, expected.embeddings)
    assert [head.out_channels for head in slim.heads] == [6] * stacks
    assert all(torch.equal(full.state_dict()[name], value) for name, value in before.items())


def test_a_network_with_batch_normalisation(tmp_path):
    net = network(bn=True)
    net.train()(torch.rand(2, 64, 64, 3))  # running statistics other than 0 and 1
    assert_equal(net, saved(tmp_path, net))


def test_it_can_be_trained_on(tmp_path):
    net = network()
    ours = load_ae_checkpoint(saved(tmp_path, net), 3)
    ours(torch.rand(1, 3, 64, 64)).heatmaps.sum().backward()
    assert ours.stem[0].conv.weight.grad.abs().sum() > 0


def test_another_architecture_is_named_with_its_keys(tmp_path):
    path = tmp_path / "resnet.pth"
    torch.save(nn.Sequential(nn.Conv2d(3, 8, 3)).state_dict(), path)
    with pytest.raises(ValueError, match=r"resnet\.pth: not an associative embedding network: .*found 0\.weight"):
        load_ae_checkpoint(path)


def test_missing_unexpected_and_misshapen_weights_are_named(tmp_path):
    net = network()
    weights = net.state_dict()
    del weights["pre.3.conv.bias"]
    weights["outs.0.extra"] = torch.zeros(1)
    weights["outs.1.conv.bias"] = torch.zeros(5)
    path = tmp_path / "odd.pth"
    torch.save(weights, path)
    with pytest.raises(ValueError, match=r"odd\.pth") as error:
        load_ae_checkpoint(path, 3)
    text = str(error.value)
    assert "missing: stem.3.conv.bias" in text
    assert "unexpected: heads.0.extra" in text
    assert "heads.1.bias (5,) instead of (12,)" in text


def test_too_few_outputs_for_the_keypoint_types(tmp_path):
    net = network()
    with pytest.raises(ValueError, match="at least 34 outputs for 17 types, got 12"):
        load_ae_checkpoint(saved(tmp_path, net))


def test_files_that_are_no_checkpoint(tmp_path):
    path = tmp_path / "garbage.pth"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match=r"garbage\.pth: expected a checkpoint"):
        load_ae_checkpoint(path)
    torch.save([1, 2], path)
    with pytest.raises(ValueError, match="expected weights by name"):
        load_ae_checkpoint(path)
    torch.save({"model": nn.ReLU()}, path)  # code, not weights: must not be run
    with pytest.raises(ValueError, match=r"garbage\.pth: expected a checkpoint"):
        load_ae_checkpoint(path)
    with pytest.raises(FileNotFoundError):
        load_ae_checkpoint(tmp_path / "absent.pth")
