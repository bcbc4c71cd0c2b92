"""Bootstrap intervals: exact where nothing varies, of the right width where it is known, paired where it matters."""

import pytest
import torch

from hggbook.compare.intervals import f1_of, paired_difference, perfect_of, share_interval


def counts(right, false, missed, people=None, perfect=None):
    n = len(right)
    rows = torch.zeros(n, 8, dtype=torch.int64)
    for column, values in enumerate((right, false, missed, people or [1] * n, perfect or [0] * n)):
        rows[:, column] = torch.tensor(values)
    return rows


def test_shares_by_hand():
    total = counts([6], [2], [4], [10], [4]).float()
    assert f1_of(total).tolist() == pytest.approx([12 / 18])
    assert perfect_of(total).tolist() == pytest.approx([0.4])
    assert f1_of(torch.zeros(1, 8)).tolist() == [0.0]


def test_images_that_are_all_alike_leave_no_doubt():
    found = share_interval(counts([3] * 20, [1] * 20, [2] * 20))
    assert (found.low, found.high) == pytest.approx((found.value, found.value))


def test_the_interval_of_a_mean_has_the_known_width():
    g = torch.Generator().manual_seed(0)
    perfect = (torch.rand(400, generator=g) < 0.3).long().tolist()
    found = share_interval(counts([1] * 400, [0] * 400, [0] * 400, perfect=perfect), perfect_of)
    share = sum(perfect) / 400
    assert found.value == pytest.approx(share)
    half = 1.96 * (share * (1 - share) / 400) ** 0.5
    assert found.high - found.low == pytest.approx(2 * half, rel=0.1)


def test_a_constant_lead_on_varied_images_is_certain():
    g = torch.Generator().manual_seed(1)
    right = torch.randint(1, 50, (100,), generator=g)
    theirs = counts(right.tolist(), [0] * 100, right.tolist())
    ours = counts((2 * right).tolist(), [0] * 100, [0] * 100)
    lead = paired_difference(ours, theirs)
    assert (lead.low, lead.value, lead.high) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert share_interval(theirs).low < share_interval(theirs).high + 1e-9
    nothing = paired_difference(ours, ours)
    assert (nothing.low, nothing.value, nothing.high) == (0, 0, 0)


def test_the_same_seed_gives_the_same_interval_and_other_images_are_refused():
    g = torch.Generator().manual_seed(2)
    some = counts(*torch.randint(0, 9, (3, 30), generator=g).tolist())
    assert share_interval(some, seed=4) == share_interval(some, seed=4)
    with pytest.raises(ValueError, match="same images"):
        paired_difference(some, some[:-1])
