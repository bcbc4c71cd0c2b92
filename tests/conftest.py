"""What all tests share: one thread, no display, fixed seeds, the real data where there is some."""

import os

# before anything imports matplotlib or numpy: no window is ever opened, and two cores are not shared by eight threads
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import random
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch

from hggbook import paths

torch.set_num_threads(1)

# No deadline, because a busy machine is not a bug; derandomised, because a test that fails should fail again.
hypothesis.settings.register_profile("hggbook", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("hggbook")


@pytest.fixture(autouse=True)
def _seeded():
    """Every test starts from the same random state, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - pycocotools and others still draw from the global generator
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real COCO sample; a test that asks for it is skipped, with the reason, where there is none."""
    folder = paths.data_root()
    if folder is None:
        pytest.skip(f"no real data: set {paths.DATA_VARIABLE} to the folder that holds coco/")
    return folder


@pytest.fixture(scope="session")
def real_file(real_data):
    """Gives the path of a file of the real data, or skips the test and says which file is not there."""

    def find(name: str) -> Path:
        if not (real_data / name).exists():
            pytest.skip(f"no {name} in the folder that {paths.DATA_VARIABLE} names")
        return real_data / name

    return find
