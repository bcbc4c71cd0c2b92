"""The command line of the grouping study: freeze, ablate, evaluate --poses, simulate."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from hggbook import paths
from hggbook.ablations.claims import Judge, Recorded, read_paper
from hggbook.ablations.joint import JointStudy, run_joints
from hggbook.ablations.report import report_tables
from hggbook.ablations.rows import FULL_ROWS, GRAPHS, rows_of
from hggbook.cli import main
from hggbook.compare.contenders import contenders_of
from hggbook.config import preset
from hggbook.data.candidate_file import read_candidates
from hggbook.data.labelled import load_labelled
from hggbook.model import build, load_weights, save_weights
from hggbook.skeleton import COCO

CLAIMS = paths.committed_data() / "paper_results.yaml"
SMALL = ["--set", "train.batch=4", "--set", "grouping.hidden=16"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A project folder of one's own, and 60 annotated images of two people each where the pose track looks."""
    (tmp_path / "home" / "notebooks").mkdir(parents=True)
    monkeypatch.setenv("HGGBOOK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HGGBOOK_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in range(1, 61)]
    annotations = []
    for image in images:
        for _ in range(2):
            points = np.concatenate([rng.integers(50, 400, (17, 2)), np.full((17, 1), 2)], axis=1)
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": image["id"], "category_id": 1, "iscrowd": 0,
                    "area": 9000.0, "bbox": [50, 50, 350, 350], "num_keypoints": 17,
                    "keypoints": points.flatten().tolist(),
                }
            )  # fmt: skip
    category = {"id": 1, "name": "person", "keypoints": list(COCO.keypoints), "skeleton": []}
    (tmp_path / "coco").mkdir()
    path = tmp_path / "coco" / "person_keypoints_train2017_poses.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [category]}))
    monkeypatch.setattr("hggbook.config.POSE_FILE", "coco/person_keypoints_train2017_poses.json")
    return tmp_path


def test_the_pose_track_from_study_to_weights(home, capsys):
    study = ["ablate", "grouping", "--steps", "2", "--seeds", "2", "--out", "study", *SMALL]
    assert main([*study, "--rows", "default", "literal"]) == 0
    said = capsys.readouterr().out
    assert said.count("F1 tune") == 4 + 1  # each run, and the head of the table
    assert "| reading | literal | 2 |" in said

    report = home / "report.md"
    report.write_text("Before\n<!-- table grouping pose -->\n<!-- end grouping pose -->\nafter\n")
    told = ["--collect", "--write", "results.json", "--report", "report.md"]
    assert main([*study, *told]) == 0
    rows = json.loads((home / "results.json").read_text())["rows"]
    assert list(rows) == ["default", "literal"]
    assert [run["seed"] for run in rows["default"]["runs"]] == [0, 1]
    assert {"versions", "commit", "threads"} <= rows["default"]["runs"][0]["provenance"].keys()
    assert "| reading | literal | 2 |" in report.read_text()

    weights = "study/pose/default/seed0/weights.safetensors"
    assert main(["evaluate", "--weights", weights, "--poses", "hard:test"]) == 0
    said = capsys.readouterr().out
    assert "3 images with two people or more, simulation hard, part test" in said
    assert main(["evaluate", "--weights", weights, "--poses", "hard:tune", "--calibrate", "tuned.safetensors"]) == 0
    _, config = load_weights(home / "tuned.safetensors")
    assert f"cut {config.grouping.cut}, AE threshold {config.baseline.threshold}" in capsys.readouterr().out

    contest = ["ablate", "groupers", "--images", "2", "--weights", weights, "--write", "contest.json"]
    assert main(contest) == 0
    told = json.loads((home / "contest.json").read_text())
    assert {"hgg", "ae", "oracle", "multicut/hgg", "spectral/distance"} <= told["weights"]["seed0"].keys()
    assert told["weights"]["seed0"]["multicut/hgg"]["notes"]["images"] > 0


def test_a_detector_of_photographs_is_frozen_on_its_own_kind_of_images(home, monkeypatch, capsys):
    """Training photographs in several augmented views, tune and dev as they are; the parts share no image."""
    coco = home / "photographs" / "coco"
    for part, count in (("train", 11), ("dev", 3)):
        size = ["--set", "width=64", "--set", "height=64", "--set", "people_low=2"]
        assert main(["scenes", str(home / part), "--preset", "easy", "--count", str(count), *size]) == 0
        coco.mkdir(parents=True, exist_ok=True)
        (home / part / "images").rename(coco / part)
        (home / part / "annotations.json").rename(coco / f"person_keypoints_{part}.json")
    monkeypatch.setenv("HGGBOOK_DATA", str(home / "photographs"))
    config = preset("tiny").override(
        "detector.width=8", "detector.growth=4", "detector.depth=2", "data.kind=coco", "data.part=train",
        "data.train=coco/person_keypoints_train.json", "data.images=coco/train", "proposal.threshold=-1",
    )  # fmt: skip
    save_weights("w.safetensors", build(config), config)
    changes = ["--set", "detector.input_size=64", "--set", "proposal.limit=5"]
    assert main(["freeze", "frozen", "--weights", "w.safetensors", "--views", "3", "--test", "2", *changes]) == 0
    parts = {part: load_labelled(home / "frozen" / f"{part}.safetensors") for part in ("train", "tune", "test")}
    ids = {part: labelled.image_id.tolist() for part, (labelled, _) in parts.items()}
    assert ids["tune"] == [10]
    assert ids["train"] == 3 * [i for i in range(1, 12) if i != 10]
    assert [facts["images"] for _, facts in parts.values()] == [f"photographs:{p}" for p in ("train", "tune", "dev")]
    labelled = parts["train"][0]
    assert (labelled.candidates.size == 64).all()
    assert labelled.candidates.batch.bincount(minlength=30).tolist() == [5] * 30
    assert not torch.equal(labelled.to_image[0], labelled.to_image[10])  # another view of the same photograph
    assert parts["test"][0].num_images == 2

    trained = ["--track", "frozen", "--frozen", "frozen", "--steps", "2", "--seeds", "2", *SMALL]
    assert main(["ablate", "grouping", *trained, "--rows", "default", "--out", "runs/grouping"]) == 0
    on = ["--weights", "w.safetensors", *changes, "--runs", "runs", "--profile", "smoke"]
    assert main(["ablate", "photographs", *on, "--write", "photographs.json"]) == 0
    told = json.loads((home / "photographs.json").read_text())
    assert told["images"] == {"tune": 1, "dev": 3}
    assert {(r["grouper"], r["seed"]) for r in told["results"]} >= {("default", 0), ("default", 1), ("oracle", 0)}
    assert told["training"]["default"]["1"]["steps"] == 2
    assert told["detector"]["config"]["detector"]["input_size"] == 64
    assert "| flip, scales 0.5, 1, 2 | filled | oracle |" in capsys.readouterr().out
    Path("second.md").write_text("<!-- table second --><!-- end second -->")
    on += ["--views", "one view", "--write", "second.json", "--report", "second.md"]
    assert main(["ablate", "photographs", *on]) == 0
    assert "| one view | as found | oracle |" in (told := Path("second.md").read_text())
    assert "| flip" not in told
    assert main(["ablate", "photographs", *on, "--views", "upside down"]) == 2
    assert "--views: expected some of 'one view', 'flip'" in capsys.readouterr().err
    assert main(["ablate", "photographs", "--runs", "runs"]) == 2
    assert "photographs: expected the --weights of the detector" in capsys.readouterr().err
    assert main(["freeze", "frozen", "--weights", "w.safetensors", "--views", "2", "--set", "data.kind=scenes"]) == 2
    assert "--views: expected 1, or more for a detector of photographs, got 2" in capsys.readouterr().err


def test_a_frozen_detector_from_scenes_to_ap(home, monkeypatch, capsys):
    small = [
        "detector.input_size=64", "detector.width=8", "detector.growth=4", "detector.depth=2", "data.preset=easy",
        "data.num_scenes=8", "train.batch=4", "train.pretrain_steps=2", "train.joint_steps=0", "proposal.limit=30",
        "proposal.threshold=0.001", "data.knobs=people_low=2",
    ]  # fmt: skip
    settings = [part for setting in small for part in ("--set", setting)]
    assert main(["train", "tiny", *settings, "--out", "detector", "--device", "cpu"]) == 0
    weights = "detector/weights.safetensors"
    counts = ["--train", "8", "--tune", "3", "--test", "3"]
    assert main(["freeze", "frozen", "--weights", weights, *counts]) == 0
    labelled, facts = load_labelled(home / "frozen" / "test.safetensors")
    assert labelled.num_images == 3
    assert facts["images"] == "easy:3:2"
    frozen = ["--track", "frozen", "--frozen", "frozen"]
    assert main(["ablate", "grouping", *frozen, "--steps", "2", "--seeds", "1", "--out", "study", "--rows", "default",
                 "macro-node factor", *SMALL]) == 0  # fmt: skip
    result = json.loads((home / "study" / "frozen" / "default" / "seed0.json").read_text())
    assert set(result["ap_tune"]) == {"-4.0", "-3.0", "-2.0", "-1.0", "0.0"}
    assert 0 <= result["ap_test"] <= 1
    assert result["config"]["data"]["train"] == "train.safetensors"  # no place of this machine
    trained = "study/frozen/default/seed0/weights.safetensors"
    start = ["--start", "study/frozen/default/seed{seed}/weights.safetensors", "--steps", "2", "--seeds", "1", *SMALL]
    rows = ["goes on from the pose track", "the pose track's weights as they are"]
    assert main(["ablate", "grouping", *frozen, *start, "--out", "study", "--rows", *rows]) == 0
    onwards, kept = (json.loads((home / "study" / "frozen" / place / "seed0.json").read_text())
                     for place in ("goes-on-from-the-pose-track", "the-pose-track-s-weights-as-they-are"))  # fmt: skip
    assert (onwards["steps"], kept["steps"]) == (2, 0)
    assert onwards["start_sha256"] == kept["start_sha256"]
    assert kept["ap_tune"] == result["ap_tune"]  # the weights are the default's here
    few = {name: (0.0, 1.0) if name == "ae" else (0.0,) for name in ("hgg", "ae", "oracle")}

    def fewer(model, config, exact):
        known = contenders_of(model, config, exact=exact)
        return {name: dataclasses.replace(known[name], values=values) for name, values in few.items()}

    monkeypatch.setattr("hggbook.ablations.contest.contenders_of", fewer)
    assert main(["ablate", "groupers", *frozen, "--weights", trained, "--write", "contest.json"]) == 0
    told = json.loads((home / "contest.json").read_text())["weights"]["seed0"]
    assert told["oracle"]["ap_test"] >= told["ae"]["ap_test"]

    monkeypatch.setattr("hggbook.ablations.detector.FACTORS", (0.0, 1.0))
    monkeypatch.setattr("hggbook.ablations.joint.contenders_of", fewer)
    monkeypatch.setattr("hggbook.ablations.joint.CUTS", (0.0,))
    joint = ["ablate", "detector", "--weights", weights, "--steps", "2", "--images", "3", "--seeds", "1"]
    joint += ["--set", "loss.background=zero"]  # so that what an untrained detector finds has labels
    assert main([*joint, "--out", "joint", "--write", "joint.json"]) == 0
    runs = json.loads((home / "joint.json").read_text())["runs"]
    assert [run["factor"] for run in runs] == [0.0, 1.0]
    assert all(run["config"]["loss"]["into_detector"] == run["factor"] for run in runs)
    kept = [load_weights(home / "joint" / "image" / f"factor-{factor}" / "seed0" / "weights.safetensors")[0]
            for factor in (0, 1)]  # fmt: skip
    differ = [not torch.equal(a, b) for a, b in zip(kept[0].detector.parameters(), kept[1].detector.parameters())]
    assert any(differ)  # the gradient came through

    table = ["ablate", "table2", "--track", "image", "--weights", weights, "--steps", "2", "--images", "3"]
    table += ["--seeds", "1", "--out", "table", "--set", "loss.background=zero", "--rows"]
    rows = ["#1 AE", "#2 AE, multi-scale", "#3 FinalM", "#9 Edge + FinalM + IntermM", "#6 as #9, grouped by AE"]
    assert main([*table, *rows, "as #9, macro-node veto", "--write", "table.json"]) == 0
    said = capsys.readouterr().out
    assert "#6 as #9, grouped by AE, seed 0: AP test hgg" in said
    told = json.loads((home / "table.json").read_text())["rows"]
    runs = {name: row["runs"][0] for name, row in told.items()}
    assert {name: run["steps"] for name, run in runs.items() if run["steps"]} == {
        "#1 AE": 2, "#3 FinalM": 2, "#9 Edge + FinalM + IntermM": 2
    }  # fmt: skip
    assert "hgg" not in runs["#1 AE"]  # its grouping stage was not trained
    assert runs["#9 Edge + FinalM + IntermM"]["ae"] == runs["#6 as #9, grouped by AE"]["ae"]
    with pytest.raises(ValueError, match="need the row '#1 AE'"):
        run_joints(JointStudy(home / weights, 2, home / "table", "table2"), rows_of("image", rows[1:2], "table2"), [0])

    monkeypatch.setattr("hggbook.ablations.causes.contenders_of", fewer)
    monkeypatch.setattr("hggbook.ablations.causes.GROUPERS", tuple(few))
    assert main(["ablate", "causes", *frozen, "--weights", trained, "--write", "causes.json"]) == 0
    told = json.loads((home / "causes.json").read_text())["weights"]["seed0"]
    mended = told["hgg"]
    assert mended["wrong merges and splits"]["ap_test"] >= mended["nothing"]["ap_test"]
    assert told["oracle"]["wrong merges"] == told["oracle"]["nothing"]


def test_simulated_candidates_are_written_for_other_groupers(home, capsys):
    poses = str(home / "coco" / "person_keypoints_train2017_poses.json")
    assert main(["simulate", "--annotations", poses, "--preset", "perfect", "--limit", "2", "--out", "c.json"]) == 0
    found = read_candidates(home / "c.json")
    annotated = json.loads((home / "coco" / "person_keypoints_train2017_poses.json").read_text())["annotations"]
    expected = {tuple(p) for a in annotated[:2] for p in np.reshape(a["keypoints"], (17, 3))[:, :2].tolist()}
    matrix = found.to_image[found.candidates.batch]
    xy = (matrix[:, :, :2] @ found.candidates.xy[:, :, None])[:, :, 0] + matrix[:, :, 2]
    here = xy[found.candidates.batch == 0]
    assert {tuple(p) for p in here.round().long().tolist()} == {(int(x), int(y)) for x, y in expected}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ablate", "grouping", "--rows", "nonsense"], "nonsense"),
        (["ablate", "grouping", "--collect", "--out", "nowhere"], "holds no results"),
        (["ablate", "grouping", "--track", "frozen"], "expected the folder"),
        (["ablate", "grouping", "--track", "frozen", "--frozen", ".", "--rows", "goes on from the pose track"],
         "trained on the pose track"),
        (["ablate", "groupers"], "--weights"),
        (["ablate", "detector"], "--weights"),
        (["ablate", "causes", "--weights", "scenes-tiny"], "--frozen"),
        (["evaluate", "--poses", "hard:train"], "PRESET:tune or PRESET:test"),
        (["evaluate", "--poses", "hard:test", "--calibrate", "x"], "not on what is reported"),
        (["simulate", "--out", "x.json"], "--annotations"),
        (["simulate", "--fit", "--out", "x.yaml"], "--weights"),
        (["simulate", "--fit", "--weights", "scenes-tiny", "--scenes", "own:9:2", "--out", "x.yaml"], "not on what"),
    ],
)
def test_bad_arguments_are_said_in_one_line(home, capsys, arguments, message):
    assert main(arguments) == 2
    said = capsys.readouterr().err.strip()
    assert message in said
    assert len(said.splitlines()) == 1


def test_studies_that_look_at_other_runs_and_the_report_on_all(home, monkeypatch, capsys):
    (home / "home" / "data").mkdir()
    shutil.copy(CLAIMS, home / "home" / "data")
    rows = {"table2": [FULL_ROWS["default"], FULL_ROWS["literal"], "#1 AE"], "graphs": [row.name for row in GRAPHS]}
    for study, names in rows.items():
        written = ["--steps", "2", "--seeds", "1", "--images", "3", "--write", f"mine/{study}-pose.json"]
        (home / "mine").mkdir(exist_ok=True)
        assert main(["ablate", study, *written, *SMALL, "--out", f"runs/{study}", "--rows", *names]) == 0
    looks = ["--runs", "runs", *SMALL, "--images"]
    assert main(["ablate", "clustering", *looks, "3", "--write", "mine/clustering.json"]) == 0
    assert main(["ablate", "crowd", *looks, "2", "--write", "mine/crowd.json"]) == 0
    monkeypatch.setattr("hggbook.ablations.surveys.preset", lambda size: preset("tiny" if size == "paper" else size))
    assert main(["ablate", "runtime", *looks, "2", "--write", "mine/runtime.json"]) == 0

    names = ("clustering", "crowd", "runtime")
    told = {name: json.loads((home / "mine" / f"{name}.json").read_text()) for name in names}
    assert told["clustering"]["annotated_keypoints"] == 34  # two people of 17
    assert told["clustering"]["oracle_random"]["wrong"] == 0
    assert set(told["crowd"]["pose"]) == {"default", "literal"}
    assert told["crowd"]["torso_hidden"]["kept_whole"]["full"] == 1
    assert "image" not in told["crowd"]  # nothing was run on that track
    assert [row["people"] for row in told["runtime"]["scaling"]["default"]] == [2]
    assert set(told["runtime"]["full_over_tree"]) == {"grouping", "whole"}

    places = report_tables(Judge(read_paper(), Recorded()))
    (home / "report.md").write_text("".join(f"<!-- table {name} -->\n<!-- end {name} -->\n" for name in places))
    capsys.readouterr()
    assert main(["report", "--results", "mine", "--into", "report.md", "--compare", "mine"]) == 0
    said = capsys.readouterr().out
    assert "agrees with mine" in said
    assert "| [C7](#c7) |" in said
    assert "**not measured**" in said  # without track image
    assert "| default | annotated keypoints in a COCO image with people" in (home / "report.md").read_text()
    assert main(["report", "--results", "elsewhere"]) == 2
    assert main(["ablate", "clustering", "--runs", "nothing", "--images", "2"]) == 2
    assert "nothing/table2: expected runs of row" in capsys.readouterr().err
