"""Results are written whole or not at all, come back as they were, and hold only what JSON can."""

import dataclasses
import json
import os

import numpy as np
import pytest
import torch

from hggbook.provenance import _commit, provenance
from hggbook.workbook import results
from hggbook.workbook.results import Record, Results


def some(**changes) -> Results:
    values = {
        "notebook": "05_graclus",
        "profile": "smoke",
        "seed": 3,
        "records": (Record("ap/hgg", 0.5, {"images": 8}), Record("note", "text")),
        "exercises": {"05.e1": "passed"},
        "figures": 2,
        "wall_s": 1.25,
        "provenance": {"commit": "abc", "versions": {"torch": "2.13.0"}},
    }
    return Results(**{**values, **changes})


def test_saved_and_loaded_is_the_same(tmp_path):
    path = results.save(some(), tmp_path / "results")
    assert path.name == "05.json"
    assert results.load(path) == some()
    assert results.load_all(tmp_path / "results") == (some(),)


def test_nothing_recorded_and_no_folder(tmp_path):
    assert results.load(results.save(some(records=()), tmp_path)).records == ()
    assert results.load_all(tmp_path / "absent") == ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (torch.tensor(2.5), 2.5),
        (torch.tensor([1, 2]), [1, 2]),
        (torch.ones(2, requires_grad=True), [1.0, 1.0]),
        (np.float32(0.5), 0.5),
        (np.arange(2), [0, 1]),
        ({1: (True, None)}, {"1": [True, None]}),
        (Record("a", 1), {"name": "a", "value": 1, "meta": {}}),
    ],
)
def test_plain_values(value, expected):
    plain = results.plain(value)
    assert plain == expected
    assert json.loads(json.dumps(plain)) == expected


@pytest.mark.parametrize("value", [float("nan"), float("inf"), torch.tensor(float("nan")), {1, 2}, object(), Record])
def test_what_json_cannot_hold_is_refused(value):
    with pytest.raises(ValueError, match="result: expected"):
        results.plain(value)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = results.save(some(), tmp_path)
    before = path.read_text()

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        results.save(some(seed=9), tmp_path)
    assert path.read_text() == before
    assert [item.name for item in tmp_path.iterdir()] == ["05.json"]


@pytest.mark.parametrize("text", ["", "[]", '{"records": []}', '{"records": [{"nome": 1}]}', "\x00"])
def test_a_file_that_is_no_result_is_named(tmp_path, text):
    path = tmp_path / "05.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"05\.json: expected a results file"):
        results.load(path)


def test_provenance_says_with_what_where_and_when():
    found = provenance()
    assert found["versions"]["torch"] == torch.__version__
    assert set(found) == {"versions", "commit", "device", "threads", "platform", "time"}
    assert found["time"].endswith("+00:00")
    json.dumps(found)


def test_provenance_without_a_checkout_says_unknown(tmp_path):
    (tmp_path / "notebooks").mkdir()
    assert _commit(tmp_path) == "unknown"


def test_results_know_their_number():
    assert dataclasses.replace(some(), notebook="13_reproduction_report").number == "13"
