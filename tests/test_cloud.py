"""Opening the repository elsewhere: the first cell for Colab, what Binder builds from, the badges."""

import importlib.util
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

from hggbook import paths

ROOT = paths.project_root()


@pytest.fixture
def first_cell() -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text[text.index("## In the cloud") :]
    return re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]


@pytest.fixture
def commands(monkeypatch, tmp_path) -> list[list[str]]:
    """What was run; nothing really is, but that a clone leaves a pyproject.toml."""
    ran = []

    def run(command, check):
        assert check
        ran.append(command)
        if command[:2] == ["git", "clone"]:
            Path(command[-1]).mkdir()
            shutil.copy(ROOT / "pyproject.toml", command[-1])

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return ran


def test_the_first_cell_does_nothing_where_hggbook_is_installed(first_cell, commands, tmp_path):
    before = list(sys.path)
    exec(compile(first_cell, "README.md", "exec"), {})
    assert commands == []
    assert sys.path == before
    assert list(tmp_path.iterdir()) == []


def test_elsewhere_it_fetches_the_repository_and_installs_what_is_missing(first_cell, commands, tmp_path, monkeypatch):
    there, absent = importlib.util.find_spec, {"hggbook", "torch_geometric", "jaxtyping", "jupyterlab"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in absent else there(name))
    exec(compile(first_cell, "README.md", "exec"), {})
    clone, install = commands
    checkout = str(tmp_path / "hggbook-checkout")
    assert clone[-1] == checkout
    assert sys.path[0] == checkout
    assert install[1:4] == ["-m", "pip", "install"]
    assert [re.match(r"[\w-]+", name)[0] for name in install[5:]] == ["jaxtyping", "torch-geometric"]

    del commands[:]
    exec(compile(first_cell, "README.md", "exec"), {})  # run again: the checkout is there
    assert [command[0] for command in commands] == [sys.executable]


def test_binder_finds_the_environment_and_it_installs_hggbook():
    assert not [name for name in ("binder", ".binder") if (ROOT / name).exists()]  # would hide the file
    *_, last = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    assert last == {"pip": ["--editable ."]}


@pytest.mark.parametrize("name", ["binder", "colab"])
def test_badges_have_a_title_and_load_nothing(name):
    text = (ROOT / "data" / f"badge-{name}.svg").read_text(encoding="utf-8")
    root = ET.fromstring(text)
    assert root.find("{http://www.w3.org/2000/svg}title").text == f"Open in {name.capitalize()}"
    assert not re.search(r"href|url\(|<image|<script|@import", text)
