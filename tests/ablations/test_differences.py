"""A row against another: by hand, paired over images and seeds."""

import numpy as np
import pytest

from hggbook.ablations.differences import difference, samples_of, value_of
from hggbook.ablations.scoring import packed, unpacked
from hggbook.ablations.tables import paper_table, reference_of


def pose_run(row, seed, f1, samples):
    return {
        "study": "table2", "track": "pose", "row": row, "group": "default", "seed": seed, "cut": 0.0,
        "test": {"f1": f1, "perfect_share": f1 / 2}, "f1_samples": packed(np.array(samples)), "parameters": 1000,
        "training_cpu_s": 3.0,
    }  # fmt: skip


def image_run(row, grouper, ap):
    scored = {
        name: {"ap_cut": 0.5, "measures_test": dict.fromkeys(("AP", "AP50", "AP75", "AR", "AR50", "AR75"), value),
               "ap_samples": packed(np.full(4, value))}
        for name, value in ap.items()
    }  # fmt: skip
    told = {"study": "table2", "track": "image", "row": row, "group": "default", "seed": 0, "grouper": grouper}
    return told | scored | {"parameters": 0, "training_cpu_s": 1.0}


def test_samples_are_kept_to_a_ten_thousandth():
    samples = np.array([0.12345, 1.0, 0.0, -0.5])
    assert packed(samples) == "1234 10000 0 -5000"
    assert unpacked(packed(samples)).tolist() == [0.1234, 1.0, 0.0, -0.5]


def test_the_mean_over_shared_seeds_with_images_and_seeds_drawn_together():
    ours = {0: pose_run("a", 0, 0.8, [0.7, 0.9]), 1: pose_run("a", 1, 0.6, [0.5, 0.7])}
    ours |= {2: pose_run("a", 2, 0.1, [0, 0])}
    theirs = {0: pose_run("b", 0, 0.5, [0.4, 0.6]), 1: pose_run("b", 1, 0.5, [0.4, 0.6])}
    found = difference(ours, theirs, "f1")
    assert found.value == pytest.approx((0.3 + 0.1) / 2)  # seed 2 has no partner
    # in each of the two samples seed 0 is ahead by 0.3 and seed 1 by 0.1; images drawn together leave no spread of them
    assert 0.1 - 1e-9 <= found.low <= found.high <= 0.3 + 1e-9
    one = difference({0: ours[0]}, {0: theirs[0]}, "f1")
    assert (one.low, one.high) == (pytest.approx(0.3), pytest.approx(0.3))
    with pytest.raises(ValueError, match="no seed in common"):
        difference({2: ours[2]}, theirs, "f1")


def test_a_run_with_several_groupers_is_about_one_of_them():
    run = image_run("#6", "ae", {"ae": 0.2, "hgg": 0.3})
    assert value_of(run, "ap") == 0.2
    assert value_of(run, "ar75", "hgg") == 0.3
    assert samples_of(run, "ap", "hgg").tolist() == [0.3] * 4
    assert difference({0: run}, {0: run}, "ap", ("hgg", "ae")).value == pytest.approx(0.1)


def test_the_table_names_what_each_row_is_compared_with():
    assert reference_of("table2", "#4 Edge (literal)") == "#1 AE"
    assert reference_of("table2", "#5 Edge + FinalM (literal)") == "#9 Edge + FinalM + IntermM (literal)"
    assert reference_of("graphs", "tree (literal)") == "full (literal)"


def test_the_table_of_each_track_by_hand():
    runs = [pose_run("#1 AE", 0, 0.5, [0.5, 0.5]), pose_run("#4 Edge", 0, 0.75, [0.7, 0.8])]
    lines = paper_table("table2", runs, "pose").splitlines()
    assert lines[2].startswith("| #1 AE | default | 1 | 0.500 | 0.250 |  |")
    assert lines[3].startswith("| #4 Edge | default | 1 | 0.750 | 0.375 | +0.250 [+0.2")
    runs = [image_run("#1 AE", "ae", {"ae": 0.2}), image_run("#6 as #9, grouped by AE", "ae", {"ae": 0.25, "hgg": 0.4})]
    lines = paper_table("table2", runs, "image").splitlines()
    assert lines[3].startswith("| #6 as #9, grouped by AE | default | 1 | 0.250 | 0.250 |")
    assert "+0.050 [+0.050, +0.050]" in lines[3]


def test_a_lower_level_of_confidence_gives_an_interval_within():
    ours = {0: pose_run("a", 0, 0.8, np.linspace(0.7, 0.9, 101))}
    theirs = {0: pose_run("b", 0, 0.5, np.full(101, 0.5))}
    wide, narrow = (difference(ours, theirs, "f1", level=level) for level in (95, 50))
    assert (narrow.low, narrow.high) == (pytest.approx(0.25), pytest.approx(0.35))
    assert wide.low < narrow.low < narrow.high < wide.high
