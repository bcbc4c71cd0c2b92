"""What the texts promise exists: links, commands, pictures, weights with their card, checksum and log."""

import argparse
import hashlib
import re

import pytest

from hggbook import paths
from hggbook.cli import _parser
from hggbook.doctor import diagnose
from hggbook.weights import load

ROOT = paths.project_root()
TEXTS = ["README.md", "PAPER.md", "TEACHING.md", "data/README.md"]
TEXTS += [f"results/{name}.md" for name in ("REPORT", "GROUPING", "CHECKLIST")]
TEXTS += [*(f"data/weights/{path.name}" for path in paths.weights_folder().glob("*.md"))]


def commands() -> set[str]:
    (action,) = (a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction))
    return set(action.choices)


@pytest.mark.parametrize("name", TEXTS)
def test_relative_links_lead_somewhere_and_nothing_is_left_to_fill_in(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / name).parent.joinpath(link).exists()] == []
    assert not re.search(r"PLACEHOLDER|TO[D]O|FIX[M]E|X{3}", text)


@pytest.mark.parametrize("name", TEXTS)
def test_every_command_named_exists(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^|-m )hggbook (?!\|)([a-z]+)", text, re.MULTILINE)) - {"import"}
    assert named <= commands()


def test_the_doctors_advice_names_commands_that_exist():
    advice = " ".join(finding.mend for finding in diagnose())
    assert set(re.findall(r"hggbook ([a-z]+)", advice)) <= commands()


def test_shipped_weights_have_checksum_card_and_log_and_load():
    folder = paths.weights_folder()
    files = sorted(folder.glob("*.safetensors"))
    assert files
    sums = dict(reversed(line.split()) for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert sorted(sums) == [path.name for path in files]
    assert sum(path.stat().st_size for path in files) < 25e6
    for path in files:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == sums[path.name]
        card = path.with_suffix(".md").read_text(encoding="utf-8")
        assert set(re.findall(r"\b[0-9a-f]{64}\b", card)) <= {sums[path.name]}
        assert "hggbook train" in card
        assert path.with_suffix(".log.jsonl").is_file()
        model, config = load(path.stem)
        assert sum(p.numel() for p in model.parameters()) > 0
        assert config.skeleton == "coco"
