"""What becomes of every annotated keypoint: each outcome by hand."""

import torch

from hggbook.evaluate import OUTCOMES, keypoint_outcomes
from hggbook.skeleton import COCO
from hggbook.types import Poses

LEFT_WRIST, RIGHT_WRIST = 9, 10


def apart(number=2):
    """People of 100 x 100 pixels, side by side, all keypoints labelled and far from each other."""
    place = torch.stack([50.0 * (torch.arange(17) % 5), 50.0 * (torch.arange(17) // 5), torch.full((17,), 2.0)], dim=1)
    return torch.stack([place + torch.tensor([1000.0 * n, 0.0, 0.0]) for n in range(number)])


def outcomes(keypoints, people, score=None, image=None, of_person=None):
    """By person: outcome -> keypoint types."""
    n, m = len(keypoints), len(people)
    image = torch.zeros(n, dtype=torch.int64) if image is None else torch.tensor(image)
    of_person = torch.zeros(m, dtype=torch.int64) if of_person is None else torch.tensor(of_person)
    poses = Poses(keypoints, torch.ones(n) if score is None else torch.tensor(score), image, 2)
    told = keypoint_outcomes(poses, people, torch.full((m,), 1e4), of_person)
    return [
        {OUTCOMES[code]: (row == code).nonzero()[:, 0].tolist() for code in row.unique().tolist() if code >= 0}
        for row in told
    ]


def test_a_pose_that_is_the_person_is_right():
    people = apart(1)
    people[0, 3:5, 2] = 0
    assert outcomes(apart(1), people) == [{"right": [k for k in range(17) if k not in (3, 4)]}]


def test_every_outcome_of_a_keypoint():
    people = apart()
    keypoints = people.clone()
    sigma = 2 * COCO.sigmas[0] * 100  # of the nose, in pixels
    keypoints[0, 0, 0] += 0.8 * sigma  # similarity exp(-0.32) = 0.73
    keypoints[0, 1, 0] += 400
    keypoints[0, 2] = 0
    keypoints[0, LEFT_WRIST, :2], keypoints[0, RIGHT_WRIST, :2] = people[0, RIGHT_WRIST, :2], people[1, LEFT_WRIST, :2]
    keypoints[0, 15] = people[1, 15]
    first, second = outcomes(keypoints, people)
    assert {key: value for key, value in first.items() if key != "right"} == {
        "inexact": [0], "elsewhere": [1], "missing": [2], "mirrored": [LEFT_WRIST],
        "another person's": [RIGHT_WRIST, 15],
    }  # fmt: skip
    assert second == {"right": list(range(17))}


def test_a_person_is_taken_once_by_the_surest_pose_and_only_in_its_own_image():
    people, half = apart(1), apart(1)
    half[0, :8] = 0
    surest_first, surest_last = ([2.0, 1.0], [1.0, 2.0])
    assert outcomes(torch.cat([half, people]), people, surest_first)[0]["missing"] == list(range(8))
    assert outcomes(torch.cat([half, people]), people, surest_last) == [{"right": list(range(17))}]
    assert outcomes(people, people, image=[1]) == [{"no pose": list(range(17))}]
    assert outcomes(people[:0], people) == [{"no pose": list(range(17))}]


def test_a_pose_of_too_few_keypoints_takes_nobody():
    people, one = apart(1), torch.zeros(1, 17, 3)
    one[0, 0] = people[0, 0]
    assert outcomes(one, people) == [{"no pose": list(range(17))}]  # OKS 1/17
    one[0, 1] = people[0, 1]
    assert outcomes(one, people) == [{"right": [0, 1], "missing": list(range(2, 17))}]


def test_outcomes_without_people():
    assert outcomes(apart(1), apart(1)[:0]) == []
