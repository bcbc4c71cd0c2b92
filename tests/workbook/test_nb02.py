"""What notebook 02 says in its text, and what its exercises take for granted."""

import itertools

import pytest
import torch

from hggbook.detector import locate, nms, render
from hggbook.grouping.groupers import AEGreedy
from hggbook.losses import pull_push
from hggbook.types import Candidates
from hggbook.workbook.exercises import nb02
from hggbook.workbook.solutions import nb02 as solutions


def one_image(types, scores, embeddings):
    n = len(types)
    return Candidates(
        xy=torch.zeros(n, 2), type=torch.tensor(types), score=torch.tensor(scores),
        embedding=torch.tensor(embeddings)[:, None], batch=torch.zeros(n, dtype=torch.int64),
        size=torch.tensor([[64.0, 64.0]]),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(0, nb02.TRIALS, 7))
def test_the_solution_of_peaks_is_the_librarys_nms_with_a_threshold(seed):
    heatmap = nb02._heatmap(seed)
    found = nms(heatmap[None, None])[0, 0] & (heatmap > nb02.PEAK_THRESHOLD)
    assert [list(cell) for cell in solutions.peaks(heatmap, nb02.PEAK_THRESHOLD)] == found.nonzero().tolist()


@pytest.mark.parametrize("seed", range(0, nb02.TRIALS, 4))
def test_the_solution_of_gradient_is_that_of_the_librarys_losses(seed):
    embedding, person = nb02._people(seed)
    row = torch.unique(person, return_inverse=True)[1]
    maps = embedding.clone().requires_grad_()
    # one map for each embedding; a person's keypoints of other maps are not labelled
    keypoints = torch.zeros(int(row.max()) + 1, len(row), 3, dtype=torch.float64)
    keypoints[row, torch.arange(len(row)), 2] = 2
    batch = torch.zeros(len(keypoints), dtype=torch.int64)
    sum(pull_push(maps.view(1, 1, -1, 1, 1, 1), keypoints, batch, 1)).backward()
    torch.testing.assert_close(maps.grad, solutions.gradient(embedding, person))


@pytest.mark.parametrize("seed", range(0, nb02.TRIALS, 3))
def test_the_solution_of_one_type_is_a_step_of_the_librarys_grouping(seed):
    embeddings, scores, means = nb02._step(seed)
    people = [1.0 - 0.01 * p for p in range(len(means))]  # scores of the people's first keypoints, falling
    types = [0] * len(means) + [1] * len(embeddings)
    person = AEGreedy((0, 1))(one_image(types, people + scores, means + embeddings)).tolist()
    joined = [p if p < len(means) else None for p in person[len(means) :]]
    assert joined == solutions.one_type(embeddings, scores, means)


def test_the_step_exercise_has_more_candidates_than_people_and_the_reverse_and_refusals():
    steps = [nb02._step(seed) for seed in range(nb02.TRIALS)]
    assert any(len(embeddings) > len(means) > 1 for embeddings, _, means in steps)
    assert any(1 < len(embeddings) < len(means) for embeddings, _, means in steps)
    results = [solutions.one_type(*step) for step in steps]
    assert any(None in result and len(result) <= len(step[2]) for result, step in zip(results, steps))


def test_the_quarter_rule_halves_the_mean_error_on_a_clean_heatmap():
    x = 29.5 + 4 * torch.linspace(-0.495, 0.495, 100)
    keypoints = torch.stack([x, torch.full((100,), 29.5), torch.ones(100)], dim=1)[:, None]
    heatmaps = render(keypoints, torch.arange(100), 100, (16, 16), 4)
    cell, kind = torch.full((100,), 7), torch.zeros(100, dtype=torch.int64)
    error = {
        rule: (locate(heatmaps, torch.arange(100), kind, cell, cell, 4, rule)[:, 0] - x).abs().mean() / 4
        for rule in ("none", "quarter", "taylor")
    }
    assert error["none"] == pytest.approx(1 / 4, abs=1e-4)
    assert error["quarter"] == pytest.approx(1 / 8, abs=1e-4)
    assert error["taylor"] < 1e-4


def test_pull_never_moves_a_mean_and_push_moves_nothing_else():
    embedding = torch.randn(1, 1, 4, 1, 3, 1, dtype=torch.float64, requires_grad=True)
    keypoints = torch.tensor([[0.0, row, 2.0] for row in range(3)], dtype=torch.float64)[:, None].repeat(1, 4, 1)
    pull, push = pull_push(embedding, keypoints, torch.zeros(3, dtype=torch.int64), 1)
    by_person = [torch.autograd.grad(loss, embedding, retain_graph=True)[0][0, 0, :, 0, :, 0] for loss in (pull, push)]
    torch.testing.assert_close(by_person[0].sum(0), torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(by_person[1], by_person[1][:1].expand(4, -1))
    assert by_person[0].abs().max() > 1e-3
    assert by_person[1].abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["exp", "hinge"])
def test_equal_people_are_not_pushed_at_all(kind):
    embedding = torch.zeros(1, 1, 1, 1, 2, 1, requires_grad=True)
    keypoints = torch.tensor([[[0.0, 0.0, 2.0]], [[0.0, 1.0, 2.0]]])
    sum(pull_push(embedding, keypoints, torch.zeros(2, dtype=torch.int64), 1, kind=kind)).backward()
    assert embedding.grad.abs().max() == 0


HEAD, HAND, FOOT = 0, 1, 2


def groups(found):
    return {tuple((found == p).nonzero()[:, 0].tolist()) for p in found.unique()}


def test_a_collision_exchanges_two_hands():
    case = one_image([HEAD, HEAD, HAND, HAND, FOOT, FOOT], [0.9, 0.8, 0.6, 0.9, 0.8, 0.6], [0, 0.4, 0.05, 0.35, 0, 0.4])
    assert groups(AEGreedy((HEAD, HAND, FOOT))(case)) == {(0, 3, 4), (1, 2, 5)}


def test_a_vacancy_is_filled_by_a_stranger_unless_the_feet_come_first():
    case = one_image([HEAD, HAND, FOOT, FOOT], [0.9, 0.7, 0.8, 0.7], [0.0, 0.8, 0.0, 1.0])
    assert groups(AEGreedy((HEAD, HAND, FOOT))(case)) == {(0, 1, 2), (3,)}
    assert groups(AEGreedy((FOOT, HAND, HEAD))(case)) == {(0, 2), (1, 3)}


def test_a_false_candidate_that_is_surer_takes_the_place():
    case = one_image([HEAD, HAND, HAND, FOOT], [0.9, 0.5, 0.8, 0.7], [0.0, 0.1, 0.3, 0.0])
    assert groups(AEGreedy((HEAD, HAND, FOOT))(case)) == {(0, 2, 3), (1,)}


def test_two_hands_within_half_a_unit_of_both_people_are_a_tie():
    cost = solutions.costs([0.0, 0.4], [0.9, 0.6], [0.0, 0.4])
    totals = [solutions.total(cost, columns) for columns in itertools.permutations(range(2))]
    assert totals[0] == pytest.approx(totals[1])


@pytest.mark.parametrize(
    "answer",
    [([0.7, -0.7, 0.0], [5, 5, 5]), ([0, 0, 0], [-4.5, -5.9, -5.2]), ([0.52, -0.52, 0.0], [-2, -2, -2])],
)
def test_embeddings_near_their_own_mean_may_be_split(answer):
    assert nb02.check_split(answer) is None


def test_there_is_no_such_split_if_everything_is_within_half_a_unit_of_its_mean():
    for head, hand in [(0.0, 0.0), (0.45, -0.45), (-0.45, 0.0), (0.2, 0.25), (-0.24, -0.24)]:
        assert nb02.check_split(([head, hand, -head - hand], [5.0, 5.0, 5.0])).startswith("greedy grouping keeps")
