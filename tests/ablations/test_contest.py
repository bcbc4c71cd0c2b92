"""The contest: every grouper on the same candidates, tuned on other images, none with an advantage."""

import torch

from hggbook.ablations.contest import OVERLAP, PEOPLE, contest
from hggbook.ablations.grouping import Study
from hggbook.compare.candidates import Contender, calibrate_contender, hgg_contender, measure
from hggbook.compare.contenders import contenders_of
from hggbook.config import preset
from hggbook.data.labelled import simulated
from hggbook.data.simulation import SIMULATIONS
from hggbook.metrics import GroupingCounts, grouping_counts
from hggbook.model import build
from hggbook.skeleton import COCO
from tests.data.test_labelled import CROWD, people


def model(seed=0, **settings):
    torch.manual_seed(seed)
    config = preset("pose").override(**settings)
    return build(config, with_detector=False).eval(), config


BATCHES = simulated(CROWD, SIMULATIONS["hard"], COCO, 0)


def test_counts_are_those_of_the_grouping_and_add_up_over_the_bins():
    hgg, _ = model(**{"grouping.cut": -1.0})
    found = measure({"hgg": hgg_contender(hgg, -1.0).make(-1.0)}, BATCHES.batches(2))["hgg"]
    with torch.no_grad():
        person = hgg.group(BATCHES.candidates).person
    assert found.total == grouping_counts(person, BATCHES.targets)
    images, totals = zip(*found.by(found.people, (0, 1, 3, 99)))
    assert sum(images) == BATCHES.num_images
    assert sum(totals, GroupingCounts()) == found.total
    first = BATCHES.select(torch.tensor([0]))
    totals_of_first = grouping_counts(hgg.group(first.candidates).person, first.targets)
    assert found.by(found.overlap, (0.3, 1.0)) == [(1, totals_of_first)]


def test_all_contenders_group_and_only_the_oracle_reads_the_truth():
    hgg, config = model()
    known = contenders_of(hgg, config)
    assert {"hgg", "ae", "oracle", "contraction/hgg", "multicut/hgg", "spectral/distance", "bones/hgg"} <= known.keys()
    lied = BATCHES.targets.replace(person=torch.zeros_like(BATCHES.targets.person))
    for name, contender in known.items():
        group = contender.make(contender.default)
        person = group(BATCHES.candidates, BATCHES.targets)
        assert len(person) == len(BATCHES.candidates), name
        if name != "oracle":
            assert torch.equal(person, group(BATCHES.candidates, lied)), name
    perfect = known["oracle"].make(0.0)(BATCHES.candidates, BATCHES.targets)
    assert grouping_counts(perfect, BATCHES.targets).f1 == 1


def test_the_model_keeps_its_own_cut():
    hgg, _ = model(**{"grouping.cut": 0.25})
    hgg_contender(hgg, 0.25).make(-3.0)(BATCHES.candidates, BATCHES.targets)
    assert hgg.ohgc.cut == 0.25


def test_calibration_takes_the_best_and_of_equals_the_one_nearest_to_the_default():
    def make(value):  # right for 1.0 only; 2.0 and 3.0 are equally wrong
        return lambda candidates, targets: torch.where(
            torch.tensor(value == 1.0), targets.person, torch.arange(len(targets.person))
        )

    chosen, tried = calibrate_contender(Contender("", make, (3.0, 1.0, 2.0), 2.0), BATCHES)
    assert chosen == 1.0
    assert set(tried) == {1.0, 2.0, 3.0}
    chosen, _ = calibrate_contender(Contender("", make, (3.0, 2.0), 2.2), BATCHES)
    assert chosen == 2.0
    assert calibrate_contender(Contender("", make, (), 7.0), BATCHES) == (7.0, {})


def test_a_contest_tells_everything_of_every_grouper(tmp_path, monkeypatch):
    images = people(*[[(0.0, 0.0, 100.0, 200.0), (60.0, 0.0, 160.0, 190.0)]] * 6)
    labelled = simulated(images, SIMULATIONS["hard"], COCO, 0)
    monkeypatch.setattr("hggbook.ablations.contest.scored_images", lambda study, config, part: labelled)
    hgg, config = model()
    told = contest(hgg, config, Study("pose", 1, tmp_path), exact=False)
    assert told["oracle"]["test"]["f1"] == 1
    for name, result in told.items():
        low, high = result["f1"][1:]
        assert low <= result["f1"][0] <= high, name
        assert ("lead_f1" in result) == (name != "hgg")
        assert len(result["f1_by_people"]) == len(PEOPLE) - 1
        assert len(result["f1_by_overlap"]) == len(OVERLAP) - 1
