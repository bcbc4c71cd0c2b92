"""Freezing a detector: its candidates are those of the model itself, and train the grouping stage without images."""

import pytest
import torch

from hggbook.config import preset
from hggbook.data.labelled import save_labelled
from hggbook.data.loading import loader
from hggbook.data.source import scene_set, training_stream
from hggbook.data.transforms import Fit
from hggbook.freeze import freeze
from hggbook.labels import match_candidates
from hggbook.model import build
from hggbook.skeleton import COCO
from hggbook.train import train


@pytest.fixture(scope="module")
def config():
    small = ("detector.width=8", "detector.growth=4", "proposal.threshold=-1", "proposal.limit=20")
    return preset("tiny").override(*small)


@pytest.fixture(scope="module")
def scenes():
    return scene_set("easy", 5, seed=3, size=128)


@pytest.fixture(scope="module")
def frozen(config, scenes):
    torch.manual_seed(0)
    return freeze(build(config), scenes, config, batch_size=2)


def test_candidates_and_targets_are_those_of_the_model(config, scenes, frozen):
    torch.manual_seed(0)
    model = build(config).eval()
    batch = next(iter(loader(scenes, Fit(128), 5)))
    with torch.no_grad():
        candidates = model.propose(model.detect(batch.images))
    torch.testing.assert_close(frozen.candidates.xy, candidates.xy, atol=1e-3, rtol=0)
    assert torch.equal(frozen.candidates.batch, candidates.batch)
    assert torch.equal(frozen.targets.person, match_candidates(candidates, batch, torch.tensor(COCO.sigmas)).person)
    assert frozen.image_id.tolist() == scenes.image_ids.tolist()
    assert frozen.people.tolist() == batch.batch.bincount(minlength=5).tolist()
    torch.testing.assert_close(frozen.to_image, batch.to_image)
    assert not frozen.candidates.embedding.requires_grad


def test_the_stream_of_frozen_candidates_repeats_and_resumes(config, frozen, tmp_path):
    save_labelled(tmp_path / "train.safetensors", frozen)
    settings = config.override(
        "data.kind=candidates", "train.batch=2", **{"data.train": str(tmp_path / "train.safetensors")}
    )
    whole = [batch for batch, _ in zip(training_stream(settings), range(6))]
    later = [batch for batch, _ in zip(training_stream(settings, step=4), range(2))]
    for (candidates, targets), (again, truth) in zip(whole[4:], later):
        assert torch.equal(candidates.xy, again.xy)
        assert torch.equal(targets.person, truth.person)
    lonely = settings.override("data.least_people=50")
    with pytest.raises(ValueError, match="batch"):
        next(training_stream(lonely))


def test_the_grouping_stage_trains_on_it_without_a_detector(config, frozen, tmp_path):
    save_labelled(tmp_path / "train.safetensors", frozen)
    settings = config.override(
        "data.kind=candidates", "train.batch=2", "train.joint_steps=3", "grouping.cut=-9",
        **{"data.train": str(tmp_path / "train.safetensors")},
    )  # fmt: skip
    done = train(settings, tmp_path / "run")
    assert done.complete
    assert done.step == 3
    assert done.model.detector is None
