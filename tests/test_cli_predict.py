"""``hggbook predict``: photographs in; COCO results, a table and overlays out, whole or not at all."""

import csv
import json

import cv2
import numpy as np
import pytest
import torch

from hggbook.cli import main
from hggbook.cli.predict import WEIGHTS
from hggbook.config import preset
from hggbook.data.annotations import read_annotations
from hggbook.data.scenes import render_scene, scene_config
from hggbook.evaluate import coco_ap
from hggbook.model import build, save_weights
from hggbook.predict import ROW
from hggbook.weights import load

SIZES = [(192, 192), (240, 160)]
GROUPERS = ("hgg", "ae", "contraction", "multicut", "spectral", "bones")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two scenes as photographs ``in/0.png`` and ``in/1.png``, in a folder that is the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for i, (width, height) in enumerate(SIZES):
        scene = render_scene(scene_config("easy", width=width, height=height), 2 + i)
        cv2.imwrite(f"in/{i}.png", scene.image[:, :, ::-1])
    return tmp_path


def found(folder, *arguments, status=0):
    """Runs the command into ``out`` and gives results, images and table."""
    assert main(["predict", "--weights", "scenes-tiny", *arguments, "--out", "out", "--device", "cpu"]) == status
    with open("out/people.csv", newline="") as file:
        table = list(csv.reader(file))
    assert tuple(table[0]) == ROW
    results, images = (json.loads((folder / "out" / f"{name}.json").read_text()) for name in ("results", "images"))
    return results, images, table[1:]


def test_people_of_a_folder_are_written_in_every_form(folder, capsys):
    results, document, table = found(folder, "in")
    said = capsys.readouterr()
    people = f"{len(results)} {'person' if len(results) == 1 else 'people'}"
    assert said.out == f"2 pictures, {people} (hgg, weights scenes-tiny); written: out\n"
    assert "weights scenes-tiny were trained on synthetic scenes only" in said.err
    assert [(i["id"], i["file_name"], i["width"], i["height"]) for i in document["images"]] == [
        (1, "in/0.png", 192, 192), (2, "in/1.png", 240, 160),
    ]  # fmt: skip
    assert document["info"]["trained_on"] == "synthetic scenes only"
    assert {r["image_id"] for r in results} == {1, 2}
    assert all(r["score"] >= 0.4 for r in results)
    listed = {(row[0], row[3]) for row in table}
    assert len(listed) == len(results)
    shown = sum(score > 0 for r in results for score in r["keypoints"][2::3])
    assert len(table) == shown
    overlays = sorted(p.name for p in (folder / "out/overlays").iterdir())
    assert overlays == ["000001_0.jpg", "000002_1.jpg"]
    assert cv2.imread("out/overlays/000002_1.jpg").shape == (320, 480, 3)
    assert sorted(p.name for p in folder.iterdir()) == ["in", "out"]


def test_pycocotools_reads_what_is_written(folder):
    results, _, _ = found(folder, "in", "--min-score", "0")
    index = read_annotations("out/images.json")
    assert coco_ap(results, index)["AP"] == -1  # nothing is annotated, and nothing fails


def test_good_files_are_done_and_bad_ones_named(folder, capsys):
    (folder / "in/2.jpg").write_bytes(b"\xff\xd8\xff no photograph")
    (folder / "in/notes.txt").write_text("x")
    results, document, _ = found(folder, "in", "gone.png", status=1)
    said = capsys.readouterr()
    assert said.out.endswith("2 refused; written: out\n")
    errors = [line for line in said.err.splitlines() if "hggbook predict: " in line]
    assert len(errors) == 4  # two refused, one passed over, one warning of the weights
    assert any("image in/2.jpg: expected an image file" in line for line in errors)
    assert any("gone.png: expected a picture" in line for line in errors)
    assert [i["file_name"] for i in document["images"]] == ["in/0.png", "in/1.png"]
    assert [(r["file"], r["refused"]) for r in document["info"]["remarks"]] == [
        ("in", False), ("gone.png", True), ("in/2.jpg", True),
    ]  # fmt: skip
    assert results


def test_a_picture_without_people_gives_an_empty_valid_result(folder):
    cv2.imwrite("wall.png", np.full((50, 80, 3), 128, np.uint8))
    results, document, table = found(folder, "wall.png", "--min-score", "0.5")
    assert (results, table) == ([], [])
    assert len(document["images"]) == 1
    assert (folder / "out/overlays/000001_wall.jpg").is_file()


def test_frames_of_a_video_are_numbered_and_limited(folder, capsys):
    video = cv2.VideoWriter("clip.avi", cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (96, 64))
    for _ in range(6):
        video.write(np.full((64, 96, 3), 90, np.uint8))
    video.release()
    _, document, _ = found(folder, "clip.avi", "--every", "2", "--max-frames", "2", "--no-overlays")
    assert [(i["frame"], i["second"]) for i in document["images"]] == [(0, 0.0), (2, 0.2)]
    assert "video clip.avi: stopped after 2 frames, at frame 4 of about 6" in capsys.readouterr().err
    assert not (folder / "out/overlays").exists()


@pytest.mark.parametrize("grouper", GROUPERS)
def test_every_grouper_and_views_group_pictures(folder, grouper, capsys):
    results, _, _ = found(folder, "in/0.png", "--grouper", grouper, "--flip", "--no-overlays")
    assert results
    assert f"({grouper}, weights scenes-tiny)" in capsys.readouterr().out


def test_limits_choose_the_best_people(folder):
    every, _, _ = found(folder, "in", "--min-score", "0")
    (folder / "out").rename(folder / "all")
    best, _, _ = found(folder, "in", "--min-score", "0", "--max-people", "1")
    assert [r["image_id"] for r in best] == [1, 2]
    for one in best:
        assert one["score"] == max(r["score"] for r in every if r["image_id"] == one["image_id"])


def test_missing_keypoints_are_filled_for_a_test_server_and_change_no_score(folder):
    once, document, _ = found(folder, "in", "--min-score", "0", "--no-overlays")
    (folder / "out").rename(folder / "as found")
    assert document["info"]["options"]["cut"] == load("scenes-tiny")[1].grouping.cut
    filled, document, _ = found(folder, "in", "--min-score", "0", "--no-overlays", "--fill-missing")
    assert document["info"]["options"]["fill_missing"] is True
    assert [r["score"] for r in filled] == [r["score"] for r in once]
    before, after = (np.array([r["keypoints"] for r in results]).reshape(-1, 17, 3) for results in (once, filled))
    there = before[..., 2] > 0
    np.testing.assert_array_equal(after[there], before[there])
    new = ~there & (after[..., 2] > 0)
    assert new.sum() > 0.5 * (~there).sum()
    assert (after[new][:, 2] == 1).all()
    sizes = np.array([SIZES[r["image_id"] - 1] for r in filled])[:, None]
    assert ((after[..., :2] < sizes - 0.5) | ~new[..., None]).all()


def test_orientation_is_applied_unless_as_stored(folder):
    from PIL import Image

    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save("turned.jpg", exif=exif)
    _, document, _ = found(folder, "turned.jpg")
    assert (document["images"][0]["width"], document["images"][0]["height"]) == (30, 40)
    (folder / "out").rename(folder / "upright")
    _, document, _ = found(folder, "turned.jpg", "--as-stored")
    assert (document["images"][0]["width"], document["images"][0]["height"]) == (40, 30)


def test_weights_that_saw_photographs_are_not_warned_of(folder, capsys):
    config = preset("tiny").override("data.kind=coco", "detector.input_size=64", "detector.depth=2")
    torch.manual_seed(1)
    save_weights(folder / "mine.safetensors", build(config), config)
    found(folder, "in", "--weights", "mine.safetensors")
    assert "synthetic" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.png"], "expected at least one photograph or video, found none"),
        (["bad.png"], "none of the files could be read; nothing was written"),
        (["in", "--every", "0"], "--every: expected at least 1, got 0"),
        (["in", "--batch", "0"], "--batch: expected at least 1, got 0"),
        (["in", "--min-score", "nan"], "--min-score: expected a number, got nan"),
        (["in", "--fill-missing"], "--fill-missing: a filled keypoint may lie on anybody; it needs --no-overlays"),
        (["in", "--max-people", "-1"], "--max-people: expected at least 0, got -1"),
        (["in", "--weights", "nothing"], "weights 'nothing': no such file"),
        (["in", "--weights", "pose-grouper"], "has a grouping stage only"),
        (["in", "--grouper", "ae", "--cut", "1"], "--cut: is of HGG's scores"),
        (["in", "--scales", "0.5"], "scales: expected numbers above 0, 4 at most, with 1 among them"),
        (["in", "--out", "in"], "expected a folder that is empty or does not exist yet"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(folder, capsys, arguments, message):
    (folder / "bad.png").write_text("no picture")
    assert main(["predict", "--out", "out", *arguments, "--device", "cpu"]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert sorted(p.name for p in folder.iterdir()) == ["bad.png", "in"]


def test_images_of_a_list_get_its_ids_as_a_test_server_wants_them(folder, capsys):
    listed = [{"id": 900, "file_name": "1.png"}, {"id": 7, "file_name": "elsewhere.jpg"}]
    (folder / "info.json").write_text(json.dumps({"images": listed}))
    results, document, _ = found(folder, "in", "--ids", "info.json", "--as-stored", "--min-score", "0", status=1)
    said = capsys.readouterr().err
    assert "1 pictures that info.json does not list are passed over" in said
    assert "1 of 2 images of info.json were not given, e.g. elsewhere.jpg" in said
    assert [image["id"] for image in document["images"]] == [900]
    assert {result["image_id"] for result in results} == {900}
    assert all(set(result) >= {"image_id", "category_id", "keypoints", "score"} for result in results)


TWICE = '{"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}]}'


@pytest.mark.parametrize("content", ["", "[]", '{"images": [{"id": 1}]}', TWICE])
def test_a_list_of_ids_that_is_none_is_refused(folder, capsys, content):
    (folder / "info.json").write_text(content)
    assert main(["predict", "in", "--ids", "info.json", "--out", "out"]) == 2
    assert "--ids info.json: " in capsys.readouterr().err
    assert not (folder / "out").exists()


def photographs(real_file, folder, *ids):
    """Photographs of dev, and the file that lists their ids."""
    source = json.loads(real_file("coco/person_keypoints_dev.json").read_text())
    images = [image for image in source["images"] if image["id"] in ids]
    (folder / "ids.json").write_text(json.dumps({"images": images}))
    return [str(real_file(f"coco/dev/{image['file_name']}")) for image in images]


@pytest.mark.real_data
def test_the_default_weights_find_the_people_in_photographs(folder, real_file, capsys):
    """Six people in three photographs that nothing was trained or tuned on: everybody is found, nobody else."""
    files = photographs(real_file, folder, 291619, 445602, 572900)
    results, _, _ = found(folder, *files, "--weights", WEIGHTS, "--ids", "ids.json")
    assert "synthetic" not in capsys.readouterr().err
    index = read_annotations(real_file("coco/person_keypoints_dev.json"))
    assert len(results) == 6
    assert coco_ap(results, index, [291619, 445602, 572900])["AP50"] == pytest.approx(1.0)


@pytest.mark.real_data
def test_the_default_weights_find_nobody_where_nobody_is(folder, real_file):
    files = photographs(real_file, folder, 99053, 484641)
    results, document, table = found(folder, *files, "--weights", WEIGHTS, "--ids", "ids.json")
    assert (results, table) == ([], [])
    assert [image["id"] for image in document["images"]] == [99053, 484641]
    assert coco_ap(results, read_annotations("out/images.json"))["AP"] == -1
