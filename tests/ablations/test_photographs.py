"""Groupers on photographs: numbers chosen on tune alone, every way of looking, the table's means and leads."""

import numpy as np
import pytest
import torch

from hggbook.ablations.photographs import VIEWS, contestants_of, named, photographs_table, study_photographs
from hggbook.ablations.scoring import packed
from hggbook.compare import compare
from hggbook.config import preset
from hggbook.data.source import scene_set
from hggbook.model import build, joined
from hggbook.tta import with_views

CONFIG = preset("tiny").override(
    "detector.input_size=64", "detector.width=8", "detector.growth=4", "detector.depth=2", "proposal.threshold=-1",
    "proposal.limit=25", "grouping.hidden=8",
)  # fmt: skip


@pytest.fixture(scope="module")
def models():
    """A detector, and two grouping stages that answer anything: what is scored here is the study."""
    torch.manual_seed(0)
    detector = build(CONFIG).eval()
    with torch.no_grad():
        for head in detector.detector.heads:
            head.weight.normal_()
    stages = {}
    for seed in (0, 1):
        torch.manual_seed(seed)
        stages[seed] = (build(CONFIG, with_detector=False).eval(), CONFIG)
    return (detector, CONFIG), {"default": stages}


@pytest.fixture(scope="module")
def images():
    return scene_set("easy", 4, seed=1, size=64), scene_set("easy", 5, seed=2, size=64)


@pytest.fixture(scope="module")
def results(models, images):
    return study_photographs(*models, *images, views=("one view", "flip"))


def test_every_grouper_is_scored_for_every_way_of_looking_not_filled_and_filled(results):
    found = {(r["views"], r["filled"], r["grouper"], r["seed"]) for r in results}
    groupers = {("AE greedy", 0), ("AE greedy, surer candidates", 0), ("oracle", 0), ("default", 0), ("default", 1)}
    assert found == {(v, f, *g) for v in ("one view", "flip") for f in (False, True) for g in groupers}
    assert len(results) == len(found)


def test_its_numbers_are_those_of_the_joined_model(models, images, results):
    detector, stages = models
    model, config = joined(detector, stages["default"][1])
    (told,) = (r for r in results if (r["views"], r["filled"], r["grouper"], r["seed"]) == ("flip", True, "default", 1))
    tested, seen = with_views(model, config, flip=True)
    tested.ohgc.cut = told["value"]
    score = compare(tested, images[1], seen, fill=True)["hgg"]
    assert told["dev"]["AP"] == pytest.approx(score.ap["AP"], abs=1e-5)
    assert told["f1"] == pytest.approx(score.counts.f1, abs=1e-5)


def test_the_number_is_chosen_on_tune(results):
    for told in results:
        if told["grouper"] == "oracle":
            assert told["tune"] == {}
        else:
            assert told["tune"][named(told["value"])] >= max(told["tune"].values()) - 0.00201


def test_a_contestant_s_number_is_its_own(models):
    """Stages share nothing: the cut of one does not move another's."""
    detector, stages = models
    found = contestants_of(detector, stages, VIEWS["one view"], CONFIG)
    assert [c.key(0.5) for c in found] == [
        "AE greedy, seed 0, 0.5", "AE greedy, surer candidates, seed 0, 0.5", "oracle, seed 0, 0.5",
        "default, seed 0, 0.5", "default, seed 1, 0.5",
    ]  # fmt: skip


def test_of_two_numbers_the_second_is_the_score_that_a_candidate_must_have(models):
    detector, stages = models
    _, surer, *_ = contestants_of(detector, stages, VIEWS["one view"], CONFIG)
    assert named((0.5, 0.25)) == named([0.5, 0.25]) == "0.5 / 0.25"
    with torch.no_grad():
        output = detector[0](torch.rand(2, 3, 64, 64))
    score = output.candidates.score
    middle = float(score.median())
    person = surer.make((1.0, middle))(output, None)
    assert (person[score <= middle] == -1).all()
    assert (person[score > middle] >= 0).any()


def test_the_table_s_means_and_paired_leads_by_hand():
    def run(grouper, seed, ap, samples, tune):
        dev = dict.fromkeys(("AP", "AP50", "AP75", "APM", "APL", "AR"), ap)
        return {"views": "flip", "filled": False, "grouper": grouper, "seed": seed, "value": 1.0, "tune": tune,
                "dev": dev, "f1": 0.5, "ap_samples": packed(np.array(samples))}  # fmt: skip

    table = photographs_table([
        run("AE greedy", 0, 0.1, [0.1, 0.2], {"1": 0.3}), run("oracle", 0, 0.4, [0.4, 0.4], {}),
        run("default", 0, 0.2, [0.2, 0.3], {"1": 0.4}), run("default", 1, 0.3, [0.4, 0.5], {"1": 0.5}),
    ])  # fmt: skip
    greedy, oracle, default = [[c.strip() for c in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    assert default[:4] == ["flip", "as found", "default", "2"]
    assert default[4] == "0.250 [0.303, 0.398]"  # mean AP; samples' means 0.3 and 0.4, their 2.5 and 97.5 percentiles
    assert default[10:12] == ["0.450", "+0.150 [+0.200, +0.200]"]  # 0.3 - 0.1 = 0.4 - 0.2: paired, no spread
    assert greedy[11] == ""
    assert (oracle[10], oracle[13]) == ("", "")
