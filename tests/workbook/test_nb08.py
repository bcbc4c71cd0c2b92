"""What notebook 08 and its exercises take for granted."""

import pytest
import torch

from hggbook import paths
from hggbook.grouping.graph import build_graph, coarsen
from hggbook.types import Candidates
from hggbook.workbook.exercises import nb08
from hggbook.workbook.solutions import nb08 as solutions


@pytest.mark.parametrize("epsilon", [1e-15, 1e-8, 1e-3])
@pytest.mark.parametrize("scale", [1e-10, 1e-6, 1.0])
def test_the_solution_of_the_first_exercise_is_torchs_adam(epsilon, scale):
    parameter = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([parameter], lr=1e-2, betas=(0.8, 0.99), eps=epsilon)
    gradients = [scale * g for g in (0.5, -2.0, 1.5, 0.25)]
    for gradient in gradients:
        before = parameter.item()
        parameter.grad = torch.full_like(parameter, gradient)
        optimiser.step()
    by_hand = solutions.adam_update(gradients, 1e-2, 0.8, 0.99, epsilon)
    assert by_hand == pytest.approx(parameter.item() - before, rel=1e-6)


def test_the_solution_of_the_second_exercise_is_the_backward_pass_of_coarsen():
    n = 6
    candidates = Candidates(
        torch.zeros(n, 2), torch.arange(n), torch.ones(n), torch.zeros(n, 1), torch.zeros(n, dtype=torch.int64),
        torch.tensor([[64.0, 64.0]]),
    )  # fmt: skip
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    once = coarsen(build_graph(candidates, x, ~torch.eye(n, dtype=torch.bool)), torch.tensor([0, 0, 1, 1, 1, 2]))
    once.x.retain_grad()
    cluster = torch.tensor([0, 0, 1])
    twice = coarsen(once, cluster)
    gradient = torch.randn(twice.x.shape, generator=torch.Generator().manual_seed(1))
    twice.x.backward(gradient)
    torch.testing.assert_close(solutions.member_gradient(gradient, once.count, cluster), once.x.grad)
    assert once.count.tolist() == [2, 3, 1]


def test_the_solution_of_the_third_exercise_shows_every_image_over_the_epochs():
    images, size = 13, 3  # one is left over in every epoch, and not always the same one
    rows = [row for step in range(12) for row in solutions.batch_at(step, images, size, 5)]
    assert set(rows) == set(range(images))


def test_what_crosses_has_reasons_and_the_order_of_the_letters_does_not_matter():
    assert set(nb08.WAYS) == set(nb08.REASONS) > solutions.CROSSES
    notebook = (paths.notebooks_folder() / "08_training.ipynb").read_text(encoding="utf-8")
    assert [letter for letter, text in nb08.WAYS.items() if f"**{letter}** {text}" not in notebook] == []
    for answer in ("aceh", ["H", "e", "c", "a"], {"a", "c", "e", "h"}):
        assert nb08.check_ways(answer) is None
    assert "b carries none" in nb08.check_ways({"a", "b"})
    assert "3 more" in nb08.check_ways({"a"})
    assert "from a to h" in nb08.check_ways({"a", "z"})
