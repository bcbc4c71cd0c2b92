"""Groupers side by side: the same candidates for all, and a calibration that treats both sides alike."""

import dataclasses
import json

import pytest
import torch

from hggbook.compare import calibrate, compare, groupers_of
from hggbook.compare.images import nearest_best
from hggbook.data.coco import CocoPeople
from hggbook.data.scenes import scene_config, write_dataset

from .test_model import SMALL, model_of

CONFIG = SMALL.override(**{"proposal.threshold": 0.3, "proposal.per_type": 6})


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes") / "set"
    path = write_dataset(folder, scene_config("easy", width=64, height=64), 3, seed=0)
    return CocoPeople(path, path.parent / "images")


@pytest.mark.parametrize(
    ("ap", "default", "chosen"),
    [
        ({-1.0: 0.30, 0.0: 0.20, 1.0: 0.10}, 1.0, -1.0),  # clearly better wins, however far from the default
        ({-1.0: 0.301, 0.0: 0.3, 1.0: 0.10}, 1.0, 0.0),  # a thousandth is not told apart
        ({(1.0, 0.1): 0.301, (0.5, 0.3): 0.3, (1.0, 0.2): 0.3}, (1.0, 0.3), (1.0, 0.2)),
        ({(1.0, 0.1): 0.31, (1.0, 0.3): 0.3}, (1.0, 0.3), (1.0, 0.1)),
    ],
)
def test_of_values_that_are_as_good_the_nearest_to_the_default_is_taken(ap, default, chosen):
    assert nearest_best(ap, default) == chosen


def model():
    return model_of(**{"proposal.threshold": 0.3, "proposal.per_type": 6})


def test_every_grouper_gets_the_same_candidates(scenes):
    seen = {}

    def watch(name, grouper):
        def group(output, targets):
            seen.setdefault(name, []).append(output.candidates.xy)
            return grouper(output, targets)

        return group

    groupers = {name: watch(name, grouper) for name, grouper in groupers_of(model(), CONFIG).items()}
    scores = compare(model(), scenes, CONFIG, groupers, batch_size=2)
    assert set(scores) == set(seen) == {"hgg", "ae", "oracle"}
    for first, *others in zip(*seen.values()):
        assert all(torch.equal(first, other) for other in others)
    assert scores["oracle"].counts.f1 == 1.0
    assert scores["hgg"].ap["images"] == 3


def test_calibration_takes_the_best_of_each_side_and_the_model_follows(scenes):
    m = model()
    cuts, thresholds = (-1.0, -0.5, 0.5), (0.1, 1.0, 10.0)
    chosen, ap = calibrate(m, scenes, CONFIG, cuts=cuts, thresholds=thresholds)
    assert set(ap) == {*(f"cut={c}" for c in cuts), *(f"threshold={t}" for t in thresholds)}
    assert ap[f"cut={chosen.grouping.cut}"] >= max(ap[f"cut={c}"] for c in cuts) - 0.002
    assert ap[f"threshold={chosen.baseline.threshold}"] >= max(ap[f"threshold={t}"] for t in thresholds) - 0.002
    assert m.ohgc.cut == chosen.grouping.cut
    now = compare(m, scenes, chosen)
    assert now["hgg"].ap["AP"] == pytest.approx(ap[f"cut={chosen.grouping.cut}"])
    assert now["ae"].ap["AP"] == pytest.approx(ap[f"threshold={chosen.baseline.threshold}"])


def test_of_equal_values_the_one_nearest_to_the_configs_own_is_kept(scenes, monkeypatch):
    from hggbook import compare as module

    real = module.compare

    def flat(*args, **kwargs):
        scores = real(*args, **kwargs)
        return {name: dataclasses.replace(score, ap=score.ap | {"AP": 0.5}) for name, score in scores.items()}

    monkeypatch.setattr(module, "compare", flat)
    chosen, _ = calibrate(model(), scenes, CONFIG, cuts=(-3.0, -0.6, 2.0), thresholds=(0.2, 0.9, 3.0))
    assert (chosen.grouping.cut, chosen.baseline.threshold) == (-0.6, 0.9)


def test_any_category_number_of_person_will_do(scenes, tmp_path):
    document = json.loads(scenes.annotations.read_text())
    document["categories"][0]["id"] = 7
    for annotation in document["annotations"]:
        annotation["category_id"] = 7
    (tmp_path / "seven.json").write_text(json.dumps(document))
    seven = CocoPeople(tmp_path / "seven.json", scenes.images)
    ours, theirs = compare(model(), scenes, CONFIG), compare(model(), seven, CONFIG)
    assert {name: score.ap for name, score in ours.items()} == {name: score.ap for name, score in theirs.items()}
    assert {result["category_id"] for result in theirs["oracle"].results} == {7}
