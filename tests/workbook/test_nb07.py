"""What notebook 07 and its exercises take for granted."""

import math

import pytest
import torch

from hggbook import paths
from hggbook.compare import reliability
from hggbook.grouping.discriminators import MacroNodeDiscriminator
from hggbook.grouping.graph import build_graph
from hggbook.grouping.ohgc import OHGC
from hggbook.labels import graph_edge_labels, level_labels, macro_labels, node_truth
from hggbook.types import Candidates, Targets
from hggbook.workbook.exercises import nb07
from hggbook.workbook.solutions import nb07 as solutions


class RandomEdges(torch.nn.Module):
    def forward(self, graph):
        return torch.randn(graph.num_edges)


def toy(types, person, annotated):
    n = len(types)
    candidates = Candidates(
        torch.zeros(n, 2), torch.tensor(types), torch.ones(n), torch.zeros(n, 1), torch.zeros(n, dtype=torch.int64),
        torch.tensor([[64.0, 64.0]]),
    )  # fmt: skip
    flags = torch.zeros(len(annotated), 6, dtype=torch.bool)
    for p, has in enumerate(annotated):
        flags[p, list(has)] = True
    nobody = torch.full((n,), -1)
    owner = torch.zeros(len(annotated), dtype=torch.int64)
    return candidates, Targets(torch.tensor(person), nobody, nobody < 0, flags, owner)


def test_the_solution_of_the_first_exercise_is_the_librarys_share_rule():
    candidates, targets = toy([0, 0, 1, 2, 3, 4, 5], [0, 1, 0, 0, 1, -1, 0], [{0, 1, 2, 3, 4, 5}, {0, 3, 5}])
    graph = build_graph(candidates, torch.eye(7), ~torch.eye(6, dtype=torch.bool))
    label = torch.full((7, 7), torch.nan)
    i, j = graph.edge_index
    label[i, j] = label[j, i] = graph_edge_labels(graph, candidates, targets)
    for seed in range(10):  # merges whatever a random scorer likes, right or wrong
        torch.manual_seed(seed)
        grouping = OHGC(RandomEdges(), MacroNodeDiscriminator(7))(graph)
        told = level_labels(grouping, candidates, targets, mixed="share")
        for level, labels in zip(grouping.levels, told):
            members = [row.nonzero()[:, 0].tolist() for row in level.graph.x]
            for e in level.graph.edge_logit.isnan().nonzero()[:, 0].tolist():
                one, other = (members[n] for n in level.graph.edge_index[:, e].tolist())
                by_hand = solutions.macro_edge_label(one, other, label)
                assert by_hand == pytest.approx(float(labels.edge[e]), nan_ok=True)


def test_the_solution_of_the_second_exercise_is_the_librarys_macro_label():
    kinds = set()
    for seed in range(nb07.TRIALS):
        person, types, annotated = nb07._members(seed)
        _, targets = toy(types, person, annotated)
        truth = node_truth(torch.zeros(len(types), dtype=torch.int64), 1, torch.tensor(types), targets)
        expected = float(macro_labels(truth)[0])
        assert solutions.macro_node_label(person, types, annotated) == pytest.approx(expected, nan_ok=True)
        kinds.add("none" if math.isnan(expected) else expected)
    assert kinds == {0.0, 1.0, "none"}  # the trials ask for all three


def test_the_solution_of_the_third_exercise_is_the_librarys_calibration_error():
    generator = torch.Generator().manual_seed(0)
    prob = torch.rand(200, generator=generator, dtype=torch.float64)
    label = (torch.rand(200, generator=generator) < prob**2).long()
    for bins in (1, 4, 10):
        by_hand = solutions.calibration_error(prob.tolist(), label.tolist(), bins)
        assert by_hand == pytest.approx(reliability(prob, label.double(), bins).error)


def test_what_leaks_has_reasons_and_the_order_of_the_letters_does_not_matter():
    assert set(nb07.PROTOCOLS) == set(nb07.REASONS) > solutions.LEAKS
    notebook = (paths.notebooks_folder() / "07_discriminators.ipynb").read_text(encoding="utf-8")
    assert [letter for letter, text in nb07.PROTOCOLS.items() if f"**{letter}** {text}" not in notebook] == []
    for answer in ("bcef", ["F", "e", "c", "b"], ("b", "c", "e", "f"), {"b", "c", "e", "f"}):
        assert nb07.check_leaks(answer) is None
    assert "d does not leak" in nb07.check_leaks({"b", "d"})
    assert "3 more" in nb07.check_leaks({"b"})
    assert "from a to f" in nb07.check_leaks({"b", "g"})
