"""What a notebook starts with: profiles, seeds, recording, pictures with alt text, and no dependence on the folder."""

import random

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from hggbook import paths
from hggbook.workbook import results
from hggbook.workbook.notebook import setup


@pytest.fixture(autouse=True)
def _own_run(tmp_path, monkeypatch):
    monkeypatch.setenv(paths.RUN_VARIABLE, str(tmp_path / "run"))
    monkeypatch.delenv(paths.DATA_VARIABLE, raising=False)
    before = plt.rcParams.copy()
    yield
    plt.rcParams.update(before)
    torch.use_deterministic_algorithms(False)


def test_set_up_says_what_was_chosen(capsys):
    ctx = setup("05_graclus", "cpu", 7)
    line = capsys.readouterr().out
    assert "05_graclus" in line
    assert "profile cpu" in line
    assert "seed 7" in line
    assert (ctx.profile, ctx.seed, ctx.data_root) == ("cpu", 7, None)


def test_the_same_seed_gives_the_same_numbers():
    def draw(seed):
        ctx = setup("05_graclus", "smoke", seed)
        own = torch.rand(1, generator=ctx.generator()).item()
        other = torch.rand(1, generator=ctx.generator(1)).item()
        return random.random(), np.random.rand(), torch.rand(1).item(), own, other  # noqa: NPY002

    assert draw(1) == draw(1)
    assert all(one != two for one, two in zip(draw(1), draw(2)))
    assert draw(1)[3] != draw(1)[4]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("05_graclus", "smokey"), "profile: expected one of smoke, cpu, full, got 'smokey'"),
        (("05_graclus", "smoke", -1), "seed: expected a whole number from 0, got -1"),
        (("05_graclus", "smoke", "0"), "seed: expected a whole number from 0, got '0'"),
        (("05_graclus", "smoke", True), "seed: expected a whole number"),
        (("graclus",), "starts with two digits"),
        (("05_graclus", "smoke", 0, "/no/such/folder"), "data_root: expected an existing folder"),
    ],
)
def test_bad_settings_are_refused_with_what_was_expected(arguments, message):
    with pytest.raises(ValueError, match=message):
        setup(*arguments)


def test_pick_takes_the_setting_of_the_profile():
    for profile, expected in (("smoke", 1), ("cpu", 2), ("full", 3)):
        assert setup("05_graclus", profile).pick(smoke=1, cpu=2, full=3) == expected
    with pytest.raises(TypeError):
        setup("05_graclus", "smoke").pick(smoke=1, cpu=2)


def test_the_data_folder_comes_from_the_parameter_or_the_environment(tmp_path, monkeypatch):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    monkeypatch.setenv(paths.DATA_VARIABLE, str(one))
    assert setup("05_graclus").data_root == one
    assert setup("05_graclus", data_root="").data_root == one
    assert setup("05_graclus", data_root=str(two)).data_root == two


def test_finish_writes_what_was_recorded(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    ctx = setup("05_graclus", "smoke", 4)
    ctx.record("ap/hgg", torch.tensor(0.25), images=8)
    ctx.record("ap/hgg", 0.5, images=8)  # the cell was run again
    assert not (tmp_path / "run").exists()
    ctx.finish()
    found = results.load(tmp_path / "run" / "results" / "05.json")
    assert (found.notebook, found.profile, found.seed) == ("05_graclus", "smoke", 4)
    assert found.records == (results.Record("ap/hgg", 0.5, {"images": 8}),)
    assert found.exercises["05.e1"] == "unanswered"


def test_recording_what_json_cannot_hold_is_refused_at_once():
    with pytest.raises(ValueError, match="finite"):
        setup("05_graclus").record("loss", float("nan"))


def picture():
    figure, axes = plt.subplots(figsize=(2, 1))
    axes.plot([0, 1])
    return figure


def test_a_picture_goes_out_with_its_alt_text_and_is_closed(tmp_path, displayed):
    ctx = setup("05_graclus")
    ctx.show(picture(), alt='A line that rises, "steeply".', caption="x < y")
    data = displayed[0]
    assert 'alt="A line that rises, &quot;steeply&quot;."' in data["text/html"]
    assert "<figcaption>x &lt; y</figcaption>" in data["text/html"]
    assert data["text/plain"] == 'A line that rises, "steeply".'
    assert "image/png" not in data  # which would be shown a second time, without the text
    assert plt.get_fignums() == []
    ctx.finish()
    assert results.load(tmp_path / "run" / "results" / "05.json").figures == 1


@pytest.mark.parametrize("alt", ["", "   ", "figure"])
def test_a_picture_without_a_sentence_for_alt_is_refused(alt):
    with pytest.raises(ValueError, match="alt: expected a sentence"):
        setup("05_graclus").show(picture(), alt=alt)
    assert plt.get_fignums() == []


def test_without_a_run_folder_results_go_under_runs(monkeypatch):
    monkeypatch.delenv(paths.RUN_VARIABLE)
    assert setup("05_graclus").results_folder == paths.runs_folder() / "interactive" / "results"
