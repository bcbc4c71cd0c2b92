"""Claims and verdicts: the file is sound, the rules do what they say, the report is that of the recorded runs."""

import json

import numpy as np
import pytest
import yaml

from hggbook import paths
from hggbook.ablations.claims import (
    AGAINST,
    CONTRADICTED,
    DIRECTION,
    HOLDS,
    MISSING,
    OPEN,
    REPRODUCED,
    UNSETTLED,
    UNTESTABLE,
    Finding,
    Judge,
    Recorded,
    outcome_of,
    read_paper,
    verdict,
)
from hggbook.ablations.report import changes, counts, evidence, report_tables, verdict_table
from hggbook.ablations.rows import rows_of
from hggbook.ablations.scoring import packed
from hggbook.compare.intervals import Interval

PAPER = read_paper()


def test_the_papers_numbers_are_those_of_its_text():
    """Figures that the text of the paper states by themselves, against the tables that they are drawn from."""
    table = PAPER["tables"]["table2"]["rows"]
    ap = {name.split()[0]: row[0] for name, row in table.items()}
    ar = {name.split()[0]: row[3] for name, row in table.items()}
    assert round(ap["#3"] - ap["#1"], 1) == 0.6
    assert round(ar["#3"] - ar["#1"], 1) == 1.3
    assert round(ap["#4"] - ap["#1"], 1) == 2.0
    assert round(ap["#5"] - ap["#4"], 1) == 0.5
    assert round(ap["#9"] - ap["#5"], 1) == 0.3
    assert round(ap["#9"] - ap["#4"], 1) == 0.8  # what it calls "in total"
    assert PAPER["tables"]["fig4a"]["rows"] == {"tree": [56.1], "full": [60.4]}
    assert all(len(row) == len(one["columns"]) for one in PAPER["tables"].values() for row in one["rows"].values())


def test_every_test_of_a_claim_names_rows_that_are_run_and_tests_that_exist():
    for claim in PAPER["claims"]:
        for test in claim.get("tests", ()):
            if "ahead" in test:
                studies = {test["ahead"], test.get("and", test["ahead"])}
                names = {row.name for study in studies for row in rows_of(test["track"], study=study)}
                assert {test["better"], test["worse"]} <= names
            elif "test" in test:
                place, _, name = test["test"].partition("::")
                assert f"def {name}(" in (paths.project_root() / place).read_text(encoding="utf-8")
            else:
                assert test["says"]
                assert test.keys() & {"low", "high"}


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.001, 0.1, HOLDS), (-0.1, -0.001, AGAINST), (-0.004, 0.004, AGAINST), (-0.004, 0.006, OPEN),
        (-0.1, 0.1, OPEN), (0.0001, 0.004, HOLDS),
    ],
)  # fmt: skip
def test_a_difference_holds_if_its_interval_is_above_zero(low, high, outcome):
    assert outcome_of(Interval((low + high) / 2, low, high), nothing=0.005) == outcome


@pytest.mark.parametrize(
    ("outcomes", "about_method", "expected"),
    [
        ([HOLDS, HOLDS], True, REPRODUCED), ([HOLDS], False, DIRECTION), ([AGAINST, AGAINST], True, CONTRADICTED),
        ([AGAINST, OPEN], False, CONTRADICTED), ([AGAINST, HOLDS], False, UNSETTLED), ([OPEN], True, UNSETTLED),
        ([HOLDS, MISSING], True, UNSETTLED), ([MISSING], False, MISSING),
    ],
)  # fmt: skip
def test_verdicts_by_the_rules_of_the_file(outcomes, about_method, expected):
    assert verdict([Finding(outcome, "", "", "") for outcome in outcomes], about_method) == expected


@pytest.fixture
def folder(tmp_path):
    """Recorded runs of two rows, in which #9 is ahead of #1."""

    def run(row, seed, f1):
        samples = packed(np.linspace(f1 - 0.01, f1 + 0.01, 20))
        return {
            "study": "table2", "track": "pose", "seed": seed, "test": {"f1": f1, "perfect_share": 0.1}, "cut": 0.0,
            "f1_samples": samples,
        }  # fmt: skip

    rows = {
        name: {"group": "default", "config": {}, "runs": [run(name, seed, f1 + seed / 100) for seed in (0, 1)]}
        for name, f1 in (("#9 Edge + FinalM + IntermM", 0.9), ("#1 AE", 0.6))
    }
    (tmp_path / "table2-pose.json").write_text(json.dumps({"study": "table2", "track": "pose", "rows": rows}))
    (tmp_path / "clustering.json").write_text(json.dumps({"default": {"halving": 0.9, "most_rounds": 27}}))
    return tmp_path


def small(*tests, **more):
    claim = {"id": "C1", "text": "a claim", "place": "sec. 4", "paper": "2.8 AP", "notebooks": ["10"], **more}
    return {"rules": {"nothing": {"f1": 0.005, "ap": 0.003}}, "claims": [claim | {"tests": list(tests)}], "tables": {}}


def test_a_claim_from_recorded_runs_to_its_verdict(folder):
    ahead = {"ahead": "table2", "track": "pose", "better": "#9 Edge + FinalM + IntermM", "worse": "#1 AE"}
    (one,) = Judge(small(ahead), Recorded(folder)).judgements
    assert one.verdicts == {"default": DIRECTION}
    assert one.findings["default"][0].value == "+0.300 [+0.300, +0.300]"
    literal = {"within": "clustering.json#/default/most_rounds", "high": 5, "says": "rounds", "reading": "literal"}
    (one,) = Judge(small(ahead, literal, about="method"), Recorded(folder)).judgements
    assert one.verdicts == {"default": REPRODUCED, "literal": CONTRADICTED}
    assert one.findings["literal"][0].what == "rounds (at most 5)"
    said = evidence(one)
    assert "| literal | rounds (at most 5) | 27 | against | `clustering.json#/default/most_rounds` |" in said
    assert said.endswith("Verdict, default: **reproduced**, literal: **contradicted**.")


def test_what_was_not_recorded_is_said_and_what_does_not_exist_is_an_error(folder):
    elsewhere = {"ahead": "graphs", "track": "pose", "better": "full", "worse": "tree"}
    (one,) = Judge(small(elsewhere), Recorded(folder)).judgements
    assert one.verdicts == {"default": MISSING}
    not_run = {"within": "clustering.json#/literal/halving", "low": 0, "says": "x"}
    assert Judge(small(not_run), Recorded(folder)).judgements[0].verdicts == {"default": MISSING}
    wrong = {"within": "clustering.json#/default/nonsense", "low": 0, "says": "x"}
    with pytest.raises(ValueError, match="nonsense"):
        _ = Judge(small(wrong), Recorded(folder)).judgements
    no_test = small() | {"claims": [{**small()["claims"][0], "tests": [], "why_not": "no data"}]}
    (one,) = Judge(no_test, Recorded(folder)).judgements
    assert one.verdicts == {"default": UNTESTABLE}
    assert evidence(one) == "Verdict: **not testable here**: no data."


def test_a_broken_file_of_claims_is_named(tmp_path):
    place = tmp_path / "claims.yaml"

    def reads(change):
        paper = small({"test": "x"})
        change(paper["claims"])
        place.write_text(yaml.safe_dump(paper))
        return read_paper(place)

    assert reads(lambda claims: None)["claims"][0]["id"] == "C1"
    with pytest.raises(ValueError, match="C1.*place"):
        reads(lambda claims: claims[0].pop("place"))
    with pytest.raises(ValueError, match="two claims with the id C1"):
        reads(lambda claims: claims.append(dict(claims[0])))
    with pytest.raises(ValueError, match="why_not"):
        reads(lambda claims: claims[0].update(tests=[]))
    with pytest.raises(ValueError, match="expected a test"):
        reads(lambda claims: claims[0].update(tests=[{"guess": 1}]))


def test_a_rerun_is_held_against_the_reference(folder, tmp_path):
    ahead = {"ahead": "table2", "track": "pose", "better": "#9 Edge + FinalM + IntermM", "worse": "#1 AE"}
    paper = small(ahead)
    same = Judge(paper, Recorded(folder))
    assert changes(same, Judge(paper, Recorded(folder)), 0.02) == []
    other = tmp_path / "other"
    other.mkdir()
    told = json.loads((folder / "table2-pose.json").read_text())
    for run in told["rows"]["#9 Edge + FinalM + IntermM"]["runs"]:
        run["test"]["f1"], run["f1_samples"] = 0.5, packed(np.full(20, 0.5))
    (other / "table2-pose.json").write_text(json.dumps(told))
    found = changes(Judge(paper, Recorded(other)), same, 0.02)
    assert found[0] == "C1 (default): contradicted, the reference has direction only"
    assert "#9 Edge + FinalM + IntermM: 0.5000, the reference has 0.9050" in found[1]


def test_the_report_holds_the_tables_of_the_recorded_runs():
    judge = Judge(PAPER, Recorded())
    tables = report_tables(judge)
    assert len(verdict_table(judge).splitlines()) == 2 + len(PAPER["claims"])
    assert sum(counts(judge)["default"].values()) == len(PAPER["claims"])
    assert {"verdicts", "counts", "table2 pose", "fig4a pose", "evidence C1"} <= tables.keys()
