"""OHGC: a scripted run by hand, the oracle, batch = one by one, permutation, empties."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hggbook.grouping.discriminators import EdgeDiscriminator, MacroNodeDiscriminator, OracleEdges
from hggbook.grouping.graclus import ORDERS
from hggbook.grouping.graph import build_graph, node_features
from hggbook.grouping.ohgc import OHGC, final_logit
from hggbook.types import Candidates

from .builders import (
    FULL,
    K,
    group,
    image_of,
    people_as_candidates,
    random_candidates,
    random_model,
    same_partition,
)


class Silent(nn.Module):
    """A macro-node discriminator without opinion."""

    def forward(self, x):
        return torch.zeros(len(x))


class Closeness(nn.Module):
    """An edge scorer on one feature: logit = 1 - distance of the means."""

    def forward(self, graph):
        i, j = graph.edge_index
        return 1 - (graph.x[i, 0] - graph.x[j, 0]).abs()


def line(values, types, order="mutual", **options):
    """Candidates on a line, grouped by `Closeness`."""
    n = len(values)
    c = Candidates(
        torch.arange(2.0 * n).reshape(n, 2), torch.tensor(types), torch.ones(n), torch.zeros(n, 1),
        torch.zeros(n, dtype=torch.int64), torch.full((1, 2), 100.0),
    )  # fmt: skip
    return OHGC(Closeness(), Silent(), order=order, **options)(build_graph(c, torch.tensor(values)[:, None], FULL))


def test_three_rounds_by_hand():
    # 0.0 and 0.1 are closest, then 0.5 and 0.8; then their means 0.05 and 0.65 (logit 0.4); 3.0 stays alone.
    g = line([0.0, 0.1, 0.5, 0.8, 3.0], [0, 1, 2, 3, 4])
    assert [level.cluster.tolist() for level in g.levels] == [[0, 0, 1, 1, 2], [0, 0, 1], [0, 1]]
    assert g.person.tolist() == [0, 0, 0, 0, 1]
    assert g.rounds.tolist() == [2]
    torch.testing.assert_close(g.levels[1].edge_logit, torch.tensor([0.4, 1 - 2.95, 1 - 2.35]))
    assert g.levels[1].graph.edge_count.tolist() == [4.0, 2.0, 2.0]
    assert g.levels[0].made_of.tolist() == [2, 2, 1]
    assert not g.levels[2].admissible.any()


def test_evidence_is_the_sum_of_the_round_0_logits_of_the_pairs():
    g = line([0.0, 0.1, 0.5, 0.8], [0, 1, 2, 3])
    assert g.levels[0].graph.edge_evidence.tolist() == [0.0] * 6
    # (0, .5) .5, (0, .8) .2, (.1, .5) .6, (.1, .8) .3
    assert g.levels[1].graph.edge_evidence.tolist() == pytest.approx([1.6])


class Counting(nn.Module):
    """Passes scoring on and notes how many edges it was asked for."""

    def __init__(self, scorer):
        super().__init__()
        self.scorer, self.asked = scorer, []

    def forward(self, graph):
        self.asked.append(graph.num_edges)
        return self.scorer(graph)


def test_only_edges_of_a_merged_node_are_scored_again():
    # Round 0 merges (0, .1) and (.5, .8) of five nodes; round 1 has 3 edges, all touched; then .65+.05 merge, 1 edge.
    scorer = Counting(Closeness())
    c = Candidates(
        torch.arange(10.0).reshape(5, 2), torch.arange(5), torch.ones(5), torch.zeros(5, 1),
        torch.zeros(5, dtype=torch.int64), torch.full((1, 2), 100.0),
    )  # fmt: skip
    g = OHGC(scorer, Silent())(build_graph(c, torch.tensor([0.0, 0.1, 0.5, 0.8, 3.0])[:, None], FULL))
    assert scorer.asked == [10, 3, 1]
    # With 0 and .1 close, and three strangers far apart from all: their 3 edges keep the score of round 0.
    scorer.asked.clear()
    far = torch.tensor([0.0, 0.1, 5.0, 10.0, 20.0])[:, None]
    g = OHGC(scorer, Silent())(build_graph(c, far, FULL))
    assert scorer.asked == [10, 3]
    kept = ~torch.isnan(g.levels[1].graph.edge_logit)
    assert kept.tolist() == [False, False, False, True, True, True]
    torch.testing.assert_close(g.levels[1].edge_logit[kept], torch.tensor([1 - 5.0, 1 - 15.0, 1 - 10.0]))


@pytest.mark.parametrize("reading", ["literal", "pairwise"])
@pytest.mark.parametrize("order", ORDERS)
def test_kept_scores_are_those_that_scoring_everything_would_give(reading, order):
    c = random_candidates([9, 0, 14, 1], seed=3)
    gnn, ohgc = random_model(reading, order)
    g = group(c, gnn, ohgc)
    assert len(g.levels) > 2
    for level in g.levels:
        again = ohgc.edge_discriminator(level.graph)
        # an edge between two candidates would see its own first score as evidence, which is no news: it is left out
        macro = (level.graph.edge_count > 1) | torch.isnan(level.graph.edge_logit)
        torch.testing.assert_close(again[macro], level.edge_logit[macro], rtol=1e-4, atol=1e-4)


class Given(nn.Module):
    """Logits by the number of candidate pairs that an edge stands for, the same for all edges of that number."""

    def __init__(self, by_pairs, of_pair):
        super().__init__()
        self.by_pairs, self.of_pair = by_pairs, of_pair

    def forward(self, graph):
        one = torch.tensor([self.of_pair.get(pair, -9.0) for pair in zip(*graph.edge_index.tolist())])
        many = torch.tensor([self.by_pairs.get(int(pairs), -9.0) for pairs in graph.edge_count.tolist()])
        return torch.where(graph.edge_count > 1, many, one)


def grouped_by(scorer, n, **options):
    c = Candidates(
        torch.arange(2.0 * n).reshape(n, 2), torch.arange(n), torch.ones(n), torch.zeros(n, 1),
        torch.zeros(n, dtype=torch.int64), torch.full((1, 2), 100.0),
    )  # fmt: skip
    return OHGC(scorer, Silent(), **options)(build_graph(c, torch.zeros(n, 1), FULL))


def test_only_the_surest_pairs_merge_in_a_round():
    # logits 4, 2 and 1: at least half of 4 is 2
    scorer = Given({}, {(0, 1): 4.0, (2, 3): 2.0, (4, 5): 1.0})
    assert grouped_by(scorer, 6).levels[0].cluster.tolist() == [0, 0, 1, 1, 2, 2]
    careful = grouped_by(scorer, 6, least_share=0.5)
    assert careful.levels[0].cluster.tolist() == [0, 0, 1, 1, 2, 3]
    assert careful.levels[1].cluster.tolist() == [0, 1, 2, 2]  # in the next round 1 is the greatest there is
    assert grouped_by(scorer, 6, least_share=1.0).levels[0].cluster.tolist() == [0, 0, 1, 2, 3, 4]


def test_shares_are_of_each_images_own_greatest_weight():
    counts = [7, 1, 0, 10]
    c = random_candidates(counts, seed=5)
    gnn, ohgc = random_model(cut=-1.0)
    ohgc.pair_power, ohgc.least_share = 0.5, 0.7
    whole = group(c, gnn, ohgc)
    for image in range(len(counts)):
        alone = group(image_of(c, image), gnn, ohgc)
        assert same_partition(whole.person[c.batch == image], alone.person)
        assert whole.rounds[image] == alone.rounds[0]


def test_an_edge_weighs_more_the_more_pairs_hang_on_it():
    # Round 0 merges 0 and 1. Then 2 and 3 are linked to that node by two candidate pairs each, to each other by one.
    scorer = Given({2: 1.0}, {(0, 1): 8.0, (2, 3): 1.3})
    assert grouped_by(scorer, 4, max_rounds=2, least_share=1.0).person.tolist() == [0, 0, 1, 1]  # 1.3 > 1
    heavy = grouped_by(scorer, 4, max_rounds=2, least_share=1.0, pair_power=0.5)
    assert heavy.person.tolist() in ([0, 0, 0, 1], [0, 0, 1, 0])  # 1.3 < 1 * sqrt(2)


def test_a_share_lies_between_0_and_1():
    with pytest.raises(ValueError, match=r"least_share: expected a share in \[0, 1\], got 2"):
        OHGC(Closeness(), Silent(), least_share=2.0)


class Against(nn.Module):
    """A macro-node discriminator that wants means under a limit."""

    def __init__(self, limit):
        super().__init__()
        self.limit = limit

    def forward(self, x):
        return self.limit - x[:, 0]


def test_a_veto_undoes_the_merge_and_the_rest_goes_on():
    # 1.0 + 1.1 would merge first, to a mean over the limit; 0 + 0.3 may.
    c = Candidates(
        torch.arange(8.0).reshape(4, 2), torch.arange(4), torch.ones(4), torch.zeros(4, 1),
        torch.zeros(4, dtype=torch.int64), torch.full((1, 2), 100.0),
    )  # fmt: skip
    graph = build_graph(c, torch.tensor([0.0, 0.3, 1.0, 1.1])[:, None], FULL)
    free = OHGC(Closeness(), Against(1.0))(graph)
    assert free.person.tolist() == [0, 0, 0, 0]
    vetoed = OHGC(Closeness(), Against(0.6), veto=True)(graph)
    # then 0.15 + 1.0 (mean of all three 0.433, logit 0.15) may merge; 1.1 is then over the limit nowhere: 0.6 = mean
    assert vetoed.levels[0].cluster.tolist() == [0, 0, 1, 2]
    assert vetoed.levels[1].edge_logit.tolist()[-1] == -torch.inf  # 1.0 and 1.1 are not tried again
    assert vetoed.person.tolist()[:2] == [0, 0]


def test_if_every_merge_is_undone_all_stay_alone():
    gnn, ohgc = random_model(cut=-100.0)
    ohgc.veto, ohgc.node_discriminator = True, Against(-1e9)
    c = random_candidates([5, 0, 4])
    g = group(c, gnn, ohgc)
    assert g.person.tolist() == list(range(9))
    assert g.rounds.tolist() == [0, 0, 0]


def test_a_veto_treats_a_batch_as_its_images_one_by_one():
    counts = [7, 1, 0, 10]
    c = random_candidates(counts, seed=5)
    gnn, ohgc = random_model(cut=-1.0)
    ohgc.veto = True
    whole = group(c, gnn, ohgc).person
    for image in range(len(counts)):
        alone = group(image_of(c, image), gnn, ohgc).person
        assert same_partition(whole[c.batch == image], alone)


def test_the_final_logit_is_that_of_the_last_macro_nodes():
    gnn, ohgc = random_model()
    c = random_candidates([6, 0, 8], seed=2)
    g = group(c, gnn, ohgc)
    logit = final_logit(g)
    assert len(logit) == int(g.person.max()) + 1
    x = gnn(build_graph(c, node_features(c, K), FULL), c).x
    for person in range(len(logit)):
        mean = x[g.person == person].mean(dim=0, keepdim=True)
        torch.testing.assert_close(ohgc.node_discriminator(mean), logit[person : person + 1], rtol=1e-4, atol=1e-4)
    assert final_logit(group(random_candidates([1]), gnn, ohgc)).tolist() == [0.0]


def test_same_type_is_never_joined_not_even_through_a_third():
    g = line([0.0, 0.01, 0.02], [0, 1, 0])
    assert g.person.tolist() == [0, 0, 1]
    assert len(g.levels) == 1  # nothing is left to score: the one edge there was is pruned


def test_the_cut_decides_what_may_merge():
    assert line([0.0, 0.9], [0, 1]).person.tolist() == [0, 0]
    assert line([0.0, 0.9], [0, 1], cut=0.2).person.tolist() == [0, 1]
    assert line([0.0, 1.1], [0, 1], cut=-0.2).person.tolist() == [0, 0]


def test_an_edge_under_the_cut_is_scored_again_in_the_next_round():
    # 0 - 1.2 is under the cut (-0.2) at first; once 1.2 has merged with 0.5 their mean 0.85 is close enough.
    g = line([0.0, 1.2, 0.5], [0, 1, 2])
    assert g.levels[0].admissible.tolist() == [False, True, True]
    assert g.person.tolist() == [0, 0, 0]


def test_max_rounds_stops_early():
    assert line([0.0, 0.1, 0.5, 0.8], [0, 1, 2, 3], max_rounds=1).person.tolist() == [0, 0, 1, 1]


@st.composite
def crowds(draw):
    """Images of people of whom any parts may be seen: head and feet of one person without anything between, too."""
    types = st.lists(st.integers(0, K - 1), min_size=1, max_size=K, unique=True)
    return draw(st.lists(st.lists(types, max_size=6), min_size=1, max_size=4))


@settings(max_examples=60)
@given(crowds(), st.sampled_from(ORDERS), st.integers(0, 3))
def test_with_oracle_scores_the_true_people_come_out_exactly(shown, order, seed):
    candidates, targets = people_as_candidates(shown, seed)
    graph = build_graph(candidates, targets.person.float()[:, None], FULL)
    grouping = OHGC(OracleEdges(), Silent(), order=order, seed=seed)(graph)
    assert same_partition(grouping.person, targets.person)
    if order != "mutual" and len(candidates):
        assert int(grouping.rounds.max()) <= 5  # ceil(log2 17): what the paper says, and true for a perfect scorer


def test_a_sparse_graph_splits_a_person_whose_middle_is_hidden():
    # Nose and ankle only: no bone links them, the full graph does (sec. 3.1).
    candidates, targets = people_as_candidates([[[0, 15]]])
    from hggbook.skeleton import COCO

    people = {
        name: int(
            OHGC(OracleEdges(), Silent())(
                build_graph(candidates, targets.person.float()[:, None], torch.from_numpy(COCO.linked(name)))
            ).person.max()
        )
        + 1
        for name in ("tree", "full")
    }
    assert people == {"tree": 2, "full": 1}


COUNTS = [14, 0, 1, 25, 2, 0]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("reading", ["literal", "pairwise"])
def test_a_batch_groups_as_its_images_one_by_one(order, reading):
    merged = 0
    for seed in range(4):
        candidates = random_candidates(COUNTS, seed=seed)
        gnn, ohgc = random_model(reading, order, seed)
        whole = group(candidates, gnn, ohgc)
        assert whole.person.unique().tolist() == list(range(int(whole.person.max()) + 1))
        for image in range(len(COUNTS)):
            alone = group(image_of(candidates, image), gnn, ohgc)
            assert same_partition(whole.person[candidates.batch == image], alone.person)
            assert whole.rounds[image] == alone.rounds[0]
        merged += len(candidates) - len(whole.person.unique())
    assert merged > 20  # the random networks do group something


@pytest.mark.parametrize("order", ORDERS)
def test_permuting_candidates_permutes_the_grouping(order):
    # Also for `random`: its visiting order is drawn from what a candidate is, not from its row.
    for seed in range(4):
        candidates = random_candidates([20], seed=seed)
        gnn, ohgc = random_model("pairwise", order, seed)
        by = torch.randperm(20, generator=torch.Generator().manual_seed(seed))
        moved = candidates.replace(
            xy=candidates.xy[by], type=candidates.type[by], score=candidates.score[by],
            embedding=candidates.embedding[by],
        )  # fmt: skip
        assert same_partition(group(moved, gnn, ohgc).person, group(candidates, gnn, ohgc).person[by])


def test_training_and_inference_group_identically_without_dropout():
    candidates = random_candidates([30, 12])
    gnn, ohgc = random_model(dropout=0.0)
    ohgc.edge_discriminator.mlp[2].p = ohgc.edge_discriminator.mlp[5].p = 0.0
    evaluated = group(candidates, gnn, ohgc)
    gnn.train(), ohgc.train()
    trained = group(candidates, gnn, ohgc)
    assert torch.equal(evaluated.person, trained.person)
    assert all(torch.equal(a.edge_logit, b.edge_logit) for a, b in zip(evaluated.levels, trained.levels))


@pytest.mark.parametrize("order", ORDERS)
def test_people_hold_at_most_one_candidate_of_a_type_in_one_image(order):
    candidates = random_candidates([60, 40], seed=5)
    grouping = group(candidates, *random_model(order=order, cut=-5.0))
    triples = torch.stack([grouping.person, candidates.type], dim=1)
    assert len(torch.unique(triples, dim=0)) == 100
    images = torch.stack([grouping.person, candidates.batch], dim=1)
    assert len(torch.unique(images, dim=0)) == len(torch.unique(grouping.person))
    assert len(torch.unique(grouping.person)) < 60


def test_a_thousand_candidates_in_one_image():
    candidates = random_candidates([1000])
    with torch.no_grad():
        grouping = group(candidates, *random_model(order="random", layers=1))
    assert grouping.levels[0].graph.num_edges > 450_000
    assert len(torch.unique(torch.stack([grouping.person, candidates.type]), dim=1).T) == 1000


@pytest.mark.parametrize("counts", [[0], [1], [0, 0], [1, 1]])
def test_nothing_to_group(counts):
    grouping = group(random_candidates(counts), *random_model())
    assert grouping.person.tolist() == list(range(sum(counts)))
    assert grouping.levels == ()
    assert grouping.rounds.tolist() == [0] * len(counts)


def test_the_random_order_depends_on_the_seed_only():
    candidates = random_candidates([60], seed=1)
    gnn, ohgc = random_model(order="random", cut=-5.0)
    person = {}
    for seed in (0, 0, 1):
        ohgc.seed = seed
        person.setdefault(seed, []).append(group(candidates, gnn, ohgc).person)
    assert torch.equal(*person[0])
    assert not same_partition(person[0][0], person[1][0])


class TestDiscriminators:
    def graph(self):
        c = random_candidates([8])
        gnn, _ = random_model()
        return gnn(build_graph(c, node_features(c, K), FULL), c)

    @pytest.mark.parametrize("evidence", ["none", "input", "added"])
    def test_factorised_edge_logit_is_the_mean_of_both_orders_of_the_plain_mlp(self, evidence):
        graph = self.graph()
        graph = graph.replace(edge_evidence=torch.randn(graph.num_edges), edge_count=torch.rand(graph.num_edges) + 1)
        scorer = EdgeDiscriminator(64, edge_channels=64, evidence=evidence).eval()
        i, j = graph.edge_index
        extra = [graph.edge_attr]
        if evidence != "none":
            extra += [graph.edge_evidence[:, None], graph.edge_count.log()[:, None]]
        one = scorer.mlp(torch.cat([graph.x[i], graph.x[j], *extra], dim=1))
        other = scorer.mlp(torch.cat([graph.x[j], graph.x[i], *extra], dim=1))
        expected = (one + other).squeeze(1) / 2 + (graph.edge_evidence if evidence == "added" else 0)
        torch.testing.assert_close(scorer(graph), expected, atol=1e-5, rtol=1e-5)

    def test_input_sizes_are_the_papers(self):
        assert EdgeDiscriminator(64).mlp[0].in_features == 128
        assert EdgeDiscriminator(64, edge_channels=64, evidence="input").mlp[0].in_features == 194
        assert MacroNodeDiscriminator(64).mlp[0].in_features == 64

    def test_unknown_evidence_is_named(self):
        with pytest.raises(ValueError, match="evidence: expected one of .* got 'some'"):
            EdgeDiscriminator(64, evidence="some")
