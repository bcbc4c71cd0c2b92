"""Crowds at a wanted overlap, the sweep over them, and people whose torso is hidden."""

import numpy as np
import pytest
import torch

from hggbook.ablations.crowd import TORSO, crowds, kept_whole, lead, sweep
from hggbook.compare.contenders import contenders_of
from hggbook.config import preset
from hggbook.data.coco import PoseSet
from hggbook.data.labelled import overlap, simulated
from hggbook.data.simulate import SIMULATIONS
from hggbook.model import build
from hggbook.skeleton import COCO


def people(number=24, seed=0):
    """As many people, two an image, with 17 labelled keypoints in boxes of all shapes."""
    generator = torch.Generator().manual_seed(seed)
    side = 40 + 200 * torch.rand(number, 1, 2, generator=generator)
    xy = torch.rand(number, 17, 2, generator=generator) * side
    keypoints = torch.cat([xy, torch.full((number, 17, 1), 2.0)], dim=2)
    batch = torch.arange(number) // 2
    area, size = torch.full((number,), 5000.0), torch.full((number // 2, 2), 300.0)
    return PoseSet(keypoints, area, batch, torch.arange(number // 2), size)


@pytest.mark.parametrize("wanted", [0.0, 0.2, 0.45, 0.67])
def test_neighbours_overlap_as_asked(wanted):
    found = crowds(people(60), wanted)
    assert found.num_images == 20
    assert torch.bincount(found.batch).tolist() == [3] * 20
    measured = overlap(found)
    # where two shapes differ too much for the wanted IoU they come as near as they can
    assert (measured <= wanted + 1e-4).all()
    assert float((measured > wanted - 1e-3).float().mean()) > 0.8
    assert float(found.keypoints[:, :, :2].min()) >= 0
    assert float(found.keypoints[:, :, :2].max()) <= 512


def test_the_same_people_stand_in_the_same_image_at_every_overlap():
    near, far = crowds(people(), 0.6, number=5), crowds(people(), 0.0, number=5)
    assert near.num_images == far.num_images == 5
    for one, other in zip(near.keypoints, far.keypoints):
        shapes = [(p[:, :2] - p[:, :2].amin(0)) / (p[:, :2].amax(0) - p[:, :2].amin(0)) for p in (one, other)]
        torch.testing.assert_close(shapes[0], shapes[1], atol=1e-4, rtol=0)


def test_people_with_few_keypoints_are_left_out_and_too_few_are_an_error():
    some = people(6)
    some.keypoints[0, 9:, 2] = 0
    assert crowds(some, 0.3).num_images == 1  # five are left, three to an image
    some.keypoints[1:4, 9:, 2] = 0
    with pytest.raises(ValueError, match="expected 3 people"):
        crowds(some, 0.3)
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        crowds(people(), 1.0)


def test_hidden_torsos_split_what_a_tree_joined_through_them():
    found = people(4)
    assert kept_whole(found, COCO, ()) == dict.fromkeys(("tree", "bypass", "extended", "full"), 1.0)
    told = kept_whole(found, COCO)
    assert told["tree"] == 0  # head, arms and legs hang on shoulders and hips
    assert told["full"] == 1
    assert told["tree"] <= told["bypass"] <= told["extended"] <= told["full"]
    assert len(TORSO) == 4


def test_the_sweep_and_its_lead_by_hand():
    config = preset("pose").override("grouping.hidden=16")
    torch.manual_seed(0)
    known = contenders_of(build(config, with_detector=False).eval(), config, exact=False)
    truth = known["oracle"].make(0.0)
    groupers = {"hgg": truth, "ae": lambda candidates, targets: torch.arange(len(candidates))}
    sets = [simulated(crowds(people(), wanted), SIMULATIONS["hard"], COCO) for wanted in (0.0, 0.5)]
    told = sweep(groupers, sets)
    assert told["images"] == 8
    assert [one["f1"] for one in told["groupers"]["hgg"]] == [1.0, 1.0]
    assert [one["f1"] for one in told["groupers"]["ae"]] == [0.0, 0.0]
    assert told["overlap"][1] > told["overlap"][0] + 0.3
    assert told["lead_samples"].shape[0] == 2
    found = lead([told, told])
    assert found["lead"] == [1.0, 1.0]
    assert found["low_at_most_overlap"] == 1.0
    assert (found["growth"], found["growth_low"], found["growth_high"]) == (0, 0, 0)
    with pytest.raises(ValueError, match="as many images"):
        sweep(groupers, [sets[0], sets[1].select(torch.arange(2))])


def test_the_growth_of_a_lead_is_taken_image_by_image():
    one = {
        "lead_samples": np.array([[0.1, 0.2, 0.3], [0.2, 0.3, 0.4]]),
        "groupers": {"hgg": [{"f1": 0.9}, {"f1": 0.8}], "ae": [{"f1": 0.7}, {"f1": 0.5}]},
    }
    found = lead([one])
    assert found["lead"] == [0.2, 0.3]
    assert found["growth"] == pytest.approx(0.1)
    assert (found["growth_low"], found["growth_high"]) == (0.1, 0.1)  # paired; unpaired it would be [-0.1, 0.3]
