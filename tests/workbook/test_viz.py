"""Pictures show one image of a batch and all of it; colours differ; the sentences that stand for them count right."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import LineCollection, PathCollection

from hggbook import viz
from hggbook.skeleton import COCO, CROWDPOSE
from hggbook.types import Candidates, Graph, Grouping, Level, Poses


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    figure.canvas.draw()  # what cannot be drawn fails here
    plt.close(figure)


def candidates() -> Candidates:
    """Image 0 has four candidates at the corners of a square, image 1 none, image 2 one."""
    return Candidates(
        xy=torch.tensor([[10.0, 10], [30, 10], [10, 30], [30, 30], [5, 5]]),
        type=torch.tensor([0, 1, 2, 0, 3]),
        score=torch.tensor([1.0, 0.5, 0.5, 0.5, 0.5]),
        embedding=torch.zeros(5, 1),
        batch=torch.tensor([0, 0, 0, 0, 2]),
        size=torch.tensor([[64.0, 48], [64, 48], [64, 48]]),
    )


def graph(batch: list[int], edges: list[tuple[int, int]], count: list[int]) -> Graph:
    n, e = len(batch), len(edges)
    return Graph(
        x=torch.zeros(n, 1),
        edge_index=torch.tensor(edges, dtype=torch.int64).reshape(e, 2).T,
        edge_attr=None,
        edge_count=torch.ones(e),
        edge_evidence=torch.zeros(e),
        edge_logit=torch.full((e,), torch.nan),
        types=torch.zeros(n, dtype=torch.int64),
        count=torch.tensor(count),
        rank=torch.arange(n),
        batch=torch.tensor(batch),
        num_images=3,
    )


def grouping() -> Grouping:
    """Round 1 merges candidates 0 and 1, round 2 that pair and 2; 3 stays alone, as does the one of image 2."""
    one = Level(
        graph([0, 0, 0, 0, 2], [(0, 1), (0, 2), (1, 2), (2, 3)], [1] * 5),
        edge_logit=torch.tensor([3.0, 1.0, 2.0, -4.0]),
        admissible=torch.tensor([True, True, True, False]),
        cluster=torch.tensor([0, 0, 1, 2, 3]),
        node_logit=torch.zeros(4),
        made_of=torch.tensor([2, 1, 1, 1]),
    )
    two = Level(
        graph([0, 0, 0, 2], [(0, 1), (1, 2)], [2, 1, 1, 1]),
        edge_logit=torch.tensor([1.0, -4.0]),
        admissible=torch.tensor([True, False]),
        cluster=torch.tensor([0, 0, 1, 2]),
        node_logit=torch.zeros(3),
        made_of=torch.tensor([2, 1, 1]),
    )
    return Grouping((one, two), torch.tensor([0, 0, 0, 1, 2]), torch.tensor([2, 0, 0]))


def dots(ax) -> list[list[float]]:
    """Every marker drawn, as [x, y]."""
    found = [item for item in ax.collections if isinstance(item, PathCollection)]
    return sorted(np.concatenate([np.asarray(item.get_offsets()) for item in found]).tolist()) if found else []


@given(st.integers(0, 60))
def test_as_many_different_colours_as_asked_for(n):
    colours = viz.palette(n)
    assert len(colours) == len(set(colours)) == n
    assert all(0 <= channel <= 1 for colour in colours for channel in colour)
    assert viz.palette(n + 1)[:n] == colours


def test_a_negative_number_of_colours_is_refused():
    with pytest.raises(ValueError, match="palette: expected a number of colours from 0, got -1"):
        viz.palette(-1)


def _seen_with(colour: tuple[float, float, float], kind: np.ndarray) -> np.ndarray:
    return kind @ np.asarray(colour)


@pytest.mark.parametrize(
    "kind",
    [
        np.eye(3),
        # deuteranopia and protanopia (Vienot et al. 1999, linear part)
        np.array([[0.29, 0.71, 0.0], [0.29, 0.71, 0.0], [-0.02, 0.02, 1.0]]),
        np.array([[0.11, 0.89, 0.0], [0.11, 0.89, 0.0], [0.004, -0.004, 1.0]]),
    ],
)
def test_the_first_colours_differ_for_colour_blind_readers_too(kind):
    seen = [_seen_with(colour, kind) for colour in viz.palette(6)]
    nearest = min(np.abs(one - two).sum() for at, one in enumerate(seen) for two in seen[:at])
    assert nearest > 0.1


def test_only_the_candidates_of_one_image_are_drawn(ax):
    viz.draw_candidates(ax, candidates(), 0)
    assert dots(ax) == [[10, 10], [10, 30], [30, 10], [30, 30]]
    assert ax.get_xlim() == (-0.5, 63.5)
    assert ax.get_ylim() == (47.5, -0.5)  # y points down


def test_an_image_without_candidates_is_an_empty_frame(ax):
    viz.draw_candidates(ax, candidates(), 1)
    viz.draw_graph_level(ax, candidates(), grouping(), 0, 1)
    assert dots(ax) == []


def test_candidates_in_no_group_are_drawn_too(ax):
    viz.draw_candidates(ax, candidates(), 0, group=torch.tensor([0, 0, -1, 1, 2]))
    assert len(dots(ax)) == 4
    markers = {item.get_paths()[0].vertices.tobytes() for item in ax.collections}
    assert len(markers) == 3  # two groups and the cross: colour does not tell them apart alone


def test_membership_follows_the_rounds():
    expected = [[0, 1, 2, 3, 4], [0, 0, 1, 2, 3], [0, 0, 0, 1, 2]]
    assert [viz.membership(grouping(), level).tolist() for level in range(3)] == expected
    with pytest.raises(ValueError, match="level: expected 0 to 2, got 3"):
        viz.membership(grouping(), 3)


def test_a_macro_node_lies_at_the_mean_of_its_members(ax):
    viz.draw_graph_level(ax, candidates(), grouping(), 1)
    assert dots(ax) == [[10, 30], [20, 10], [30, 30]]


def test_a_level_draws_its_edges_and_its_merges(ax):
    viz.draw_graph_level(ax, candidates(), grouping(), 0)
    lines = [item for item in ax.collections if isinstance(item, LineCollection)]
    dotted, solid = (len(item.get_segments()) for item in lines)
    assert (dotted, solid) == (1, 3)
    assert [line.get_xydata().tolist() for line in ax.lines] == [[[10, 10], [30, 10]]] * 2  # a rim and a line


def test_only_the_best_edges_are_drawn_where_there_are_too_many(ax):
    viz.draw_graph_level(ax, candidates(), grouping(), 0, most=1)
    lines = [item.get_segments() for item in ax.collections if isinstance(item, LineCollection)]
    assert [len(segments) for segments in lines] == [0, 1]
    assert lines[1][0].tolist() == [[10, 10], [30, 10]]


def test_what_is_left_at_the_end_has_no_edges(ax):
    viz.draw_graph_level(ax, candidates(), grouping(), 2)
    assert not [item for item in ax.collections if isinstance(item, LineCollection)]
    assert len(dots(ax)) == 2


def poses(keypoint_types: int = 17) -> Poses:
    keypoints = torch.zeros(2, keypoint_types, 3)
    keypoints[0, :3] = torch.tensor([[10.0, 10, 1], [20, 10, 0.5], [15, 20, 0.5]])
    keypoints[1, :] = torch.tensor([5.0, 5, 1])
    return Poses(keypoints, torch.tensor([0.9, 0.1]), torch.tensor([0, 2]), 3)


def test_absent_keypoints_and_their_bones_are_not_drawn(ax):
    viz.draw_poses(ax, poses(), COCO)
    assert dots(ax) == [[10, 10], [15, 20], [20, 10]]
    bones = [item for item in ax.collections if isinstance(item, LineCollection)]
    assert [len(item.get_segments()) for item in bones] == [3, 3]  # nose and both eyes: three bones, each with its rim


def test_people_of_low_score_may_be_left_out(ax):
    viz.draw_poses(ax, poses(), COCO, 2, min_score=0.5)
    viz.draw_poses(ax, poses(), COCO, 1)
    assert dots(ax) == []


def test_poses_of_another_skeleton_are_refused(ax):
    with pytest.raises(ValueError, match="expected the 17 keypoint types of coco, got 14"):
        viz.draw_poses(ax, poses(14), COCO)
    viz.draw_poses(ax, poses(14), CROWDPOSE)


@pytest.mark.parametrize("image", [-1, 3])
def test_an_image_that_is_not_in_the_batch_is_refused(ax, image):
    with pytest.raises(ValueError, match=f"image: expected a number from 0 to 2, got {image}"):
        viz.draw_candidates(ax, candidates(), image)
    with pytest.raises(ValueError, match="image: expected"):
        viz.draw_poses(ax, poses(), COCO, image)


def test_an_image_fills_the_frame_in_both_forms(ax):
    viz.draw_image(ax, torch.rand(3, 20, 30))
    viz.draw_image(ax, np.full((20, 30, 3), 100, dtype=np.uint8), fade=0.5)
    one, two = (np.asarray(item.get_array()) for item in ax.images)
    assert one.shape == two.shape == (20, 30, 3)
    assert two[0, 0, 0] == pytest.approx(100 / 255 / 2 + 0.5)
    assert ax.get_xlim() == (-0.5, 29.5)


def test_sentences_of_candidates():
    assert viz.describe_candidates(candidates()) == "4 keypoint candidates of 3 types, coloured by keypoint type."
    group = torch.tensor([0, 0, 1, -1, 2])
    expected = "4 keypoint candidates of 3 types in 2 groups of 2, 1; 1 in no group."
    assert viz.describe_candidates(candidates(), 0, group) == expected
    assert viz.describe_candidates(candidates(), 1, group) == "0 keypoint candidates of 0 types in 0 groups."
    assert viz.describe_candidates(candidates(), 2, group) == "1 keypoint candidate of 1 type in 1 group of 1."


def test_sentences_of_a_round():
    first = "Round 1: 4 nodes and 4 edges, of which 3 may merge; 1 pair merged, 3 nodes left."
    assert viz.describe_level(grouping(), 0) == first
    empty = "Round 1: 0 nodes and 0 edges, of which 0 may merge; 0 pairs merged, 0 nodes left."
    assert viz.describe_level(grouping(), 0, 1) == empty
    one = "Round 2: 1 node and 0 edges, of which 0 may merge; 0 pairs merged, 1 node left."
    assert viz.describe_level(grouping(), 1, 2) == one


def test_sentences_of_poses():
    assert viz.describe_poses(poses()) == "1 person found, with 3 keypoints."
    assert viz.describe_poses(poses(), 1) == "No person found."
    assert viz.describe_poses(poses(), 2, min_score=0.5) == "No person found."
