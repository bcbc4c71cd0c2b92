"""Shares of time: they add up, follow the work, and name what is missing."""

import time

import pytest
import torch

from hggbook.ablations.runtime import runtime_shares, scaling
from hggbook.config import preset
from hggbook.data.labelled import simulated
from hggbook.data.simulate import SIMULATIONS
from hggbook.model import build
from hggbook.skeleton import COCO

from .test_crowd import people

SMALL = preset("pose").override("grouping.hidden=16", "grouping.layers=1")


@pytest.fixture(scope="module")
def labelled():
    return simulated(people(12), SIMULATIONS["hard"], COCO)


def slow(images):
    time.sleep(0.02)
    return images


def test_shares_add_up_and_a_slow_detector_takes_most(labelled):
    configs = {name: SMALL.override(f"grouping.graph={name}") for name in ("tree", "full")}
    models = {name: build(config, with_detector=False).eval() for name, config in configs.items()}
    told = runtime_shares(slow, lambda maps: maps, models, labelled, 32, images=3)
    for name, parts in told["parts"].items():
        assert sum(parts.values()) == pytest.approx(1, abs=1e-3)
        assert told["grouping"][name] == pytest.approx(parts["graph and GNN"] + parts["clustering"], abs=1e-3)
        assert parts["proposals"] < parts["detector"]
    assert told["relative"]["tree"] == {"grouping": 1.0, "whole": 1.0}
    assert told["candidates"] > 10
    with pytest.raises(ValueError, match="candidates of 21 images"):
        runtime_shares(slow, lambda maps: maps, models, labelled, 32)


def test_growth_with_the_number_of_people_is_relative_to_the_first():
    model = build(SMALL, with_detector=False).eval()
    few = simulated(people(12), SIMULATIONS["perfect"], COCO)
    one = few.select(torch.arange(3))
    told = scaling(model, {2: one, 20: one}, images=2)
    assert told[0]["time"] == 1
    assert told[0]["nodes"] == 34  # two people of 17 keypoints
    assert told[0]["edges"] == 17 * 16 // 2 * 4
    assert [row["people"] for row in told] == [2, 20]
    with pytest.raises(ValueError, match=r"fewer have \[2\]"):
        scaling(model, {2: one}, images=3)
