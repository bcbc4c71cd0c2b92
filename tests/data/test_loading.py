"""The order of samples: seeded, the same for any number of workers and processes, and resumable at any step."""

from itertools import chain, islice

import numpy as np
import pytest
import torch

from hggbook.data.loading import StepSampler, endless, loader
from hggbook.data.transforms import Augment, Fit, Sample
from hggbook.skeleton import COCO

AUGMENT = Augment(16, COCO.flip_order)


class Noise:
    """Ten images of noise, with one person each on the even ones."""

    def __init__(self, length=10):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        people = 1 - index % 2
        keypoints = np.zeros((people, COCO.num_types, 3), dtype=np.float32)
        keypoints[:, :, :2], keypoints[:, :, 2] = 10, 2
        return Sample(
            image=np.random.default_rng(index).integers(0, 256, (20, 24, 3), dtype=np.uint8), keypoints=keypoints,
            area=np.full(people, 50, dtype=np.float32), ignore=np.zeros((20, 24), dtype=bool), image_id=index,
        )  # fmt: skip


def same(first, second):
    return all(
        torch.equal(getattr(first, field), getattr(second, field))
        for field in ("images", "keypoints", "area", "batch", "mask", "image_id", "to_image")
    )


def steps(**options):
    """Sample indices of each step of an epoch."""
    options = {"seed": 3, "shuffle": True} | options
    return [[index for _, index in step] for step in StepSampler(10, 4, **options)]


def order(**options):
    return list(chain.from_iterable(steps(**options)))


def test_an_epoch_visits_every_sample_once_in_an_order_of_its_own():
    orders = [order(epoch=epoch) for epoch in range(3)]
    assert all(sorted(indices) == list(range(10)) for indices in orders)
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert orders[1] == order(epoch=1)
    assert orders[0] != order(seed=4)
    assert order(shuffle=False) == list(range(10))


def test_the_last_smaller_step_can_be_left_out():
    assert [len(step) for step in steps()] == [4, 4, 2]
    assert [len(step) for step in steps(drop_last=True)] == [4, 4]
    assert (len(StepSampler(10, 4)), len(StepSampler(10, 4, drop_last=True)), len(StepSampler(0, 4))) == (3, 2, 0)


@pytest.mark.parametrize("world", [2, 3, 4])
def test_processes_share_the_samples_of_a_step(world):
    parts = [steps(rank=rank, world=world, drop_last=True) for rank in range(world)]
    assert [list(chain.from_iterable(step)) for step in zip(*parts, strict=True)] == steps(drop_last=True)


def test_an_epoch_can_be_entered_at_any_step():
    assert steps(start=1) == steps()[1:]
    assert steps(start=3) == []
    sampler = StepSampler(10, 4, seed=3, shuffle=True, drop_last=True)
    sampler.seek(5)  # two steps an epoch
    assert (sampler.epoch, sampler.start, len(sampler)) == (2, 1, 1)
    assert [[i for _, i in step] for step in sampler] == steps(epoch=2, drop_last=True)[1:]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_number_of_workers_changes_nothing():
    alone = list(loader(Noise(), AUGMENT, 4, seed=1, shuffle=True))
    helped = list(loader(Noise(), AUGMENT, 4, seed=1, shuffle=True, workers=2))
    assert len(alone) == len(helped) == 3
    assert all(same(a, b) for a, b in zip(alone, helped, strict=True))


def test_augmentation_depends_on_seed_epoch_and_sample_alone():
    def images(**options):
        batches = loader(Noise(), AUGMENT, 5, **options)
        return {int(i): image for batch in batches for i, image in zip(batch.image_id, batch.images, strict=True)}

    plain = images(seed=1)
    shuffled = images(seed=1, shuffle=True)
    assert all(torch.equal(plain[i], shuffled[i]) for i in range(10))
    assert not any(torch.equal(plain[i], images(seed=1, epoch=1)[i]) for i in range(10))
    assert not any(torch.equal(plain[i], images(seed=2)[i]) for i in range(10))


def test_a_resumed_stream_goes_on_with_the_same_batches():
    options = {"seed": 1, "shuffle": True, "drop_last": True}
    unbroken = list(islice(endless(loader(Noise(), AUGMENT, 4, **options)), 7))
    resumed = list(islice(endless(loader(Noise(), AUGMENT, 4, **options), step=3), 4))
    assert all(same(a, b) for a, b in zip(unbroken[3:], resumed, strict=True))


def test_two_processes_see_what_one_sees():
    whole = list(loader(Noise(), AUGMENT, 4, seed=1, shuffle=True, drop_last=True))
    parts = [list(loader(Noise(), AUGMENT, 4, seed=1, shuffle=True, drop_last=True, rank=r, world=2)) for r in (0, 1)]
    for batch, first, second in zip(whole, *parts, strict=True):
        assert torch.equal(batch.images, torch.cat([first.images, second.images]))
        assert torch.equal(batch.keypoints, torch.cat([first.keypoints, second.keypoints]))
        assert torch.equal(batch.batch, torch.cat([first.batch, second.batch + first.num_images]))


def test_loading_leaves_the_global_generators_alone():
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    list(loader(Noise(), AUGMENT, 4, shuffle=True))
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(numpy_before, np.random.get_state()[1])  # noqa: NPY002


def test_test_time_loading_keeps_the_order_of_the_data_set():
    ids = torch.cat([batch.image_id for batch in loader(Noise(), Fit(16), 3)])
    assert ids.tolist() == list(range(10))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "0 <= rank < world <= batch_size"),
        ({"batch_size": 2, "world": 3}, "rank 0, world 3, batch_size 2"),
        ({"batch_size": 4, "world": 2, "rank": 2}, "rank 2, world 2"),
        ({"batch_size": 16, "drop_last": True}, "a batch of 16 was asked for, the data set has 10 samples"),
    ],
)
def test_impossible_requests_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        loader(Noise(), AUGMENT, **options)
    with pytest.raises(ValueError, match="the data set is empty"):
        next(endless(loader(Noise(0), AUGMENT, 4)))
