"""What both discriminators said, collected with the truth; calibration by hand and against scikit-learn's."""

import math

import pytest
import torch
from sklearn.calibration import calibration_curve

from hggbook.compare import discriminator_scores, reliability
from hggbook.config import preset
from hggbook.data.labelled import LabelledCandidates
from hggbook.labels import level_labels
from hggbook.model import build

from .grouping.builders import people_as_candidates

SHOWN = [[[0, 1, 2, 5], [0, 3, 5, 6]], [], [[0, 5, 6, 7], [1, 5, 9], [2]], [[3]]]


def model():
    torch.manual_seed(0)
    return build(preset("pose").override("grouping.hidden=8", "grouping.cut=-9"), with_detector=False).eval()


def labelled(shown=SHOWN):
    candidates, targets = people_as_candidates(shown)
    b = len(shown)
    people = torch.tensor([len(image) for image in shown])
    return LabelledCandidates(
        candidates, targets, torch.arange(b), torch.eye(2, 3).expand(b, 2, 3), people, torch.zeros(b)
    )


def rows(scores):
    """All columns, in an order of the rows that does not depend on that of the batch: by image first."""
    columns = [getattr(scores, name).reshape(len(scores.logit), -1).double() for name in reversed(vars(scores))]
    return torch.tensor(sorted(torch.cat(columns, dim=1).round(decimals=4).tolist()))


def test_every_labelled_edge_and_merge_is_there_once():
    some, m = labelled(), model()
    edges, merges = discriminator_scores(m, some)
    with torch.no_grad():
        grouping = m.group(some.candidates)
    labels = level_labels(grouping, some.candidates, some.targets)
    assert len(edges.label) == sum(int((~label.edge.isnan()).sum()) for label in labels)
    assert len(merges.label) == sum(int((~label.node.isnan()).sum()) for label in labels)
    first = edges.round == 0
    torch.testing.assert_close(edges.logit[first], grouping.levels[0].edge_logit)
    assert torch.equal(edges.evidence[first], edges.logit[first])
    assert edges.image.unique().tolist() == [0, 2]  # nothing to ask in the second and the last
    assert int(merges.final.sum()) == sum(int((grouping.person[some.candidates.batch == b].bincount() > 1).sum())
                                          for b in (0, 2))  # fmt: skip


def test_a_macro_edge_has_the_sum_of_its_pairs():
    edges, _ = discriminator_scores(model(), labelled([[[0, 1, 2]]]))
    (late,) = (edges.round > 0).nonzero()[:, 0].tolist()  # two of the three merged, one edge is left, for two pairs
    assert edges.pairs[late] == 2
    one, other = edges.types[late].tolist()
    crossing = [(a & one != 0 and b & other != 0) or (a & other != 0 and b & one != 0)
                for a, b in edges.types[:late].tolist()]  # fmt: skip
    torch.testing.assert_close(edges.evidence[late], edges.logit[:late][torch.tensor(crossing)].sum())


def test_who_is_to_blame_for_a_mixed_macro_node():
    _, merges = discriminator_scores(model(), labelled())
    mixed = merges.label == 0
    assert bool(mixed.any())
    assert bool((~merges.inherited | mixed).all())  # what was mixed stays mixed
    for image in merges.image[mixed].unique():  # somebody began
        mine = (merges.image == image) & mixed
        assert not merges.inherited[mine][merges.round[mine].argmin()]
    assert bool(merges.edge_logit.isfinite().all())


def test_the_size_of_a_batch_changes_nothing():
    for one, other in zip(
        discriminator_scores(model(), labelled()), discriminator_scores(model(), labelled(), batch_size=1)
    ):
        torch.testing.assert_close(rows(one), rows(other), atol=1e-3, rtol=0)


@pytest.mark.parametrize("shown", [[[]], [[[3]]], [[], [[1], []]]])
def test_where_nothing_can_merge_there_is_nothing(shown):
    edges, merges = discriminator_scores(model(), labelled(shown))
    assert (len(edges.label), len(merges.label), edges.types.shape) == (0, 0, (0, 2))


def test_calibration_by_hand():
    prob = torch.tensor([0.1, 0.2, 0.7, 0.9, 1.0])
    found = reliability(prob, torch.tensor([0.0, 1.0, 1.0, 1.0, 0.0]), bins=2)
    assert found.number.tolist() == [2, 3]
    assert found.predicted.tolist() == pytest.approx([0.15, 2.6 / 3])
    assert found.observed.tolist() == pytest.approx([0.5, 2 / 3])
    assert found.error == pytest.approx((2 * 0.35 + 3 * 0.2) / 5)


@pytest.mark.parametrize("bins", [1, 5, 10])
def test_bins_are_those_of_scikit_learn(bins):
    generator = torch.Generator().manual_seed(bins)
    prob = torch.rand(300, generator=generator, dtype=torch.float64) ** 2
    prob[:6] = torch.tensor([0.0, 0.2, 0.4, 0.5, 0.9, 1.0])
    label = (torch.rand(300, generator=generator) < prob).double()
    found, full = reliability(prob, label, bins), None
    full = found.number > 0
    observed, predicted = calibration_curve(label, prob, n_bins=bins)
    assert found.predicted[full].tolist() == pytest.approx(predicted.tolist())
    assert found.observed[full].tolist() == pytest.approx(observed.tolist())


def test_shares_are_labels_too_and_an_empty_bin_costs_nothing():
    found = reliability(torch.tensor([0.75, 0.75]), torch.tensor([0.5, 1.0]), bins=4)
    assert found.error == 0
    assert math.isnan(found.predicted[0])
    assert reliability(torch.zeros(0), torch.zeros(0)).error == 0


@pytest.mark.parametrize(
    ("prob", "label", "bins", "message"),
    [
        ([1.2], [1.0], 10, "prob: expected probabilities"),
        ([math.nan], [1.0], 10, "prob: expected probabilities"),
        ([0.5], [math.nan], 10, "label: expected a label"),
        ([0.5], [1.0], 0, "bins: expected at least 1"),
    ],
)
def test_what_cannot_be_calibrated(prob, label, bins, message):
    with pytest.raises(ValueError, match=message):
        reliability(torch.tensor(prob), torch.tensor(label), bins)
