"""Labels of candidates, edges and macro-nodes: every rule on a case small enough to read."""

import math

import pytest
import torch

from hggbook.grouping.graph import build_graph, coarsen
from hggbook.grouping.losses import grouping_losses, scale_gradient
from hggbook.labels import edge_labels, level_labels, macro_labels, match_candidates, node_truth
from hggbook.types import Batch, Candidates, Grouping, Level, Targets

from .grouping.builders import FULL, group, people_as_candidates, random_candidates, random_model

SIGMAS = torch.full((17,), 0.05)  # similarity 0.5 at distance sqrt(2 ln 2) * 0.1 * sqrt(area): 11.8 px for area 10,000


def batch_of(keypoints, image, num_images=1, area=10_000.0, mask=None):
    m = len(keypoints)
    return Batch(
        images=torch.zeros(num_images, 3, 128, 128),
        keypoints=torch.tensor(keypoints, dtype=torch.float32).reshape(m, -1, 3) if m else torch.zeros(0, 17, 3),
        area=torch.full((m,), area),
        batch=torch.tensor(image, dtype=torch.int64),
        mask=torch.ones(num_images, 128, 128, dtype=torch.bool) if mask is None else mask,
        image_id=torch.arange(num_images),
        to_image=torch.eye(2, 3).expand(num_images, 2, 3),
    )


def candidates_at(places, types, image, num_images=1):
    n = len(places)
    return Candidates(
        torch.tensor(places).reshape(n, 2), torch.tensor(types, dtype=torch.int64), torch.ones(n), torch.zeros(n, 1),
        torch.tensor(image, dtype=torch.int64), torch.full((num_images, 2), 128.0),
    )  # fmt: skip


class TestMatching:
    def test_nearest_of_a_type_is_the_keypoint_the_next_a_duplicate_the_far_one_background(self):
        batch = batch_of([[50, 50, 2, 90, 90, 2]], [0])
        c = candidates_at([[53.0, 50.0], [51.0, 50.0], [50.0, 80.0], [50.0, 50.0]], [0, 0, 0, 1], [0] * 4)
        t = match_candidates(c, batch, SIGMAS)
        assert t.person.tolist() == [-1, 0, -1, -1]  # the last is at the nose's place but claims another type
        assert t.duplicate.tolist() == [0, -1, -1, -1]
        assert t.annotated.tolist() == [[True, True]]

    def test_greedy_takes_the_most_similar_pair_first(self):
        # Noses P at 50 and Q at 60. Candidate 54 is 4 from P and 6 from Q, candidate 44 is 6 from P. The best pair is
        # 54-P; then 44 comes too late for P, and Q gets nobody (the best total would be 54-Q, 44-P).
        batch = batch_of([[50, 50, 2], [60, 50, 2]], [0, 0])
        t = match_candidates(candidates_at([[54.0, 50.0], [44.0, 50.0]], [0, 0], [0, 0]), batch, SIGMAS)
        assert t.person.tolist() == [0, -1]
        assert t.duplicate.tolist() == [-1, 0]

    def test_threshold_is_on_the_oks_similarity(self):
        reach = math.sqrt(2 * math.log(2)) * 0.1 * 100
        batch = batch_of([[50, 50, 1]], [0])
        inside, outside = (match_candidates(candidates_at([[50 + d, 50.0]], [0], [0]), batch, SIGMAS) for d in
                           (reach - 0.01, reach + 0.01))  # fmt: skip
        assert inside.person.tolist() == [0]
        assert outside.person.tolist() == [-1]

    def test_people_of_other_images_and_unlabelled_keypoints_do_not_match(self):
        batch = batch_of([[50, 50, 2], [70, 70, 0]], [0, 2], num_images=3)
        c = candidates_at([[50.0, 50.0], [50.0, 50.0], [70.0, 70.0]], [0, 0, 0], [0, 1, 2], num_images=3)
        assert match_candidates(c, batch, SIGMAS).person.tolist() == [0, -1, -1]

    def test_candidates_under_the_mask_do_not_count(self):
        mask = torch.ones(1, 128, 128, dtype=torch.bool)
        mask[0, 40:60, 40:60] = False
        t = match_candidates(candidates_at([[50.0, 50.0], [70.0, 50.0]], [0, 0], [0, 0]), batch_of([], [], mask=mask),
                             SIGMAS)  # fmt: skip
        assert t.counts.tolist() == [False, True]

    def test_no_candidates(self):
        t = match_candidates(candidates_at([], [], []), batch_of([[50, 50, 2]], [0]), SIGMAS)
        assert t.person.shape == (0,)


def truth_of(node, types, person, duplicate=None, annotated=None, counts=None):
    """Node truths of a hand-made case; person P has the types of ``annotated[P]``."""
    n = len(node)
    flags = torch.zeros(len(annotated), 17, dtype=torch.bool)
    for p, has in enumerate(annotated):
        flags[p, has] = True
    t = Targets(
        torch.tensor(person), torch.tensor(duplicate or [-1] * n),
        torch.tensor(counts or [True] * n), flags, torch.zeros(len(annotated), dtype=torch.int64),
    )  # fmt: skip
    return node_truth(torch.tensor(node), max(node) + 1, torch.tensor(types), t), t


def label_of_pair(*args, background="annotated", **kwargs):
    truth, targets = truth_of(*args, **kwargs)
    value = float(edge_labels(torch.tensor([[0], [1]]), truth, targets, background)[0])
    return None if math.isnan(value) else value


class TestEdgeLabels:
    """Node 0 against node 1; person 0 has types 0, 1, 2 annotated, person 1 has types 0, 1."""

    PEOPLE = ([0, 1, 2], [0, 1])

    @pytest.mark.parametrize(
        ("node", "types", "person", "duplicate", "label"),
        [
            ([0, 1], [0, 1], [0, 0], None, 1.0),  # one person
            ([0, 1], [0, 1], [0, 1], None, 0.0),  # two people
            ([0, 0, 1], [0, 1, 2], [0, 0, 0], None, 1.0),  # macro-node and its person's next keypoint
            ([0, 0, 1], [0, 1, 2], [0, 1, 0], None, None),  # a side is already mixed
            ([0, 1], [0, 2], [0, -1], None, 0.0),  # background of a type that the person has elsewhere
            ([0, 1], [0, 2], [1, -1], None, None),  # background of a type that the person lacks: who knows
            ([0, 1], [0, 2], [-1, -1], None, None),  # two background candidates
            ([0, 1], [0, 1], [0, -1], [-1, 0], None),  # a duplicate against its own person
            ([0, 1], [0, 1], [0, -1], [-1, 1], 0.0),  # a duplicate against somebody else
            ([0, 0, 1], [0, 3, 1], [0, -1, 0], None, None),  # holds background that may be its own
            ([0, 0, 1], [0, 3, 1], [0, -1, 1], None, 0.0),  # ... but certainly not the other person's
            ([0, 0, 1], [0, 2, 1], [0, -1, 0], None, None),  # holds background that is not: mixed
        ],
    )
    def test_rules(self, node, types, person, duplicate, label):
        assert label_of_pair(node, types, person, duplicate, self.PEOPLE) == label

    def test_candidates_that_do_not_count_have_no_edge_label(self):
        assert label_of_pair([0, 1], [0, 1], [0, 0], None, self.PEOPLE, [True, False]) is None

    @pytest.mark.parametrize(("rule", "label"), [("annotated", None), ("zero", 0.0), ("ignore", None)])
    def test_background_rules(self, rule, label):
        assert label_of_pair([0, 1], [0, 2], [1, -1], None, self.PEOPLE, background=rule) == label

    def test_ignore_drops_every_edge_of_background(self):
        assert label_of_pair([0, 1], [0, 2], [0, -1], None, self.PEOPLE, background="ignore") is None

    def test_unknown_rule(self):
        with pytest.raises(ValueError, match="background: expected one of .* got 'half'"):
            label_of_pair([0, 1], [0, 1], [0, 0], None, self.PEOPLE, background="half")


@pytest.mark.parametrize(
    ("types", "person", "duplicate", "label"),
    [
        ([0, 1], [0, 0], [-1, -1], 1.0),
        ([0, 1], [0, 1], [-1, -1], 0.0),
        ([0, 2], [0, -1], [-1, -1], 0.0),  # background of a type the person has
        ([0, 3], [0, -1], [-1, -1], None),  # of a type it lacks
        ([0, 3], [-1, -1], [-1, -1], None),
        ([0, 1], [0, -1], [-1, 0], None),  # holds a duplicate of its own person
        ([0, 1], [0, -1], [-1, 1], 0.0),  # of somebody else
        ([0], [0], [-1], None),  # a single candidate is trivially one person
    ],
)
def test_macro_node_labels(types, person, duplicate, label):
    truth, _ = truth_of([0] * len(types), types, person, duplicate, ([0, 1, 2], [0, 1]))
    value = float(macro_labels(truth)[0])
    assert (None if math.isnan(value) else value) == label


def test_every_macro_node_is_labelled_once_and_final_ones_are_those_the_image_ends_with():
    candidates, targets = people_as_candidates([[[0, 1, 2, 3, 4], [5, 6, 7]], [], [[0, 9]]])
    grouping = group(candidates, *random_model(cut=-9.0))
    labels = level_labels(grouping, candidates, targets)
    made = sum(int((level.made_of == 2).sum()) for level in grouping.levels)
    labelled = sum(int((~label.node.isnan()).sum()) for label in labels)
    assert made == labelled  # nothing here is background
    final = sum(int((label.final & ~label.node.isnan()).sum()) for label in labels)
    assert final == int((torch.bincount(grouping.person) > 1).sum())


def scripted(types, person, clusters, annotated):
    """A grouping with the given clusters of each round, on the full graph, and its targets."""
    n = len(types)
    candidates = candidates_at([[float(i), 0.0] for i in range(n)], types, [0] * n)
    graph, levels = build_graph(candidates, torch.zeros(n, 1), FULL), []
    for cluster in map(torch.tensor, clusters):
        nodes, edges = int(cluster.max()) + 1, graph.num_edges
        levels.append(Level(graph, torch.zeros(edges), torch.ones(edges, dtype=torch.bool), cluster,
                            torch.zeros(nodes), torch.bincount(cluster)))  # fmt: skip
        graph = coarsen(graph, cluster)
    flags = torch.zeros(len(annotated), 17, dtype=torch.bool)
    for p, has in enumerate(annotated):
        flags[p, has] = True
    targets = Targets(torch.tensor(person), torch.full((n,), -1), torch.ones(n, dtype=torch.bool), flags,
                      torch.zeros(len(annotated), dtype=torch.int64))  # fmt: skip
    final = torch.arange(n)
    for level in levels:
        final = level.cluster[final]
    return Grouping(tuple(levels), final, torch.tensor([len(levels)])), candidates, targets


class TestEdgesOfMixedNodes:
    """Candidates 0 and 1 are of two people and merge wrongly; 2 and 3 are the first person's."""

    CASE = ([0, 1, 2, 3], [0, 1, 0, 0], [[0, 0, 1, 2], [0, 1, 1], [0, 0]], ([0, 2, 3], [1]))

    def test_are_ignored(self):
        labels = level_labels(*scripted(*self.CASE))
        assert [list(map(_none, label.edge.tolist())) for label in labels] == [
            [0.0, 1.0, 1.0, 0.0, 0.0, 1.0], [None, None, 1.0], [None]
        ]  # fmt: skip

    def test_have_the_share_of_their_pairs(self):
        labels = level_labels(*scripted(*self.CASE), mixed="share")
        assert [label.edge.tolist() for label in labels] == [[0.0, 1.0, 1.0, 0.0, 0.0, 1.0], [0.5, 0.5, 1.0], [0.5]]

    def test_pairs_without_a_label_do_not_count(self):
        # candidate 1 is background of a type that the person lacks: nobody knows whose it is
        labels = level_labels(*scripted([0, 1, 2], [0, -1, 0], [[0, 0, 1], [0, 0]], ([0, 2],)), mixed="share")
        assert labels[0].edge.isnan().tolist() == [True, False, True]
        assert labels[1].edge.tolist() == [1.0]

    def test_where_the_answer_is_known_the_share_is_the_same(self):
        candidates, targets = people_as_candidates([[[0, 1, 2, 3], [0, 5, 6, 7]], [[1, 2, 3], [2, 3, 4]]])
        grouping = group(candidates, *random_model(cut=-9.0))
        plain, shared = (level_labels(grouping, candidates, targets, mixed=rule) for rule in ("ignore", "share"))
        assert len(plain) > 2
        for one, other in zip(plain, shared):
            known = ~one.edge.isnan()
            assert torch.equal(one.edge[known], other.edge[known])
            assert not (other.edge.isnan() & known).any()

    def test_unknown_rule(self):
        with pytest.raises(ValueError, match="mixed: expected one of .* got 'half'"):
            level_labels(*scripted(*self.CASE), mixed="half")


def _none(value):
    return None if math.isnan(value) else value


def one_level(edge_logit, node_logit):
    candidates, targets = people_as_candidates([[[0, 1]]])
    graph = build_graph(candidates, torch.zeros(2, 1), FULL)
    level = Level(
        graph, torch.tensor([edge_logit]), torch.tensor([True]), torch.tensor([0, 0]), torch.tensor([node_logit]),
        torch.tensor([2]),
    )  # fmt: skip
    grouping = Grouping((level,), torch.tensor([0, 0]), torch.tensor([1]))
    return grouping, level_labels(grouping, candidates, targets)


def test_losses_by_hand():
    losses = grouping_losses(*one_level(2.0, -1.0))
    assert float(losses["edge"]) == pytest.approx(math.log(1 + math.exp(-2)))
    assert float(losses["macro_final"]) == pytest.approx(math.log(1 + math.exp(1)))
    assert float(losses["macro_intermediate"]) == 0
    assert float(grouping_losses(*one_level(2.0, -1.0), num_images=4)["edge"]) == pytest.approx(
        math.log(1 + math.exp(-2)) / 4
    )


def test_loss_of_a_batch_is_the_mean_of_its_images():
    shown = [[[0, 1, 2], [0, 3]], [], [[5, 6, 7, 8], [5, 9], [10]]]
    gnn, ohgc = random_model()
    candidates, targets = people_as_candidates(shown)
    whole = grouping_losses(*(lambda g: (g, level_labels(g, candidates, targets)))(group(candidates, gnn, ohgc)))
    single = dict.fromkeys(whole, 0.0)
    for image in range(3):
        rows, people = candidates.batch == image, targets.batch == image
        c = Candidates(candidates.xy[rows], candidates.type[rows], candidates.score[rows], candidates.embedding[rows],
                       torch.zeros(int(rows.sum()), dtype=torch.int64), candidates.size[:1])  # fmt: skip
        before = int((targets.batch < image).sum())
        t = Targets(targets.person[rows] - before, targets.duplicate[rows], targets.counts[rows],
                    targets.annotated[people], torch.zeros(int(people.sum()), dtype=torch.int64))  # fmt: skip
        g = group(c, gnn, ohgc)
        for name, value in grouping_losses(g, level_labels(g, c, t)).items():
            single[name] += float(value.detach()) / 3
    assert {name: pytest.approx(float(value.detach()), rel=1e-5) for name, value in whole.items()} == single


def test_the_gradient_of_the_losses_is_their_slope_while_the_merges_stay_the_same():
    gnn, ohgc = (part.double() for part in random_model())
    candidates, targets = people_as_candidates([[[0, 1, 2, 3], [0, 3, 4]], [[5, 6, 7], [5, 9]]])
    fields = ("xy", "score", "embedding", "size")
    candidates = candidates.replace(**{name: getattr(candidates, name).double() for name in fields})

    def losses(embedding):
        grouping = group(candidates.replace(embedding=embedding), gnn, ohgc)
        found = grouping_losses(grouping, level_labels(grouping, candidates, targets))
        return sum(found.values()), [level.cluster.tolist() for level in grouping.levels]

    embedding = candidates.embedding.clone().requires_grad_()
    total, merges = losses(embedding)
    total.backward()
    direction = torch.randn(embedding.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        (up, as_up), (down, as_down) = (losses(embedding + step * direction) for step in (1e-6, -1e-6))
    assert total.dtype == torch.float64
    assert as_up == as_down == merges
    assert any(len(set(cluster)) < len(cluster) for cluster in merges)
    assert float((embedding.grad * direction).sum()) == pytest.approx(float(up - down) / 2e-6, rel=1e-5)


def test_without_any_label_losses_are_zero_and_have_a_gradient():
    gnn, ohgc = random_model()
    candidates = random_candidates([6])
    nobody = torch.full((6,), -1)
    targets = Targets(nobody, nobody, torch.ones(6, dtype=torch.bool), torch.zeros(0, 17, dtype=torch.bool),
                      torch.zeros(0, dtype=torch.int64))  # fmt: skip
    grouping = group(candidates, gnn, ohgc)
    total = sum(grouping_losses(grouping, level_labels(grouping, candidates, targets)).values())
    total.backward()
    assert float(total.detach()) == 0
    assert all(p.grad is None or (p.grad == 0).all() for p in ohgc.parameters())


def test_scale_gradient_keeps_the_value():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = scale_gradient(x, 1e-5)
    y.sum().backward()
    assert torch.equal(y, x)
    assert x.grad.tolist() == pytest.approx([1e-5, 1e-5])
