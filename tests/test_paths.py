"""Paths come from the package or the environment, never from the working directory."""

import sys
from pathlib import Path

import pytest

import hggbook
from hggbook import paths


def test_the_project_lies_above_the_package_wherever_the_process_stands(monkeypatch):
    monkeypatch.delenv(paths.HOME_VARIABLE, raising=False)
    expected = Path(hggbook.__file__).resolve().parents[1]
    monkeypatch.chdir("/")
    assert paths.project_root() == expected
    assert paths.notebooks_folder() == expected / "notebooks"
    assert paths.weights_folder() == expected / "data" / "weights"
    assert paths.runs_folder() == expected / "runs"


def test_the_environment_may_name_another_checkout(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path))
    assert paths.project_root() == tmp_path.resolve()


def test_a_checkout_that_is_none_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path))
    with pytest.raises(ValueError, match=r"to contain notebooks/; set HGGBOOK_HOME"):
        paths.project_root()
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path / "absent"))
    with pytest.raises(ValueError, match="HGGBOOK_HOME: expected an existing folder"):
        paths.project_root()


def test_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.delenv(paths.DATA_VARIABLE, raising=False)
    assert paths.data_root() is None
    monkeypatch.setenv(paths.DATA_VARIABLE, "  ")
    assert paths.data_root() is None
    monkeypatch.setenv(paths.DATA_VARIABLE, str(tmp_path))
    assert paths.data_root() == tmp_path.resolve()
    monkeypatch.setenv(paths.DATA_VARIABLE, str(tmp_path / "absent"))
    with pytest.raises(ValueError, match="HGGBOOK_DATA: expected an existing folder"):
        paths.data_root()


def test_the_run_folder_need_not_exist_yet(tmp_path, monkeypatch):
    monkeypatch.delenv(paths.RUN_VARIABLE, raising=False)
    assert paths.run_folder("smoke") == paths.runs_folder() / "smoke"
    monkeypatch.setenv(paths.RUN_VARIABLE, str(tmp_path / "new"))
    assert paths.run_folder("smoke") == tmp_path.resolve() / "new"


def test_the_kernel_is_this_python():
    assert paths.same_python(paths.kernel_python(), sys.executable)


def test_two_environments_that_link_to_one_program_are_two(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "python").symlink_to(sys.executable)
    one, two = (str(tmp_path / name / "python") for name in ("one", "two"))
    assert not paths.same_python(one, two)
    assert paths.same_python(one, str(tmp_path / "one" / "python3"))


def _fill_half(path):
    with paths.whole_folder(path) as folder:
        (folder / "half").touch()
        raise KeyboardInterrupt


def test_a_folder_is_filled_whole_or_not_at_all(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        _fill_half(tmp_path / "in" / "out")
    assert list((tmp_path / "in").iterdir()) == []
    (tmp_path / "empty").mkdir()
    with paths.whole_folder(tmp_path / "empty") as folder:
        (folder / "file").touch()
        assert not any((tmp_path / "empty").iterdir())
    assert [p.name for p in (tmp_path / "empty").iterdir()] == ["file"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_folder_that_holds_something_is_left_alone(tmp_path, kind):
    (tmp_path / "out").touch() if kind == "file" else (tmp_path / "out" / "mine").mkdir(parents=True)
    with pytest.raises(ValueError, match="out: expected a folder that is empty"):
        _fill_half(tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
