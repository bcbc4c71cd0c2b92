"""The study: rows are valid, runs are repeatable and resumable, tables say what the runs say."""

import json

import numpy as np
import pytest
import torch

from hggbook.ablations.grouping import Study, config_of, result_file, run, run_all
from hggbook.ablations.rows import DEFAULT, FULL, IMAGE, STUDIES, rows_of
from hggbook.ablations.tables import (
    bins_table,
    compact,
    contest_table,
    expand,
    grouping_table,
    grouping_tables,
    read_results,
    spread,
    with_table,
)
from hggbook.compare.contenders import THRESHOLDS
from hggbook.model import build, load_weights
from hggbook.skeleton import COCO
from hggbook.train import train

TRACKS = sorted({(name, track) for name, rows in STUDIES.items() for row in rows for track in row.tracks} - {
    (name, IMAGE) for name in STUDIES
})  # fmt: skip
TIMES = ("training_cpu_s", "training_wall_s", "wall_s", "cpu_s", "provenance")


@pytest.fixture(scope="module")
def pose_file(tmp_path_factory):
    """60 images with 2 or 3 people each, so that train, tune and test all have some."""
    rng = np.random.default_rng(0)
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in range(1, 61)]
    annotations = []
    for image in images:
        for _ in range(2 + image["id"] % 2):
            points = np.concatenate([rng.integers(50, 400, (17, 2)), np.full((17, 1), 2)], axis=1)
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": image["id"], "category_id": 1, "iscrowd": 0,
                    "area": 9000.0, "bbox": [50, 50, 350, 350], "num_keypoints": 17,
                    "keypoints": points.flatten().tolist(),
                }
            )  # fmt: skip
    category = {"id": 1, "name": "person", "keypoints": list(COCO.keypoints), "skeleton": []}
    path = tmp_path_factory.mktemp("poses") / "poses.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [category]}))
    return path


@pytest.fixture
def study(pose_file, tmp_path):
    return Study("pose", 3, tmp_path, settings=(f"data.train={pose_file}", "train.batch=4"))


def untimed(result):
    """A result without what differs from run to run."""
    text = json.dumps({key: value for key, value in result.items() if key not in TIMES})
    plain = json.loads(text)
    for part in (*plain["tune"].values(), plain["test"]):
        part.pop("ms_per_image")
    return plain


def test_every_row_has_a_name_of_its_own_and_describes_a_model_that_can_be_built(tmp_path):
    for name, track in TRACKS:
        rows = rows_of(track, study=name)
        study = Study(track, 10, tmp_path, frozen=tmp_path, name=name)
        assert len({result_file(study, row, 0) for row in rows}) == len({row.name for row in rows}) == len(rows)
        for row in rows:
            config = config_of(study, row, 2)
            assert config.seed == 2
            assert config.train.joint_steps == 10 * row.budget
            build(config, with_detector=False)


def test_a_row_differs_from_the_default_in_its_settings_only(tmp_path):
    study = Study("pose", 10, tmp_path)
    default, row = rows_of("pose", [DEFAULT, "no evidence"])
    plain, changed = config_of(study, default, 0).to_dict(), config_of(study, row, 0).to_dict()
    assert changed["grouping"].pop("evidence") == "none"
    plain["grouping"].pop("evidence")
    assert changed == plain


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(study, tmp_path):
    row = rows_of("pose", [DEFAULT])[0]
    first = run(study, row, 0)
    again = run(Study(**{**vars(study), "folder": tmp_path / "elsewhere"}), row, 0)
    assert untimed(first) == untimed(again)
    assert untimed(run(study, row, 1)) != untimed(first)
    assert first["images"] == {"tune": 3, "test": 3}
    assert first["steps"] == 3


def test_what_is_there_is_not_run_again_unless_the_config_changed(study):
    row = rows_of("pose", [DEFAULT])[0]
    first = run(study, row, 0)
    place = result_file(study, row, 0)
    before = place.stat().st_mtime_ns
    assert run(study, row, 0) == first
    assert place.stat().st_mtime_ns == before
    other = Study(**{**vars(study), "settings": (*study.settings, "grouping.dropout=0.5")})
    with pytest.raises(ValueError, match="another config"):
        run(other, row, 0)


def test_rows_that_follow_training_use_the_defaults_weights(study):
    rows = rows_of("pose", [DEFAULT, "random after training", "macro-node veto"])
    results = run_all(study, rows, [0])
    assert [result["steps"] for result in results] == [3, 0, 0]
    assert results[0]["parameters"] == results[1]["parameters"]
    with pytest.raises(ValueError, match="need the row"):
        run_all(study, rows[1:], [0])


def test_a_larger_budget_is_scored_on_the_way_and_ends_as_an_unbroken_run(study, tmp_path):
    row = rows_of("pose", ["literal, tenfold budget"])[0]
    told = run(study, row, 0)
    assert [point["step"] for point in told["curve"]] == [3 * share for share in range(1, 11)]
    assert told["curve"][-1]["f1_tune"] == told["tune"][str(told["cut"])]["f1"]
    unbroken = train(config_of(study, row, 0), tmp_path / "unbroken").model.state_dict()
    kept = load_weights(result_file(study, row, 0).with_suffix("") / "weights.safetensors")[0].state_dict()
    assert all(torch.equal(kept[name], unbroken[name]) for name in unbroken)


def test_rows_can_be_of_another_grouper_and_of_another_rows_weights(study, tmp_path):
    study = Study(**{**vars(study), "name": "table2"})
    rows = rows_of("pose", ["#1 AE", "#3 FinalM", FULL, "as #9, macro-node veto"], "table2")
    found = {result["row"]: result for result in run_all(study, rows, [0])}
    assert (found["#1 AE"]["parameters"], found["#1 AE"]["steps"]) == (0, 0)
    assert found["#1 AE"]["cut"] in THRESHOLDS
    # clusters by the embeddings, so that there is no edge discriminator to count
    assert found["#3 FinalM"]["parameters"] < found[FULL]["parameters"]
    assert set(found["#3 FinalM"]["tune"]) == {str(value) for value in rows[1].values}
    with pytest.raises(ValueError, match="need the row '#9"):
        run_all(study, rows[:2], [0])


def test_two_processes_give_the_results_of_one(study, tmp_path):
    rows = rows_of("pose", [DEFAULT, "literal"])
    one = run_all(study, rows, [0])
    two = run_all(Study(**{**vars(study), "folder": tmp_path / "two"}), rows, [0], jobs=2)
    assert [untimed(result) for result in one] == [untimed(result) for result in two]


def test_unknown_rows_and_tracks_are_named(tmp_path):
    with pytest.raises(ValueError, match="nonsense"):
        rows_of("pose", ["nonsense"])
    with pytest.raises(ValueError, match="track"):
        rows_of("air")
    with pytest.raises(ValueError, match="study"):
        rows_of("pose", study="nonsense")
    with pytest.raises(ValueError, match="graphs.*frozen.*pose.*not on 'image'"):
        rows_of("image", study="graphs")
    with pytest.raises(ValueError, match="expected the folder"):
        config_of(Study("frozen", 1, tmp_path), rows_of("pose")[0], 0)


class TestTables:
    def results(self):
        def result(row, seed, f1):
            shares = {"f1": f1, "perfect_share": f1 / 2}
            return {
                "track": "pose", "row": row, "group": "g", "seed": seed, "cut": 0.0, "parameters": 1234,
                "tune": {"0.0": shares}, "test": shares, "training_cpu_s": 2.0, "config": {"seed": 0},
            }  # fmt: skip

        return [result(DEFAULT, s, f) for s, f in ((0, 0.8), (1, 0.9))] + [result("GAT", 1, 0.7)]

    def test_means_and_paired_differences_by_hand(self):
        lines = grouping_table(self.results()).splitlines()
        assert lines[2].split("|")[3:7] == [" 2 ", " 0.850 ± 0.071 ", "  ", " 0.850 ± 0.071 "]
        # GAT was run with seed 1 only, where the default has 0.9
        assert lines[3].split("|")[2:6] == [" GAT ", " 1 ", " 0.700 ", " -0.200 "]

    def test_a_curve_by_hand(self):
        runs = self.results()
        for result, f1 in zip(runs, (0.5, 0.7)):
            result["curve"] = [{"step": 1000, "f1_tune": f1}, {"step": 2000, "f1_tune": 0.75}]
        tables = grouping_tables(runs, "pose")
        assert list(tables) == ["grouping pose", "curves pose"]
        lines = tables["curves pose"].splitlines()
        assert lines[0] == "| steps | 1,000 | 2,000 |"
        assert lines[2:] == ["| default | 0.600 ± 0.141 | 0.750 ± 0.000 |"]
        assert list(grouping_tables(self.results(), "pose")) == ["grouping pose"]

    def test_compact_results_say_the_same(self):
        assert grouping_table(expand(compact(self.results()))) == grouping_table(self.results())

    def test_results_are_read_back_and_broken_ones_are_named(self, tmp_path):
        for result in self.results():
            place = tmp_path / "pose" / result["row"] / f"seed{result['seed']}.json"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(json.dumps(result))
        assert sorted(r["row"] for r in read_results(tmp_path, "pose")) == ["GAT", DEFAULT, DEFAULT]
        (tmp_path / "pose" / "GAT" / "seed1.json").write_text("{}")
        with pytest.raises(ValueError, match="seed1.json"):
            read_results(tmp_path, "pose")

    def test_a_contest_by_hand(self):
        def grouper(f1, lead=None):
            test = {"f1": f1, "perfect_share": f1 / 2, "ms_per_image": 2.0}
            told = {"scores": "some", "value": 1.0, "test": test, "f1_by_people": [f1, f1 + 0.05, None]}
            told["images_by_people"] = [7, 3, 0]
            return told | ({"lead_f1": [lead, lead - 0.01, lead + 0.01]} if lead else {})

        one, other = {"hgg": grouper(0.9), "ae": grouper(0.6, 0.3)}, {"hgg": grouper(0.8), "ae": grouper(0.6, 0.2)}
        seeds = {"a": one, "b": other}
        told = {"track": "pose", "people": [2, 3, 10, 1000], "weights": seeds}
        lines = contest_table(told).splitlines()
        assert lines[2] == "| hgg | some | 1 | 0.850 ± 0.071 | 0.425 ± 0.035 |  | 2.0 |"
        assert lines[3] == "| ae | some | 1 | 0.600 | 0.300 | +0.200 [+0.190, +0.210] | 2.0 |"
        lines = bins_table(told, "people", ["hgg"]).splitlines()
        assert lines[0] == "| people | 2 | 3 to 9 | 10 and more |"
        assert lines[2] == "| *images* | 7 | 3 | 0 |"
        assert lines[3] == "| hgg | 0.850 | 0.900 |  |"

    def test_a_table_takes_its_place_in_a_text(self):
        text = "Before\n<!-- table x -->\nold\n<!-- end x -->\nafter"
        assert with_table(text, "x", "| new |") == text.replace("old", "| new |")
        with pytest.raises(ValueError, match="'y'"):
            with_table(text, "y", "| new |")

    def test_spread(self):
        assert spread([0.5]) == "0.500"
        assert spread([0.4, 0.6]) == f"0.500 ± {torch.tensor([0.4, 0.6]).std():.3f}"


