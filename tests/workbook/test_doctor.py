"""The doctor finds every fault that is injected, says how to mend it, and fails only for what is required."""

import dataclasses
import re
from pathlib import Path

import pytest

from hggbook import doctor, paths

HEALTHY = doctor.Facts(
    python=(3, 12),
    executable="/env/bin/python",
    needs={"torch": "2.11", "numpy": "2.0"},
    versions={"torch": "2.13.0+cpu", "numpy": "2.4.6"},
    device=None,
    threads=1,
    cores=2,
    kernel="/env/bin/python",
    root=Path("/project"),
    root_error="",
    data_error="",
    data_sets={"COCO 2017": True},
    weights=("tiny.safetensors",),
    free_bytes=50 * 10**9,
    writable=True,
)


def test_a_healthy_machine_has_nothing_to_mend():
    findings = doctor.diagnose(HEALTHY)
    assert {finding.status for finding in findings} == {"ok"}
    assert not any(finding.mend for finding in findings)
    assert doctor.report(findings).endswith("everything that is required is there")


@pytest.mark.parametrize(
    ("fault", "name", "detail", "mend"),
    [
        ({"python": (3, 10)}, "Python", "3.10 at .* expected 3.11", "make PYTHON="),
        ({"versions": {"torch": None, "numpy": "2.4"}}, "torch", "not installed", "requirements.lock"),
        ({"versions": {"torch": "2.9.1", "numpy": "2.4"}}, "torch", "2.9.1, expected 2.11", "requirements.lock"),
        ({"kernel": None}, "kernel", "no kernel 'python3'", "ipykernel install"),
        ({"kernel": "/other/bin/python"}, "kernel", "runs /other/bin/python", "kernelspec remove"),
        ({"root": None, "root_error": "no notebooks/"}, "project", "no notebooks/", "HGGBOOK_HOME"),
        ({"writable": False}, "project", "cannot be written", "chmod"),
        ({"data_error": "HGGBOOK_DATA: expected"}, "real data", "HGGBOOK_DATA", "unset HGGBOOK_DATA"),
        ({"weights": ()}, "weights", "none in data/weights", "git checkout"),
        ({"free_bytes": 10**8}, "disk", "0.1 GB free", "free some space"),
    ],
)
def test_a_required_thing_that_is_missing_fails_and_says_how_to_mend_it(fault, name, detail, mend):
    findings = doctor.diagnose(dataclasses.replace(HEALTHY, **fault))
    (failed,) = [finding for finding in findings if finding.status == "fail"]
    assert failed.name == name
    assert re.search(detail, failed.detail)
    assert mend in failed.mend
    report = doctor.report(findings)
    assert f"-> {failed.mend}" in report
    assert "1 to mend" in report


def test_an_optional_thing_that_is_missing_is_only_a_note():
    findings = doctor.diagnose(dataclasses.replace(HEALTHY, data_sets={"COCO 2017": False, "OCHuman": True}))
    (note,) = [finding for finding in findings if finding.status == "note"]
    assert note.name == "COCO 2017"
    assert "HGGBOOK_DATA" in note.mend
    assert not any(finding.status == "fail" for finding in findings)


def test_a_device_is_named_where_there_is_one():
    (device,) = [one for one in doctor.diagnose(dataclasses.replace(HEALTHY, device="GPU 9")) if one.name == "device"]
    assert "GPU 9" in device.detail


def test_versions_compare_by_number_and_not_by_letter():
    old = dataclasses.replace(HEALTHY, needs={"torch": "2.9"}, versions={"torch": "2.11.0+cpu"})
    assert all(finding.status == "ok" for finding in doctor.diagnose(old))


def test_this_machine_can_be_looked_at(capsys):
    facts = doctor.gather()
    assert facts.versions["torch"] is not None
    assert paths.same_python(facts.kernel, facts.executable)
    code = doctor.main()
    printed = capsys.readouterr().out
    assert "hggbook doctor on" in printed
    assert code == int("FAIL" in printed.split("\n", 1)[1].replace("marked FAIL", ""))


def test_faults_of_the_environment_are_facts_and_not_exceptions(tmp_path, monkeypatch):
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path))
    monkeypatch.setenv(paths.DATA_VARIABLE, str(tmp_path / "absent"))
    facts = doctor.gather()
    assert facts.root is None
    assert "expected" in facts.root_error
    assert "HGGBOOK_DATA" in facts.data_error
    assert doctor.main() == 1


def test_data_sets_are_found_where_they_lie(tmp_path, monkeypatch):
    (tmp_path / "ochuman").mkdir()
    monkeypatch.setenv(paths.DATA_VARIABLE, str(tmp_path))
    assert doctor.gather().data_sets["OCHuman"]
