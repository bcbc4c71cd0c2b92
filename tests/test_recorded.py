"""Recorded results: the tables in the texts are those of the recorded runs, and every run says how it was made."""

import json

import numpy as np
import pytest

from hggbook import paths
from hggbook.ablations.claims import MISSING, Judge, Recorded, read_paper
from hggbook.ablations.differences import difference
from hggbook.ablations.photographs import VIEWS, photographs_table
from hggbook.ablations.report import report_tables
from hggbook.ablations.scoring import unpacked
from hggbook.ablations.tables import (
    causes_table,
    contest_tables,
    detector_table,
    expand,
    grouping_tables,
    runs_by_row,
    signed,
    with_table,
)

RESULTS = paths.project_root() / "results"
FILES = sorted(path.name for path in RESULTS.glob("*.json") if path.name.startswith(("group", "causes", "detector")))


@pytest.mark.parametrize("name", FILES)
def test_the_tables_of_the_report_are_those_of_the_recorded_runs(name):
    told = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    text = (RESULTS / "GROUPING.md").read_text(encoding="utf-8")
    if told["study"] == "groupers":
        tables = contest_tables(told)
    elif told["study"] == "detector":
        tables = {"detector": detector_table(told["runs"])}
    elif told["study"] == "causes":
        tables = {"causes frozen": causes_table(told)}
    else:
        tables = grouping_tables(expand(told["rows"]), told.get("place", told["track"]))
    for place, table in tables.items():
        assert with_table(text, place, table) == text


def test_the_report_is_that_of_the_recorded_runs():
    text = (RESULTS / "REPORT.md").read_text(encoding="utf-8")
    judge = Judge(read_paper(), Recorded(RESULTS))
    for place, table in report_tables(judge).items():
        assert with_table(text, place, table) == text
    found = [finding for one in judge.judgements for each in one.findings.values() for finding in each]
    assert [finding.what for finding in found if finding.outcome == MISSING] == []


@pytest.mark.parametrize("name", sorted(path.name for path in RESULTS.glob("*.json")))
def test_every_run_says_with_what_it_was_made(name):
    told = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    runs = expand(told["rows"]) if "rows" in told else told.get("runs", [told])
    for run in runs:
        assert {"versions", "commit", "device", "threads", "time"} <= run["provenance"].keys()
    assert str(paths.project_root()) not in json.dumps(told)


STEPS = (("#9 Edge + FinalM + IntermM", "#1 AE"), ("#5 Edge + FinalM", "#4 Edge"),
         ("#9 Edge + FinalM + IntermM", "#5 Edge + FinalM"), ("#9 Edge + FinalM + IntermM", "#8 GAT"),
         ("#8 GAT", "#7 FC"))  # fmt: skip


def test_the_further_experiment_on_candidates_like_the_detectors_is_told_as_it_came_out():
    lines = (RESULTS / "REPORT.md").read_text(encoding="utf-8").splitlines()
    for better, worse in STEPS:
        start = f"| {better.split()[0]} over {worse.split()[0]}, "
        (line,) = (line for line in lines if line.startswith(start) and line.count("|") == 4)
        files = ("table2-pose.json", "table2-pose-measured-scenes.json")
        for name, cell in zip(files, line.split("|")[2:4], strict=True):
            runs = runs_by_row(expand(json.loads((RESULTS / name).read_text(encoding="utf-8"))["rows"]))
            assert cell.strip() == signed(difference(runs[better], runs[worse], "f1"))


@pytest.mark.parametrize("name", ["photographs", "photographs-again"])
def test_the_table_of_photographs_is_that_of_the_recorded_study(name):
    told = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    text = (RESULTS / "PHOTOGRAPHS.md").read_text(encoding="utf-8")
    assert with_table(text, name, photographs_table(told["results"])) == text


GROUPERS = ("AE greedy", "AE greedy, surer candidates", "default")


@pytest.mark.parametrize(("name", "looks"), [("photographs", list(VIEWS)), ("photographs-again", ["one view", "flip"])])
def test_hgg_is_ahead_of_ae_on_photographs_however_they_are_looked_at(name, looks):
    """Paired, over images, with either detector, and of AE that also leaves out unsure candidates."""
    results = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["results"]
    assert {result["views"] for result in results} == set(looks)
    for views in looks:
        found = [result for result in results if result["views"] == views and not result["filled"]]
        by_name = {name: [unpacked(r["ap_samples"]) for r in found if r["grouper"] == name] for name in GROUPERS}
        ae, surer, hgg = (np.mean(by_name[name], axis=0) for name in GROUPERS)
        assert np.percentile(hgg - ae, 2.5) > 0
        assert np.percentile(hgg - surer, 2.5) > 0
