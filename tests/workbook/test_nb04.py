"""What notebook 04 and its exercises take for granted."""

import math

import pytest
import torch

from hggbook.grouping.message_passing import EdgeConv
from hggbook.workbook.exercises import nb04
from hggbook.workbook.solutions import nb04 as solutions


def to_first(num_nodes):
    """Edges from all others to node 0."""
    return torch.stack([torch.arange(1, num_nodes), torch.zeros(num_nodes - 1, dtype=torch.int64)])


def test_the_solution_of_the_first_exercise_is_the_librarys_layer():
    torch.manual_seed(0)
    for n in range(1, 7):
        layer, x, edge_index = EdgeConv(3, 5), torch.randn(n, 3), torch.randint(n, (2, 3 * n - 3))
        with torch.no_grad():
            by_loop = solutions.edge_conv(x, edge_index, layer.first.weight, layer.first.bias)
            torch.testing.assert_close(layer(x, edge_index)[0], by_loop)


@pytest.mark.parametrize("neighbours", [[-3, 6], [6, -3], [-3, 6, -3, 5], [-3, -2, -1, 6], [-3.0, 5.5, 6.0]])
def test_neighbours_of_the_same_reach_sound_the_same_to_the_librarys_layer(neighbours):
    torch.manual_seed(0)
    assert nb04.check_same_sound(neighbours) is None
    layer = EdgeConv(1, 500)
    heard = []
    for values in (nb04.HEARD, neighbours):
        x = torch.tensor([nb04.LISTENER, *values])[:, None]
        heard.append(layer(x, to_first(len(x)))[0][0])
    torch.testing.assert_close(*heard)


@pytest.mark.parametrize("neighbours", [[-3, 5.9], [-3.1, 6], [6], [-math.inf, math.inf], [math.nan, -3, 6]])
def test_neighbours_of_another_reach_are_told_apart(neighbours):
    assert nb04.check_same_sound(neighbours) is not None


def test_the_librarys_layer_with_two_fc_layers_can_hear_how_near_the_nearest_neighbour_is():
    w1, b1, w2, b2 = (torch.tensor(part) for part in solutions.SOLUTIONS["04.e4"].answer)
    layer = EdgeConv(1, 2, edge_mlp=2)
    weights = {"first.weight": w1, "first.bias": b1, "rest.0.weight": w2.repeat(2, 1), "rest.0.bias": b2.repeat(2)}
    layer.load_state_dict(weights)
    x = torch.tensor([[0.0], [-4.0], [1.5], [2.0]])
    assert layer(x, to_first(4))[0][0].tolist() == [1.5, 1.5]
    assert layer(x[[0, 1]], to_first(2))[0][0].tolist() == [0.0, 0.0]


def test_one_fc_layer_cannot():
    # Neighbours at -4 and 4 hide one at any place between them, so the nearest distance is lost.
    torch.manual_seed(0)
    layer = EdgeConv(1, 500)
    far = layer(torch.tensor([[0.0], [-4.0], [4.0]]), to_first(3))[0][0]
    for place in (-3.0, 0.0, 0.5):
        torch.testing.assert_close(layer(torch.tensor([[0.0], [-4.0], [4.0], [place]]), to_first(4))[0][0], far)
