"""The configs in ``configs/``: each is one that the library knows, and the paper's is the paper's."""

import pytest
import torch

from hggbook import paths
from hggbook.cli.train import config_of
from hggbook.config import preset
from hggbook.model import build

CONFIGS = sorted((paths.project_root() / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_can_be_trained(path):
    config = config_of(str(path), None, [])
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in build(config).detector.parameters()) > 0


def test_the_paper_s_training_is_the_preset_paper_with_more_workers():
    config = config_of(str(paths.project_root() / "configs" / "coco.yaml"), None, [])
    assert config.override("data.workers=0") == preset("paper")
    assert config.loss.into_detector == 1e-5
