"""The command line: what a new user types, and what is said when it is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hggbook.cli import main
from hggbook.cli.train import config_of, with_ae_checkpoint, with_backbone
from hggbook.config import POSE_FILE, preset
from hggbook.detector import EfficientNet
from hggbook.model import build

from .detector.ae_network import AENetwork
from .detector.test_efficientnet import published

SMALL = [
    "detector.input_size=64", "detector.width=8", "detector.growth=4", "detector.depth=2", "data.preset=easy",
    "data.num_scenes=8", "train.batch=4", "train.pretrain_steps=2", "train.joint_steps=2", "proposal.limit=40",
]  # fmt: skip


def settings():
    return [part for setting in SMALL for part in ("--set", setting)]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A project folder of one's own, so that the caches of a test do not land in the checkout."""
    (tmp_path / "home" / "notebooks").mkdir(parents=True)
    monkeypatch.setenv("HGGBOOK_HOME", str(tmp_path / "home"))
    return tmp_path


def test_scenes_train_resume_and_evaluate(home, capsys):
    assert main(["scenes", str(home / "scenes"), "--preset", "easy", "--count", "3", "--set", "width=64",
                 "--set", "height=64"]) == 0  # fmt: skip
    run = home / "run"
    assert main(["train", "tiny", *settings(), "--out", str(run), "--device", "cpu", "--stop-at", "3"]) == 0
    assert not (run / "weights.safetensors").exists()
    assert main(["train", "--resume", str(run), "--device", "cpu"]) == 0
    weights = str(run / "weights.safetensors")
    capsys.readouterr()
    scenes = home / "scenes"
    on_scenes = ["--annotations", str(scenes / "annotations.json"), "--images", str(scenes / "images")]
    assert main(["evaluate", "--weights", weights, *on_scenes, "--device", "cpu", "--out", str(home / "scores")]) == 0
    said = capsys.readouterr().out
    assert "3 images, scales 1, not flipped, missing keypoints not filled" in said
    assert [line.split()[0] for line in said.splitlines()[3:6]] == ["hgg", "ae", "oracle"]
    assert f"weights {weights}: cut 0, AE threshold 1\n" in said
    assert {p.name for p in (home / "scores").iterdir()} == {"hgg.json", "ae.json", "oracle.json", "scores.json"}
    scores = json.loads((home / "scores" / "scores.json").read_text())
    assert set(scores["scores"]["hgg"]) == {"all_images", "person_images", "grouping"}
    tuned = home / "tuned.safetensors"
    assert main(["evaluate", "--weights", weights, *on_scenes, "--device", "cpu", "--calibrate", str(tuned)]) == 0
    assert tuned.is_file()
    views = ["--flip", "--scales", "1", "2"]
    assert main(["evaluate", "--weights", str(tuned), *on_scenes, "--device", "cpu", *views]) == 0
    said = capsys.readouterr().out
    assert "3 images, scales 1, 2, flipped too" in said
    assert "other views may want others (--calibrate)" in said
    reported = ["evaluate", "--weights", weights, "--scenes", "easy:2:2", "--device", "cpu"]
    assert main([*reported, "--calibrate", str(tuned)]) == 2
    assert "not on what is reported" in capsys.readouterr().err
    assert main([*reported, "--limit", "1"]) == 0
    assert capsys.readouterr().out.startswith("1 images")


def test_weights_scored_on_what_they_learned_from_are_said_to_be(home, capsys):
    """Scenes by their seed, photographs by their ids and names; what cannot be told is said too.

    The names lie beside the weights: who evaluates needs neither the training's annotation file nor its folders.
    """
    from hggbook.model import build, save_weights
    from hggbook.weights import read_images, write_images

    assert main(["scenes", str(home / "scenes"), "--preset", "easy", "--count", "3", "--set", "width=64",
                 "--set", "height=64"]) == 0  # fmt: skip
    annotations, images = (str(home / "scenes" / name) for name in ("annotations.json", "images"))
    on_files = ["--annotations", annotations, "--images", images]
    trained = {"on files": (f"data.train={annotations}", f"data.images={images}", "data.kind=coco"),
               "elsewhere": ("data.train=gone.json", "data.images=gone", "data.kind=coco"),
               "on scenes": ("data.kind=scenes",)}  # fmt: skip
    run = str(home / "run")
    changes = (*SMALL, *trained["on files"], "train.batch=2", "train.joint_steps=0")
    several = [part for one in changes for part in ("--set", one)]
    assert main(["train", "tiny", *several, "--out", run, "--device", "cpu"]) == 0
    listed = {image["file_name"]: image["id"] for image in json.loads(Path(annotations).read_text())["images"]}
    assert read_images(f"{run}/weights.safetensors") == listed
    on = str(home / "on")  # what weights learned before they went on is not forgotten
    start = ["--start-from", f"{run}/weights.safetensors", "--out", on, "--device", "cpu"]
    assert main(["train", "tiny", *settings(), "--set", "train.joint_steps=0", *start]) == 0
    assert read_images(f"{on}/weights.safetensors") == listed
    capsys.readouterr()
    assert main(["evaluate", "--weights", f"{on}/weights.safetensors", *on_files, "--device", "cpu"]) == 0
    assert "trained on 3 of these 3 images" in capsys.readouterr().err
    capsys.readouterr()

    said = {}
    for name, changes in trained.items():
        config = preset("tiny").override(*SMALL, *changes)
        weights = str(home / "weights.safetensors")
        save_weights(weights, build(config), config)
        for where in (on_files, ["--scenes", "own:2:0"], ["--scenes", "own:2:2"]):
            assert main(["evaluate", "--weights", weights, *where, "--device", "cpu"]) == 0
            said[name, where[-1]] = capsys.readouterr().err
    first, second = list(listed)[:2]
    write_images(weights, {f"elsewhere/{first}": listed[first], second: 99, "other.png": listed[second]})
    config = preset("tiny").override(*SMALL, *trained["elsewhere"])
    save_weights(weights, build(config), config)
    assert main(["evaluate", "--weights", weights, *on_files, "--calibrate", str(home / "tuned.safetensors")]) == 0
    for these in (weights, str(home / "tuned.safetensors")):
        capsys.readouterr()
        assert main(["evaluate", "--weights", these, *on_files, "--device", "cpu"]) == 0
        assert "trained on 1 of these 3 images" in capsys.readouterr().err
    (home / "weights.images.json").write_text("[]")
    assert main(["evaluate", "--weights", weights, *on_files]) == 2
    assert "weights.images.json: expected {'trained_on'" in capsys.readouterr().err

    assert "trained on 3 of these 3 images: the scores say nothing about others" in said["on files", images]
    assert "cannot be told: gone.json: not found" in said["elsewhere", images]
    assert "trained on 2 of these 2 images" in said["on scenes", "own:2:0"]
    for silent in (("on scenes", "own:2:2"), ("on scenes", images), ("on files", "own:2:0")):
        assert "trained on" not in said[silent]


def test_a_folder_that_cannot_be_made_is_said_in_one_line(home, capsys):
    (home / "file").write_text("")
    assert main(["train", "tiny", *settings(), "--out", str(home / "file" / "run"), "--device", "cpu"]) == 2
    assert str(home / "file" / "run") in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "huge", "--out", "x"], "config 'huge': expected one of"),
        (["train", "tiny"], "--out: expected a folder"),
        (["train", "tiny", "--set", "grouping.layer=2", "--out", "x"], "did you mean layers"),
        (["train", "--resume", "nowhere"], "nowhere: holds no run to resume"),
        (["train", "tiny", "--resume", "nowhere"], "holds no run"),
        (["evaluate", "--weights", "nothing", "--scenes", "easy:2:1"], "weights 'nothing': no such file"),
        (
            ["evaluate", "--scenes", "easy:2:1", "--scales", "0.5"],
            "scales: expected numbers above 0, 4 at most, with 1 among them",
        ),
        (["scenes", "x", "--preset", "empty"], "scene preset: expected one of"),
        (["scenes", "x", "--set", "overlapp=1"], "unknown scene knob 'overlapp'; did you mean overlap"),
        (["scenes", "x", "--set", "overlap"], "scene knob 'overlap': expected KNOB=VALUE"),
        (["book", "--profile", "huge"], "profile: expected one of smoke, cpu, full"),
        (["oracle", "missing.json"], "missing.json"),
    ],
)
def test_bad_arguments_are_said_in_one_line_and_exit_2(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_yaml_config_is_a_preset_with_changes(tmp_path, home):
    file = tmp_path / "mine.yaml"
    file.write_text("preset: tiny\ngrouping:\n  layers: 1\ntrain:\n  batch: 4\n")
    assert main(["train", str(file), *settings(), "--out", str(home / "run"), "--device", "cpu", "--stop-at", "1"]) == 0
    assert json.loads((home / "run" / "config.json").read_text())["grouping"]["layers"] == 1
    file.write_text("preset: [tiny\n")
    assert main(["train", str(file), "--out", str(home / "other")]) == 2


def test_the_pose_track_trains_the_grouping_stage_on_annotations_alone(home, capsys):
    assert main(["scenes", str(home / "s"), "--preset", "easy", "--count", "4", "--set", "width=64",
                 "--set", "height=64"]) == 0  # fmt: skip
    run, annotations = home / "run", f"data.train={home / 's' / 'annotations.json'}"
    pose = [*settings(), "--track", "pose", "--set", "data.preset=hard", "--set", annotations]
    assert main(["train", "tiny", *pose, "--out", str(run), "--device", "cpu"]) == 0
    assert json.loads((run / "config.json").read_text())["data"]["kind"] == "poses"
    steps = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [step["phase"] for step in steps] == ["joint", "joint"]
    people = [{"x": 9.0, "y": 9.0, "type": "nose", "score": 0.5, "embedding": [0.0]}]
    image = {"image_id": 1, "width": 64, "height": 64, "candidates": people}
    (home / "c.json").write_text(json.dumps({"version": 1, "skeleton": "coco", "images": [image]}))
    capsys.readouterr()
    group = ["group", str(home / "c.json"), "--weights", str(run / "weights.safetensors"), "--device", "cpu"]
    assert main([*group, "--out", str(home / "r.json")]) == 0
    assert capsys.readouterr().out.startswith("1 images, 1 candidates: 1 people (hgg")


def test_the_track_is_a_setting_and_settings_come_after_it(tmp_path):
    (tmp_path / "f.json").write_text("")
    file = f"data.train={tmp_path / 'f.json'}"
    assert config_of("tiny", "pose", [file]) == preset("tiny").override("data.kind=poses", file)
    assert config_of(None, "image", []) == config_of(None, None, []) == preset("tiny")
    assert config_of("tiny", "image", ["data.kind=coco"]).data.kind == "coco"
    own = config_of(None, "pose", [file, "grouping.layers=2"])
    assert own == preset("pose").override("data.kind=poses", file, "grouping.layers=2")
    for track, setting in (("image", "poses"), ("image", "candidates"), ("pose", "coco")):
        with pytest.raises(ValueError, match=f"--track {track}: contradicts the config's data.kind={setting}"):
            config_of("tiny", track, [f"data.kind={setting}"])


def test_the_pose_track_reads_the_poses_of_the_data_folder_if_no_file_is_named(home, monkeypatch):
    monkeypatch.setenv("HGGBOOK_DATA", str(home))
    (home / POSE_FILE).parent.mkdir()
    (home / POSE_FILE).write_text("")
    assert config_of("tiny", "pose", []).data.train == POSE_FILE
    assert config_of(None, "pose", []).data.train == POSE_FILE
    monkeypatch.delenv("HGGBOOK_DATA")
    for missing in ([], ["data.train=mine.json"]):
        with pytest.raises(ValueError, match=r"not found.*--set data.train=FILE \(COCO format\), or HGGBOOK_DATA"):
            config_of("tiny", "pose", missing)


@pytest.mark.parametrize(
    "given",
    [
        ["tiny"], ["--track", "pose"], ["--set", "seed=1"], ["--out", "x"], ["--start-from", "scenes-tiny"],
        ["--backbone", "imagenet"],
    ],
)  # fmt: skip
def test_a_run_goes_on_with_its_own_config(home, capsys, given):
    (home / "config.json").write_text(json.dumps(preset("tiny").to_dict()))
    assert main(["train", "--resume", str(home), *given]) == 2
    name = given[0] if given[0].startswith("--") else "config"
    assert capsys.readouterr().err.endswith(f"it does not take: {name}\n")


def test_a_backbone_is_the_start_of_its_detector_and_of_no_other(home, capsys):
    lite = preset("tiny").override(
        "detector.kind=efficientnet", "detector.stacks=1", "detector.normalisation=batch", "detector.width=8"
    )
    torch.manual_seed(lite.seed)
    as_always, learned = build(lite).state_dict(), {}
    encoder = EfficientNet(17, width=8).encoder
    torch.save(published(encoder), home / "lite0.pth")
    learned = {f"detector.encoder.{name}": value for name, value in encoder.state_dict().items()}
    begun = with_backbone(lite, str(home / "lite0.pth")).state_dict()
    assert all(torch.equal(value, (as_always | learned)[name]) for name, value in begun.items())

    assert main(["train", "tiny", "--backbone", str(home / "lite0.pth"), "--out", str(home / "run")]) == 2
    assert "--backbone: expected detector.kind=efficientnet, got hourglass" in capsys.readouterr().err
    assert not (home / "run").exists()
    with pytest.raises(SystemExit):
        main(["train", "--backbone", "imagenet", "--start-from", "scenes-tiny", "--out", "x"])
    assert "not allowed with argument --backbone" in capsys.readouterr().err


def test_joint_training_starts_from_an_ae_network_as_published(home, capsys):
    """One with outputs that no loss touches: the config has none of them, its detector gives the same maps."""
    torch.manual_seed(3)
    theirs = AENetwork(stacks=2, width=8, outputs=68, depth=2, growth=4, stem=(2, 4)).eval()
    torch.save({"state_dict": {f"model.module.{k}": v for k, v in theirs.state_dict().items()}}, home / "ae.pth.tar")
    started = ["--ae-checkpoint", str(home / "ae.pth.tar"), "--device", "cpu", "--out", str(home / "run")]
    alone = ["detector.stacks=2", "detector.normalisation=none", "train.pretrain_steps=0", "train.joint_steps=1"]
    config = preset("tiny").override(*SMALL, *alone)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        maps = with_ae_checkpoint(config, home / "ae.pth.tar").eval().detect(images)
        expected = theirs(images.permute(0, 2, 3, 1))
    torch.testing.assert_close(maps.heatmaps, expected[:, :, :17])
    torch.testing.assert_close(maps.embeddings[:, :, :, 0], expected[:, :, 17:34])

    settings_of = [part for one in (*SMALL, *alone) for part in ("--set", one)]
    assert main(["train", "tiny", *settings_of, *started]) == 0
    entry = json.loads((home / "run" / "log.jsonl").read_text().splitlines()[0])
    assert (entry["step"], entry["phase"]) == (1, "joint")
    (home / "run").rename(home / "other")
    assert main(["train", "tiny", *settings_of, "--set", "detector.width=12", *started]) == 2
    assert "ae.pth.tar: weights of another architecture" in capsys.readouterr().err
    assert main(["train", "configs/coco-small.yaml", *started]) == 2
    assert "expected detector.kind=hourglass, got efficientnet" in capsys.readouterr().err
    assert not (home / "run").exists()


def test_help_does_not_wait_for_torch():
    commands = ("doctor", "book", "scenes", "train", "evaluate", "group", "freeze", "ablate", "oracle")
    code = """
import sys
from hggbook.cli import main
for command in sys.argv[1:]:
    try:
        main([*command.split(), "--help"])
    except SystemExit as end:
        assert end.code == 0
heavy = {"torch", "numpy", "pycocotools", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
"""
    run = subprocess.run([sys.executable, "-c", code, "", *commands], capture_output=True, text=True, timeout=60)
    assert run.stderr == ""
    for command in commands:
        assert f"\n    {command} " in run.stdout
        assert f"usage: hggbook {command} " in run.stdout


@pytest.mark.real_data
def test_the_shipped_weights_run_on_real_photographs(real_file, capsys):
    real_file("coco/person_keypoints_dev.json")
    assert main(["evaluate", "--split", "dev", "--limit", "6", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("6 images")
    assert [line.split()[0] for line in said.splitlines()[3:6]] == ["hgg", "ae", "oracle"]
