"""Targets, peaks, and positions between cells."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hggbook.detector import keypoint_cell, locate, nms, render, shrink_mask, to_cells, to_pixels


def people(*rows):
    """One person per argument: a list of (x, y, visibility)."""
    return torch.tensor(rows, dtype=torch.float32)


def rank_one(values):
    """A map whose only columns of interest are ``values``: (1, 1, 3, n), the middle row holds them."""
    row = torch.tensor(values, dtype=torch.float32)
    return torch.stack([row * 0.5, row, row * 0.5])[None, None]


# ---- frame ---------------------------------------------------------------------------------------------------------


def test_the_centre_of_cell_c_is_input_pixel_c_plus_a_half_times_stride_minus_a_half():
    cells = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    assert to_pixels(cells, 4).tolist() == [[1.5, 5.5], [9.5, 13.5]]
    assert to_cells(to_pixels(cells, 4), 4).equal(cells)


def test_a_keypoint_belongs_to_the_cell_that_contains_it():
    xy = torch.tensor([[-0.5, -0.6], [3.4, 3.6], [4.0, 7.9]])
    assert keypoint_cell(xy, 4).tolist() == [[0, -1], [0, 1], [1, 2]]


def test_the_ae_rule_cuts_x_over_stride_towards_zero():
    xy = torch.tensor([[-3.9, -4.0], [3.9, 4.0], [7.9, 8.0]])
    assert keypoint_cell(xy, 4, truncate=True).tolist() == [[0, -1], [0, 1], [1, 2]]


# ---- targets -------------------------------------------------------------------------------------------------------


def test_target_is_the_gaussian_around_the_exact_position():
    x, y = 33.7, 21.2
    target = render(people([(x, y, 2)]), torch.tensor([0]), 1, (16, 24), 4)
    assert target.shape == (1, 1, 16, 24)
    for row, column in ((4, 8), (5, 8), (5, 9), (7, 6)):
        square = (column - (x + 0.5) / 4 + 0.5) ** 2 + (row - (y + 0.5) / 4 + 0.5) ** 2
        assert target[0, 0, row, column].item() == pytest.approx(math.exp(-square / 8), abs=1e-6)


def test_target_truncated_as_in_the_ae_code():
    """(33.7, 21.2) / 4 is cut to (8, 5); sigma 2; the patch is 15 x 15, so column 15 is the last one drawn."""
    target = render(people([(33.7, 21.2, 1)]), torch.tensor([0]), 1, (16, 24), 4, truncate=True)[0, 0]
    assert target[5, 8] == 1
    assert target[5, 9].item() == pytest.approx(math.exp(-1 / 8))
    assert target[3, 7].item() == pytest.approx(math.exp(-5 / 8))
    assert target[5, 15].item() == pytest.approx(math.exp(-49 / 8))
    assert target[5, 16] == 0
    assert target[5, 1].item() == pytest.approx(math.exp(-49 / 8))
    assert target[5, 0] == 0
    assert target[13, 8] == 0
    assert (target > 0).sum() == 15 * 13  # rows -2 and -1 of the patch lie above the map


def test_people_overlap_by_maximum_and_types_do_not_mix():
    left, right = [(20.0, 20.0, 2), (50.0, 40.0, 2)], [(26.0, 20.0, 2), (0.0, 0.0, 0)]
    both = render(people(left, right), torch.tensor([0, 0]), 1, (16, 16), 4)
    alone = [render(people(p), torch.tensor([0]), 1, (16, 16), 4) for p in (left, right)]
    assert both.equal(torch.maximum(*alone))
    assert both[0, 1].equal(alone[0][0, 1])


def test_only_labelled_keypoints_are_drawn_occluded_ones_too():
    target = render(people([(20.0, 20.0, 0), (20.0, 20.0, 1), (20.0, 20.0, 2)]), torch.tensor([0]), 1, (16, 16), 4)
    assert target[0, 0].sum() == 0
    assert target[0, 1].equal(target[0, 2])
    assert target[0, 1].max() > 0.9


def test_an_unlabelled_keypoint_may_hold_anything():
    keypoints = people([(math.nan, math.inf, 0), (20.0, 20.0, 2)])
    assert render(keypoints, torch.tensor([0]), 1, (16, 16), 4).isfinite().all()


@pytest.mark.parametrize("truncate", [False, True])
def test_a_keypoint_off_the_map_leaves_nothing(truncate):
    outside = people([(64.0, 20.0, 2)], [(20.0, -6.0, 2)], [(1e9, 20.0, 2)])
    assert render(outside, torch.zeros(3, dtype=torch.int64), 1, (16, 16), 4, truncate=truncate).sum() == 0


def test_targets_of_a_batch_with_empty_images_equal_targets_one_by_one():
    generator = torch.Generator().manual_seed(0)
    keypoints = torch.rand(5, 4, 3, generator=generator) * torch.tensor([80.0, 60.0, 2.99])
    keypoints[..., 2] = keypoints[..., 2].floor()
    batch = torch.tensor([0, 0, 2, 2, 2])
    together = render(keypoints, batch, 4, (14, 19), 4)
    assert together.shape == (4, 4, 14, 19)
    for i in range(4):
        rows = batch == i
        alone = render(keypoints[rows], torch.zeros_like(batch[rows]), 1, (14, 19), 4)
        assert together[i].equal(alone[0])
    assert together[1].sum() == 0
    assert together[3].sum() == 0


def test_nobody_at_all():
    target = render(torch.empty(0, 3, 3), torch.empty(0, dtype=torch.int64), 2, (4, 4), 4)
    assert target.equal(torch.zeros(2, 3, 4, 4))


@settings(max_examples=60, deadline=None)
@given(st.floats(0.0, 95.0), st.floats(0.0, 63.0))
def test_peak_of_a_target_leads_back_to_the_keypoint(x, y):
    """Taylor refinement of our own target is exact, except that a peak on the border stays in its cell."""
    target = render(people([(x, y, 2)]), torch.tensor([0]), 1, (16, 24), 4)
    batch, kind, row, column = nms(target).nonzero(as_tuple=True)
    found = locate(target, batch, kind, row, column, 4, "taylor")
    inner = (row > 0) & (row < 15) & (column > 0) & (column < 23)
    tolerance = torch.where(inner, 0.02, 2.01)[0]
    assert (found - torch.tensor([x, y])).abs().amin(0).amax() <= tolerance


# ---- mask ----------------------------------------------------------------------------------------------------------


def test_a_cell_counts_if_more_than_half_of_its_pixels_do():
    mask = torch.zeros(1, 4, 8, dtype=torch.bool)
    mask[0, :, :2] = True  # 8 of 16 pixels of the first cell: not more than half
    mask[0, :, 4:7] = True
    assert shrink_mask(mask, 4).tolist() == [[[False, True]]]


# ---- peaks ---------------------------------------------------------------------------------------------------------


def test_peaks_of_a_small_map():
    heat = torch.tensor([[5, 1, 0, 0], [1, 1, 0, 3], [0, 0, 0, 0], [2, 0, 0, 4.0]])[None, None]
    assert nms(heat)[0, 0].nonzero().tolist()[:1] == [[0, 0]]
    peaks = {tuple(p) for p in (nms(heat) & (heat > 0))[0, 0].nonzero().tolist()}
    assert peaks == {(0, 0), (1, 3), (3, 0), (3, 3)}
    wide = {tuple(p) for p in (nms(heat, 5) & (heat > 0))[0, 0].nonzero().tolist()}
    assert wide == {(0, 0), (3, 0), (3, 3)}  # (1, 3) is within two cells of (3, 3)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(1, 1), (1, 4), (4, 1), (4, 4), (2, 3)])
def test_a_rectangular_plateau_has_one_peak_its_first_cell(kernel, size):
    heat = torch.zeros(1, 1, 9, 9)
    heat[0, 0, 2 : 2 + size[0], 3 : 3 + size[1]] = 1
    assert (nms(heat, kernel) & (heat > 0))[0, 0].nonzero().tolist() == [[2, 3]]


def test_a_flat_map_has_one_peak():
    assert nms(torch.full((2, 3, 6, 7), -1.0)).flatten(2).sum(2).tolist() == [[1] * 3] * 2


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([3, 5]), st.integers(2, 9))
def test_peaks_follow_the_definition_on_maps_full_of_ties(seed, kernel, levels):
    heat = torch.randint(levels, (1, 1, 7, 8), generator=torch.Generator().manual_seed(seed)).float()
    r, grid, peaks = kernel // 2, heat[0, 0], nms(heat, kernel)[0, 0]
    for row in range(7):
        for column in range(8):
            others = [
                (i, j)
                for i in range(max(0, row - r), min(7, row + r + 1))
                for j in range(max(0, column - r), min(8, column + r + 1))
            ]
            expected = all(
                grid[i, j] < grid[row, column] if (i, j) < (row, column) else grid[i, j] <= grid[row, column]
                for i, j in others
            )
            assert peaks[row, column] == expected


def test_peaks_of_a_batch_equal_peaks_one_by_one():
    heat = torch.randn(3, 2, 9, 11, generator=torch.Generator().manual_seed(3))
    for i in range(3):
        assert nms(heat)[i].equal(nms(heat[i : i + 1])[0])


@pytest.mark.parametrize("kernel", [0, 2, -1])
def test_the_window_must_be_odd(kernel):
    with pytest.raises(ValueError, match=f"odd number of cells, got {kernel}"):
        nms(torch.zeros(1, 1, 4, 4), kernel)


def test_a_window_of_one_cell_makes_every_cell_a_peak():
    assert nms(torch.zeros(1, 1, 2, 2), 1).all()


# ---- between cells -------------------------------------------------------------------------------------------------


def at(heat, row, column, rule):
    zero = torch.tensor([0])
    return locate(heat, zero, zero, torch.tensor([row]), torch.tensor([column]), 4, rule)[0].tolist()


CENTRE = (2 + 0.5) * 4 - 0.5  # pixel of the centre of column 2


@pytest.mark.parametrize(
    ("values", "rule", "x"),
    [
        ([0, 1, 9, 2, 0], "none", CENTRE),
        ([0, 1, 9, 2, 0], "quarter", CENTRE + 1),
        ([0, 2, 9, 1, 0], "quarter", CENTRE - 1),
        ([0, 2, 9, 2, 0], "quarter", CENTRE),  # ours: a tie does not move
        ([0, 1, 9, 2, 0], "ae", CENTRE + 1 + 0.5),  # (2 + 0.25 + 0.5) * 4
        ([0, 2, 9, 2, 0], "ae", CENTRE - 1 + 0.5),  # theirs: a tie moves back
    ],
)
def test_positions_by_hand(values, rule, x):
    assert at(rank_one(values), 1, 2, rule)[0] == pytest.approx(x)


def test_both_axes_move():
    heat = torch.zeros(1, 1, 5, 5)
    heat[0, 0, 2, 2], heat[0, 0, 1, 2], heat[0, 0, 2, 3] = 1, 0.5, 0.25
    assert at(heat, 2, 2, "quarter") == [CENTRE + 1, CENTRE - 1]
    assert at(heat, 2, 2, "ae") == [CENTRE + 1.5, CENTRE - 0.5]


def test_a_peak_on_the_border():
    """Ours stays; theirs compares with itself and so moves off the map at column 0, and at the last column too."""
    first, last = rank_one([9, 2, 0]), rank_one([0, 2, 9])
    assert at(first, 1, 0, "quarter")[0] == at(first, 1, 0, "taylor")[0] == 1.5
    assert at(last, 1, 2, "quarter")[0] == at(last, 1, 2, "taylor")[0] == CENTRE
    assert at(first, 1, 0, "ae")[0] == (0 - 0.25 + 0.5) * 4
    assert at(last, 1, 2, "ae")[0] == (2 + 0.25 + 0.5) * 4


def test_taylor_is_exact_for_a_gaussian_and_never_leaves_half_a_cell():
    values = [math.exp(-((i - 2.3) ** 2) / 8) for i in range(5)]
    assert at(rank_one(values), 1, 2, "taylor")[0] == pytest.approx((2.3 + 0.5) * 4 - 0.5, abs=1e-3)
    assert at(rank_one([0, 0.1, 1, 0.999, 0]), 1, 2, "taylor")[0] == pytest.approx(CENTRE + 2, abs=0.1)
    assert at(rank_one([1, 1, 1, 1, 1]), 1, 2, "taylor")[0] == pytest.approx(CENTRE)
    assert at(rank_one([0, 0, 1e-9, 0, 0]), 1, 2, "taylor")[0] == pytest.approx(CENTRE)


def test_taylor_beside_a_peak_stops_at_half_a_cell():
    """Cell 2 is below its right neighbour; the parabola's top is 0.58 cells away."""
    assert at(rank_one([0, 0.2, 0.9, 1.0, 0.5]), 1, 2, "taylor")[0] == CENTRE + 2


def test_unknown_rule():
    with pytest.raises(ValueError, match="subpixel: expected one of .*got 'half'"):
        at(rank_one([0, 1, 0]), 1, 1, "half")
