"""The oracle test on real poses: a sample here, all 56,599 images by ``hggbook oracle FILE``."""

import pytest
import torch

from hggbook.cli import main
from hggbook.data.coco import PoseSet
from hggbook.grouping.discriminators import OracleEdges
from hggbook.oracle import check_poses

from .data.test_simulate import crowd


@pytest.mark.parametrize("order", ["mutual", "heaviest", "random"])
def test_random_crowds_are_grouped_exactly(order):
    result = check_poses(crowd(images=60, people=5), order=order)
    assert (result.images, result.people, result.wrong) == (60, 300, 0)
    assert result.candidates == 300 * 17


def test_wrong_groupings_are_counted(monkeypatch):
    monkeypatch.setattr(OracleEdges, "forward", lambda self, graph: torch.rand(graph.num_edges))  # anybody merges
    result = check_poses(crowd(images=20, people=3))
    assert result.wrong == 20
    assert "WRONG on 20 images" in str(result)
    monkeypatch.setattr(OracleEdges, "forward", lambda self, graph: -torch.ones(graph.num_edges))  # nothing merges
    assert check_poses(crowd(images=20, people=3)).wrong == 20


def test_nobody():
    no_rows = torch.zeros(0, dtype=torch.int64)
    nobody = PoseSet(torch.zeros(0, 17, 3), torch.zeros(0), no_rows, torch.arange(3), torch.full((3, 2), 9.0))
    assert check_poses(nobody).wrong == 0


@pytest.mark.real_data
def test_a_sample_of_the_real_poses(real_file, capsys):
    path = real_file("coco/person_keypoints_train2017_poses.json.gz")
    assert main(["oracle", str(path), "--part", "40"]) == 0
    assert "exactly the true people on every image" in capsys.readouterr().out
