"""What is counted of a clustering, on a handful of candidates."""

import torch
from torch import nn

from hggbook.ablations.clustering import clustering_facts, merges_of
from hggbook.data.labelled import LabelledCandidates
from hggbook.grouping.message_passing import InteractionGNN
from hggbook.grouping.ohgc import OHGC
from hggbook.model import HGG
from hggbook.skeleton import COCO
from hggbook.types import Candidates, Targets

NAMES = ("nose", "left_eye", "left_elbow", "left_wrist")
TYPES = tuple(COCO.keypoints.index(name) for name in NAMES)


class Told(InteractionGNN):
    """A GNN that leaves nodes as they are; edges are scored by a number at each candidate, summed over the two."""

    def forward(self, graph, candidates):
        return graph.replace(x=candidates.score[:, None].clone())


class Sum(nn.Module):
    def forward(self, graph):
        i, j = graph.edge_index
        return graph.x[i, 0] + graph.x[j, 0]


class Nothing(nn.Module):
    def forward(self, x):
        return x.new_zeros(len(x))


def grouped(scores, owners, types=TYPES, duplicate=None):
    n = len(scores)
    rows = torch.zeros(n, dtype=torch.int64)
    candidates = Candidates(
        torch.zeros(n, 2), torch.tensor(types, dtype=torch.int64), torch.tensor(scores), torch.zeros(n, 1), rows,
        torch.tensor([[64.0, 64.0]]),
    )  # fmt: skip
    none = torch.full((n,), -1)
    targets = Targets(
        torch.tensor(owners, dtype=torch.int64), none if duplicate is None else torch.tensor(duplicate),
        torch.ones(n, dtype=torch.bool), torch.ones(2, 17, dtype=torch.bool), torch.zeros(2, dtype=torch.int64),
    )  # fmt: skip
    model = HGG(None, lambda maps: None, Told(20, 17), OHGC(Sum(), Nothing()), torch.from_numpy(COCO.linked("full")))
    return model, candidates, targets


def test_a_mistake_is_counted_once_where_it_is_made():
    # the first two are one person's and merge first, then the third, another's, joins them, then the fourth
    model, candidates, targets = grouped([4.0, 3.0, 0.2, 0.1], [0, 0, 1, 0])
    found = merges_of(model.group(candidates), candidates, targets)
    assert found.pair[0].tolist() == [0, 1]
    assert found.right[0]
    assert found.right.tolist() == [True, False]
    assert found.step.tolist() == [0, 1]
    assert found.pair[1].tolist() == [-1, -1]  # one side held two candidates already
    # the fourth candidate joins a node that is mixed: no new mistake


def test_duplicates_belong_to_their_person_and_background_to_nobody():
    model, candidates, targets = grouped([4.0, 3.0, -9.0, -9.0], [0, -1, 1, 1], duplicate=[-1, 0, -1, -1])
    assert merges_of(model.group(candidates), candidates, targets).right.tolist() == [True]
    model, candidates, targets = grouped([4.0, 3.0, -9.0, -9.0], [-1, -1, 1, 1])
    assert merges_of(model.group(candidates), candidates, targets).right.tolist() == [False]


def test_without_candidates_there_are_no_merges():
    model, candidates, targets = grouped([], [], types=())
    assert len(merges_of(model.group(candidates), candidates, targets).step) == 0


def test_the_facts_of_two_pairs_by_hand():
    # nose and eye merge first, then elbow and wrist join them
    model, candidates, targets = grouped([1.0, 1.0, 0.9, 0.9], [0, 0, 0, 0])
    rows = torch.zeros(1, dtype=torch.int64)
    labelled = LabelledCandidates(
        candidates, targets, rows, torch.eye(2, 3)[None], torch.ones(1, dtype=torch.int64), torch.zeros(1)
    )
    told = clustering_facts(model, 0.0, labelled, COCO)
    assert told["halving"] == 0.75  # only the surest pair is mutual: for the others it is the better partner
    assert told["right_early"] == told["right_late"] == 1
    assert told["within_part_chance"] == round(2 / 6, 5)
    assert told["images"] == 1
