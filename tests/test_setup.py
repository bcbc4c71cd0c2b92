"""pyproject.toml, environment.yml and requirements.lock agree, and hold what a fresh machine needs."""

import importlib.metadata
import os
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]

# PyPI's name -> conda-forge's, where they differ
ON_CONDA = {
    "torch": "pytorch",
    "torch-geometric": "pytorch_geometric",
    "opencv-python-headless": "opencv",
    "matplotlib": "matplotlib-base",
}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def wanted() -> dict[str, Requirement]:
    """Everything that pyproject.toml asks for, for running and for testing."""
    texts = [*project()["dependencies"], *project()["optional-dependencies"]["test"]]
    return {canonicalize_name(Requirement(text).name): Requirement(text) for text in texts}


def locked() -> dict[str, Version]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pins}


def conda() -> dict[str, str]:
    """Name on conda-forge -> bound, e.g. ``>=2.11``."""
    entries = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    return dict((*entry.split(maxsplit=1), "")[:2] for entry in entries if isinstance(entry, str))


def test_the_lock_pins_a_version_that_pyproject_allows():
    pins = locked()
    assert {name for name in wanted() if name not in pins} == set()
    refused = {name: pins[name] for name, need in wanted().items() if not need.specifier.contains(pins[name])}
    assert refused == {}


def test_the_conda_environment_asks_for_what_pyproject_asks_for():
    listed = conda()
    ours = {ON_CONDA.get(name, name): str(need.specifier) for name, need in wanted().items()}
    assert {name: bound for name, bound in ours.items() if listed.get(name) != bound} == {}
    assert set(listed) - set(ours) == {"python", "pip"}  # and for nothing else
    assert listed["python"] == project()["requires-python"]


def test_the_lock_is_portable():
    lines = [line for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    assert "torch==2.13.0" in lines  # no local tag such as +cpu, which only one index has
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)] == []
    assert not [line for line in lines if re.match(r"(nvidia-|cuda-|triton|hggbook)", line, re.IGNORECASE)]
    names = [line.partition("==")[0].lower() for line in lines]
    assert names == sorted(set(names))


def test_the_lock_is_closed():
    """Everything that a locked package needs on this machine is locked too, so nothing is installed unpinned."""
    pins, missing = locked(), set()
    for name in pins:
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # another version of the lock is installed; the other tests judge the file itself
        for need in map(Requirement, needs):
            applies = need.marker is None or need.marker.evaluate({"extra": ""})
            if applies and canonicalize_name(need.name) not in pins:
                missing.add(f"{name} needs {need.name}")
    # of the platform, or of every Python
    ours = re.compile(r"needs (nvidia-|cuda-|triton|setuptools|appnope|colorama|pywinpty)")
    assert {text for text in missing if not ours.search(text)} == set()


@pytest.mark.parametrize("name", ["Makefile", ".ci/run", "requirements.lock", "environment.yml", "pyproject.toml"])
def test_no_index_address_and_no_machine_path(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"--(extra-)?index-url|--find-links|files\.pythonhosted|download\.pytorch", text)
    assert not re.search(r"(?<![\w./])/(home|root|work|Users)/", text)


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    # the tests themselves run under make, whose flags are not for this one
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env={**inherited, **environment}, capture_output=True, text=True, check=False
    )


def test_make_knows_its_targets():
    for target in ("book", "test", "lab", "clean", "lock", "doctor"):
        done = make("--dry-run", target)
        assert done.returncode == 0, done.stderr


def test_make_says_what_is_wrong_without_a_fitting_python(tmp_path):
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = make("setup", f"VENV={tmp_path / 'venv'}", f"PYTHON={old}")
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_continuous_integration_runs_the_tests():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & stat.S_IXUSR
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    text = script.read_text(encoding="utf-8")
    assert "make test" in text
    assert "set -e" in text
    assert "../shared/data" in text


def test_this_python_is_one_that_pyproject_allows():
    running = ".".join(map(str, sys.version_info[:3]))
    assert SpecifierSet(project()["requires-python"]).contains(running)


def test_sources_and_notebooks_are_clean():
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "."]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
