"""Labelled candidates: chosen images keep what is theirs, files come back as they were, overlap by hand."""

import dataclasses

import pytest
import torch

from hggbook.data.coco import PoseSet
from hggbook.data.labelled import join, load_labelled, overlap, save_labelled, simulated
from hggbook.data.simulation import SIMULATIONS
from hggbook.skeleton import COCO


def people(*boxes_of_images, size=400.0):
    """Images whose people fill the given boxes (x0, y0, x1, y1) with their keypoints: two of them in the corners."""
    keypoints, batch = [], []
    for image, boxes in enumerate(boxes_of_images):
        for x0, y0, x1, y1 in boxes:
            g = torch.Generator().manual_seed(len(keypoints))
            inside = torch.rand(17, 2, generator=g) * torch.tensor([x1 - x0, y1 - y0]) + torch.tensor([x0, y0])
            inside[0], inside[1] = torch.tensor([x0, y0]), torch.tensor([x1, y1])
            keypoints.append(torch.cat([inside, torch.full((17, 1), 2.0)], dim=1))
            batch.append(image)
    number = len(boxes_of_images)
    return PoseSet(
        torch.stack(keypoints) if keypoints else torch.zeros(0, 17, 3), torch.full((len(keypoints),), 5000.0),
        torch.tensor(batch, dtype=torch.int64), torch.arange(10, 10 + number), torch.full((number, 2), size),
    )  # fmt: skip


TWO = [(0.0, 0.0, 100.0, 100.0), (50.0, 0.0, 150.0, 100.0)]
CROWD = people(TWO, [], [(10.0, 10.0, 90.0, 300.0)], [*TWO, (300.0, 300.0, 390.0, 390.0)])


def equal(a, b):
    for field in dataclasses.fields(a):
        one, other = getattr(a, field.name), getattr(b, field.name)
        if dataclasses.is_dataclass(one):
            equal(one, other)
        else:
            assert torch.equal(one, other), field.name


def test_overlap_by_hand():
    # boxes of 100 x 100, 50 apart: IoU 50 / 150; the third person of the last image is apart from both
    assert overlap(CROWD).tolist() == pytest.approx([1 / 3, 0.0, 0.0, 2 / 9])


def test_overlap_of_people_with_one_labelled_keypoint_or_none_is_zero():
    keypoints = torch.zeros(2, 17, 3)
    keypoints[0, 0] = torch.tensor([5.0, 5.0, 2.0])
    lonely = PoseSet(keypoints, torch.ones(2), torch.zeros(2, dtype=torch.int64), torch.tensor([1]), torch.ones(1, 2))
    assert overlap(lonely).tolist() == [0.0]


def test_simulated_in_chunks_is_simulated_at_once():
    equal(simulated(CROWD, SIMULATIONS["hard"], COCO, 3, chunk=1), simulated(CROWD, SIMULATIONS["hard"], COCO, 3))


def test_chosen_images_keep_their_candidates_and_people():
    whole = simulated(CROWD, SIMULATIONS["hard"], COCO, 0)
    some = whole.select(torch.tensor([3, 1, 0]))
    assert some.image_id.tolist() == [13, 11, 10]
    assert some.people.tolist() == [3, 0, 2]
    assert some.targets.batch.tolist() == [0, 0, 0, 2, 2]
    equal(some, join([whole.select(torch.tensor([i])) for i in (3, 1, 0)]))
    for new, old in ((0, 3), (2, 0)):
        here, there = some.candidates.batch == new, whole.candidates.batch == old
        assert torch.equal(some.candidates.xy[here], whole.candidates.xy[there])
        # people are numbered anew, in the same order; nobody's candidates stay nobody's
        owner, before = some.targets.person[here], whole.targets.person[there]
        assert torch.equal(owner < 0, before < 0)
        first, first_before = some.targets.batch.tolist().index(new), whole.targets.batch.tolist().index(old)
        assert torch.equal(owner[owner >= 0] - first, before[before >= 0] - first_before)
    equal(whole.select(torch.tensor([True, False, False, True])), whole.select(torch.tensor([0, 3])))


def test_batches_put_together_are_the_whole():
    whole = simulated(CROWD, SIMULATIONS["hard"], COCO, 0)
    equal(join(list(whole.batches(3))), whole)
    with pytest.raises(ValueError, match="at least one"):
        join([])


def test_a_file_comes_back_as_it_was(tmp_path):
    whole = simulated(CROWD, SIMULATIONS["hard"], COCO, 0)
    save_labelled(tmp_path / "some.safetensors", whole, weights="a name", scenes=3)
    again, facts = load_labelled(tmp_path / "some.safetensors")
    equal(again, whole)
    assert facts == {"weights": "a name", "scenes": 3}


def test_other_files_are_refused(tmp_path):
    from safetensors.torch import save_file

    with pytest.raises(FileNotFoundError, match="no such file"):
        load_labelled(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("text")
    with pytest.raises(ValueError, match="expected a safetensors file"):
        load_labelled(tmp_path / "text.safetensors")
    save_file({"x": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="labelled candidates"):
        load_labelled(tmp_path / "other.safetensors")


def test_no_image_at_all_is_a_set_too():
    nobody = simulated(CROWD.select(torch.zeros(0, dtype=torch.int64)), SIMULATIONS["hard"], COCO)
    assert (nobody.num_images, len(nobody.candidates)) == (0, 0)
    assert nobody.select(torch.zeros(0, dtype=torch.int64)).num_images == 0
