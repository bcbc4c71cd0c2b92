"""Loading: batches in a seeded order, from any step on, on any number of workers and processes.

Everything random is drawn from a generator seeded by (seed, epoch, sample), never by a worker: the same run gives the
same batches however its work is spread, and a run that was stopped goes on with the batches it would have seen.
"""

import signal
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from hggbook.data.transforms import Prepared, Transform, collate
from hggbook.types import Batch


class StepSampler(Sampler[list[tuple[int, int]]]):
    """Which samples each step of training sees, in a seeded order that can be entered anywhere.

    Step t of an epoch takes the global batch ``order[t * batch_size : (t + 1) * batch_size]`` of that epoch's order
    and hands each process a contiguous part of it: the same samples make a step for any ``world``. Yields lists of
    (epoch, index), so that a worker knows the epoch too.

    Attributes:
        epoch, start: position; the next iteration gives steps ``start, start + 1, ...`` of ``epoch``. `seek` sets both.

    Raises:
        ValueError: a data set or batch too small for one sample per process and step, a rank outside of the world.

    Not in the paper: resuming and several processes.
    """

    def __init__(
        self, length: int, batch_size: int, *, seed: int = 0, shuffle: bool = False, epoch: int = 0, start: int = 0,
        rank: int = 0, world: int = 1, drop_last: bool = False,
    ):
        if batch_size < world or not 0 <= rank < world:
            raise ValueError(
                f"loader: expected 0 <= rank < world <= batch_size, got rank {rank}, world {world}, "
                f"batch_size {batch_size} (the batch of all processes together)"
            )
        if drop_last and length < batch_size:
            raise ValueError(f"loader: a batch of {batch_size} was asked for, the data set has {length} samples")
        self.length, self.batch_size, self.seed, self.shuffle = length, batch_size, seed, shuffle
        self.epoch, self.start = epoch, start
        self.rank, self.world, self.drop_last = rank, world, drop_last

    @property
    def steps_per_epoch(self) -> int:
        """Steps of a whole epoch; the last one is smaller unless ``drop_last``."""
        return self.length // self.batch_size if self.drop_last else -(-self.length // self.batch_size)

    def seek(self, step: int) -> None:
        """Go to a step counted from the beginning of training.

        Raises:
            ValueError: the data set is empty.
        """
        if self.length == 0:
            raise ValueError("loader: the data set is empty")
        self.epoch, self.start = divmod(step, self.steps_per_epoch)

    def __len__(self) -> int:
        return max(self.steps_per_epoch - self.start, 0)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, order = self.epoch, np.arange(self.length)
        if self.shuffle:
            order = _generator(self.seed, epoch).permutation(self.length)
        for step in range(self.start, self.steps_per_epoch):
            batch = order[step * self.batch_size : (step + 1) * self.batch_size]
            # The last, smaller batch of an epoch may leave a process without a sample: it then has a step less.
            if len(part := np.array_split(batch, self.world)[self.rank]):
                yield [(epoch, int(index)) for index in part]


def loader(
    dataset: Any, transform: Transform, batch_size: int, *, seed: int = 0, shuffle: bool = False, workers: int = 0,
    epoch: int = 0, start: int = 0, rank: int = 0, world: int = 1, drop_last: bool = False, pin_memory: bool = False,
) -> DataLoader:
    """A ``DataLoader`` of `Batch`es; ``loader.batch_sampler`` is its `StepSampler`.

    Args:
        dataset: anything with ``len`` and ``[index] -> Sample``.
        transform: `Fit` or `Augment`.
        batch_size: images per step, of all processes together.
        drop_last: leave out the last, smaller step of an epoch; training on several processes needs it.

    Raises:
        ValueError: see `StepSampler`.

    Not in the paper: loading.
    """
    sampler = StepSampler(
        len(dataset), batch_size, seed=seed, shuffle=shuffle, epoch=epoch, start=start, rank=rank, world=world,
        drop_last=drop_last,
    )
    return DataLoader(
        _Transformed(dataset, transform, seed), batch_sampler=sampler, collate_fn=collate, num_workers=workers,
        worker_init_fn=_start_worker, persistent_workers=workers > 0, pin_memory=pin_memory,
        # An own generator: iterating must not draw from the global one, or a resumed run would differ.
        generator=torch.Generator().manual_seed(seed),
    )


def endless(batches: DataLoader, step: int = 0) -> Iterator[Batch]:
    """Batches from a given step of training on, epoch after epoch, for ever.

    Not in the paper: resuming.
    """
    while True:
        batches.batch_sampler.seek(step)
        for batch in batches:
            yield batch
            step += 1


class _Transformed(Dataset):
    """A data set with its transform, indexed by (epoch, index)."""

    def __init__(self, dataset, transform, seed):
        self.dataset, self.transform, self.seed = dataset, transform, seed

    def __getitem__(self, place: tuple[int, int]) -> Prepared:
        epoch, index = place
        return self.transform(self.dataset[index], _generator(self.seed, epoch, index))


def _generator(seed: int, *place: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=place)))


def _start_worker(worker: int) -> None:
    cv2.setNumThreads(0)
    # A stop is the main process's affair. `timeout`, a batch system and Ctrl-C signal all processes at once; a worker
    # that died of it would end the run before it is saved. Workers end with the main process by themselves.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
