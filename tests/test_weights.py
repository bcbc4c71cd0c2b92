"""Trained models by name: what is shipped is checked, what is a file is read, what is neither is said."""

import subprocess
import sys

import pytest
import torch

import hggbook
from hggbook import paths, weights
from hggbook.config import preset
from hggbook.model import build, save_weights


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A project folder of one's own, with weights "own" among those shipped."""
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setenv("HGGBOOK_HOME", str(tmp_path))
    config = preset("tiny").override("grouping.layers=1")
    save_weights(paths.weights_folder() / "own.safetensors", build(config, with_detector=False), config)
    return tmp_path


def sign(home):
    import hashlib

    file = paths.weights_folder() / "own.safetensors"
    (file.parent / "SHA256SUMS").write_text(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n")


def test_load_is_at_the_top_and_import_hggbook_does_not_wait_for_torch():
    assert hggbook.load is weights.load
    assert "load" in dir(hggbook)
    code = (
        "import sys, hggbook; assert 'torch' not in sys.modules and 'numpy' not in sys.modules; "
        "assert callable(hggbook.load); assert 'torch' in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr == ""
    with pytest.raises(AttributeError, match="module 'hggbook' has no attribute 'lod'"):
        _ = hggbook.lod


def test_shipped_weights_by_name(home):
    sign(home)
    model, config = hggbook.load("own")
    assert config == preset("tiny").override("grouping.layers=1")
    assert not model.training
    assert model.detector is None


def test_weights_from_a_file(tmp_path):
    config = preset("tiny").override("grouping.layers=1")
    made = build(config, with_detector=False)
    save_weights(tmp_path / "mine.safetensors", made, config)
    for name in (tmp_path / "mine.safetensors", str(tmp_path / "mine.safetensors")):
        model, stored = hggbook.load(name)
        assert stored == config
        for mine, theirs in zip(made.state_dict().values(), model.state_dict().values(), strict=True):
            assert torch.equal(mine, theirs)


def test_neither_a_name_nor_a_file(home):
    sign(home)
    with pytest.raises(FileNotFoundError, match=r"weights 'nothing': no such file, and no shipped .* \(own\)"):
        hggbook.load("nothing")
    with pytest.raises(FileNotFoundError, match="no such file"):  # a path is never a shipped name
        hggbook.load(paths.weights_folder() / "own")


def test_a_damaged_file_is_refused(home):
    sign(home)
    file = paths.weights_folder() / "own.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"own.safetensors: expected sha256 .* a damaged file"):
        hggbook.load("own")
