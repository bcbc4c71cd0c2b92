"""Exercises and questions of notebook 04, EdgeConv message passing."""

from typing import Any

import torch
from torch import Tensor

from hggbook.workbook.exercises import Exercise, NotAnswered, Question, call
from hggbook.workbook.solutions import nb04 as solutions

TRIALS = 40
LISTENER, HEARD = 2.0, (-3.0, 1.0, 6.0)
LEAST_DISTANCE = 3.0
RADIUS = 3.0


def _random_graph(seed: int) -> tuple[Tensor, Tensor]:
    """Small whole features (N, 2) and a random directed graph; some nodes hear nobody. Grows with the seed."""
    generator = torch.Generator().manual_seed(seed)
    num_nodes = 2 + seed // 10
    x = torch.randint(-5, 6, (num_nodes, 2), generator=generator).float()
    pair = torch.cartesian_prod(torch.arange(num_nodes), torch.arange(num_nodes)).T
    pair = pair[:, pair[0] != pair[1]]
    return x, pair[:, torch.rand(pair.shape[1], generator=generator) < 0.5]


def check_edge_conv(answer: Any) -> str | None:
    """Exercise 04.e1: one EdgeConv layer on random graphs."""
    for seed in range(TRIALS):
        x, edge_index = _random_graph(seed)
        generator = torch.Generator().manual_seed(1000 + seed)
        weight = torch.randint(-2, 3, (3, 4), generator=generator).float()
        bias = torch.randint(-2, 3, (3,), generator=generator).float()
        given = (x.clone(), edge_index.clone(), weight.clone(), bias.clone())
        result = torch.as_tensor(call(answer, *given)).float()
        expected = solutions.edge_conv(x, edge_index, weight, bias)
        if result.shape != expected.shape:
            return f"expected shape {tuple(expected.shape)}, one row a node, got {tuple(result.shape)}"
        if not torch.allclose(result, expected, atol=1e-4):
            node = int((result - expected).abs().nan_to_num(torch.inf).amax(dim=1).argmax())
            said = ", ".join(f"{j} speaks to {i}" for j, i in edge_index.T.tolist()) or "nobody speaks"
            return (
                f"x = {x.tolist()}, weight = {weight.tolist()}, bias = {bias.tolist()}, {said}: "
                f"expected {expected[node].tolist()} for node {node}, got {result[node].tolist()}"
            )
        if not all(torch.equal(a, b) for a, b in zip(given, (x, edge_index, weight, bias))):
            return "your function changes its arguments; work on copies"
    return None


def _layers(seed: int) -> dict[str, Any]:
    """Layers to examine: equivariant ones and ones that look at node numbers or at the order of the nodes."""
    generator = torch.Generator().manual_seed(2000 + seed)
    weight, bias = torch.randn(3, 4, generator=generator), torch.randn(3, generator=generator)

    def honest(x, edge_index):
        return solutions.edge_conv(x, edge_index, weight, bias)

    def own(x, edge_index):
        return x @ weight[:, :2].T

    def numbered(x, edge_index):
        return own(x, edge_index) + torch.arange(len(x))[:, None]

    def nearly(x, edge_index):
        return own(x, edge_index) + 0.25 * (torch.arange(len(x)) == 0)[:, None]

    return {
        "an EdgeConv layer": honest,
        "an FC layer": own,
        "a layer that adds each node's number": numbered,
        "a layer that adds 0.25 to the first node": nearly,
    }


def check_gap(answer: Any) -> str | None:
    """Exercise 04.e2: the gap of honest layers is zero, that of others is what it is."""
    for seed in range(TRIALS):
        x, edge_index = _random_graph(seed)
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(3000 + seed))
        for name, layer in _layers(seed).items():
            result = float(call(answer, layer, x.clone(), edge_index.clone(), order.clone()))
            expected = solutions.renumbering_gap(layer, x, edge_index, order)
            if not abs(result - expected) <= 1e-4:
                edges = ", ".join(f"{j} to {i}" for j, i in edge_index.T.tolist()) or "none"
                return (
                    f"{name}, order = {order.tolist()}, x = {x.tolist()}, edges {edges}: "
                    f"expected {expected:.3g}, got {result:.3g}"
                )
    return None


def _heard(listener: Tensor, neighbours: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """What a listener hears in each channel of a layer with one FC layer and one feature a node."""
    pair = torch.stack([listener.expand(len(neighbours)), neighbours - listener], dim=1)
    return torch.relu(pair @ weight.T + bias).amax(dim=0)


def check_same_sound(answer: Any) -> str | None:
    """Exercise 04.e3: neighbours that one FC layer and the maximum cannot tell from those given."""
    neighbours = torch.tensor([float(value) for value in answer], dtype=torch.float64)
    if not len(neighbours) or not neighbours.isfinite().all():
        return f"expected one finite number or more, got {neighbours.tolist()}"
    nearest = float((neighbours - LISTENER).abs().min())
    if not nearest >= LEAST_DISTANCE:
        return f"the nearest of them is {nearest:g} away from the listener, expected at least {LEAST_DISTANCE:g}"
    generator = torch.Generator().manual_seed(0)
    weight = torch.randint(-4, 5, (400, 2), generator=generator).double() / 2
    bias = torch.randint(-4, 5, (400,), generator=generator).double()
    listener = torch.tensor(LISTENER, dtype=torch.float64)
    theirs = _heard(listener, torch.tensor(HEARD, dtype=torch.float64), weight, bias)
    yours = _heard(listener, neighbours, weight, bias)
    if (different := (theirs - yours).abs() > 1e-9).any():
        c = int(different.nonzero()[0, 0])
        return (
            f"a channel with weight {weight[c].tolist()} and bias {bias[c].item():g} tells them apart: "
            f"it hears {theirs[c].item():g} from {list(HEARD)} and {yours[c].item():g} from {neighbours.tolist()}"
        )
    return None


def check_nearest(answer: Any) -> str | None:
    """Exercise 04.e4: two FC layers whose loudest message tells how near the nearest neighbour is."""
    if callable(answer) or isinstance(answer, str) or len(answer) != 4:
        return f"expected four arrays (w1, b1, w2, b2), got {_length(answer)}"
    if any(part is ... or part is None for part in answer):
        raise NotAnswered
    w1, b1, w2, b2 = (torch.as_tensor(part, dtype=torch.float64) for part in answer)
    hidden = len(b1) if b1.ndim == 1 else -1
    shapes = [tuple(part.shape) for part in (w1, b1, w2, b2)]
    if shapes != [(hidden, 2), (hidden,), (1, hidden), (1,)]:
        return f"expected shapes (h, 2), (h,), (1, h), (1,) with any h, got {', '.join(map(str, shapes))}"
    for seed in range(TRIALS):
        generator = torch.Generator().manual_seed(seed)
        count = 1 + seed // 14
        values = torch.randint(-8, 9, (count + 1,), generator=generator).double() / 2
        listener, neighbours = values[0], values[1:]
        pair = torch.stack([listener.expand(count), neighbours - listener], dim=1)
        messages = torch.relu(torch.relu(pair @ w1.T + b1) @ w2.T + b2)
        expected = max(0.0, RADIUS - float((neighbours - listener).abs().min()))
        if abs(float(messages.max()) - expected) > 1e-6:
            return (
                f"listener at {listener.item():g}, neighbours at {neighbours.tolist()}: "
                f"expected {expected:g}, got {float(messages.max()):g}"
            )
    return None


def _length(answer: Any) -> str:
    return f"{len(answer)}" if hasattr(answer, "__len__") and not isinstance(answer, str) else type(answer).__name__


EXERCISES = (
    Exercise(
        "04.e1",
        "Write EdgeConv: edge_conv(x, edge_index, weight, bias) returns the aggregated messages, a row for each node.",
        check_edge_conv,
        (
            "A loop over the columns of edge_index: the upper entry speaks, the lower one listens.",
            "The message is relu(weight @ [x_i ; x_j - x_i] + bias), with i the listener and j the speaker.",
            "Start with zeros and keep the larger of old and new: out[i] = torch.maximum(out[i], message).",
        ),
    ),
    Exercise(
        "04.e2",
        "Write renumbering_gap(layer, x, edge_index, order): how far a layer is from permutation equivariance.",
        check_gap,
        (
            "Compare two things: the layer on the renumbered graph, and the renumbered answer of the layer.",
            "x[order] renumbers rows. An edge names nodes, so it needs the new number of an old node: the inverse.",
            "With new = torch.argsort(order) the edges are new[edge_index]; the answer is renumbered by [order].",
        ),
    ),
    Exercise(
        "04.e3",
        "A listener at 2 hears neighbours at -3, 1 and 6. Find neighbours, none nearer than 3, that sound the same.",
        check_same_sound,
        (
            "Which of the three neighbours can never be the loudest in any channel, whatever the weights?",
            "v_j is a straight line in x_j, so a neighbour between two others is never above both of them.",
            "Keep the two outermost neighbours, and let no other one be near.",
        ),
    ),
    Exercise(
        "04.e4",
        "Find (w1, b1, w2, b2) of two FC layers whose loudest message is relu(3 - distance of the nearest neighbour).",
        check_nearest,
        (
            "Build |x_j - x_i| first: the absolute value of d is relu(d) + relu(-d).",
            "Two hidden units: one sees d = x_j - x_i, the other -d. The second layer takes both away from 3.",
            "w1 = [[0, 1], [0, -1]] and w2 = [[-1, -1]]. Which of the two biases is not zero?",
        ),
    ),
)

QUESTIONS = (
    Question(
        "04.q1",
        "One FC layer, ReLU, maximum, full graph. Two left knees of one image look at channel 5. Which neighbour wins?",
        {
            "a": "For each knee the neighbour nearest to it.",
            "b": "The same neighbour for both, whatever the weights.",
            "c": "That depends on the weights: for some the same one, for some another.",
        },
        "b",
        {
            "a": "No: the listener's part u_i is the same in all of its messages, so it cannot change who is ahead.",
            "b": "Yes: both hear the same neighbours, and which v_j is largest does not ask who listens.",
            "c": "No: for every choice of weights the message is u_i + v_j, and the largest v_j wins for both knees.",
        },
    ),
    Question(
        "04.q2",
        "A candidate has no neighbour. What keeps an interaction layer of hggbook from forgetting it?",
        {
            "a": "A self-loop: every node is its own neighbour.",
            "b": "The maximum over nothing, which is minus infinity.",
            "c": "The residual path: R x_i is added to what it hears, which is zero.",
        },
        "c",
        {
            "a": "No: there are no self-loops; nodes of one type, and so a node and itself, are not joined.",
            "b": "No: messages are never below zero, and the layer takes zero where there is none.",
            "c": "Yes: without it all candidates that hear nobody would look alike after one layer.",
        },
    ),
    Question(
        "04.q3",
        "The detector lists the same candidates in another order. What happens to the output of the network?",
        {
            "a": "The same rows come in the new order.",
            "b": "Nothing at all, not even the order of the rows.",
            "c": "All numbers change a little.",
        },
        "a",
        {
            "a": "Yes: that is permutation equivariance.",
            "b": "No: that would be invariance, which suits one answer for the whole image, not one for each node.",
            "c": "No: no part of the network looks at a node's number.",
        },
    ),
)
