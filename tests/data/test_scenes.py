"""Specification of the synthetic crowd scenes."""

import dataclasses
import functools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO as CocoFile

from hggbook.data.scenes import (
    PRESETS,
    Scene,
    SceneConfig,
    body,
    cached_dataset,
    contact_sheet,
    draw_people,
    export,
    mesh,
    render_scene,
    scene_config,
    write_contact_sheet,
    write_dataset,
)
from hggbook.data.scenes.background import KINDS, draw_background
from hggbook.data.scenes.compose import stage_scene
from hggbook.data.scenes.placement import box_iou
from hggbook.data.scenes.poses import sample_poses
from hggbook.data.scenes.render import render
from hggbook.skeleton import COCO

SMALL = scene_config("crowd", width=128, height=128)
SEEDS = range(10)

# Which parts of the body an annotator would accept as showing each keypoint type; written down again here on purpose.
SHOWS = {
    "nose": {mesh.HEAD}, "eye": {mesh.HEAD}, "ear": {mesh.HEAD},
    "shoulder": {mesh.TORSO, "arm"}, "elbow": {"arm", "forearm"}, "wrist": {"forearm", "hand"},
    "hip": {mesh.TORSO, mesh.SKIRT, "thigh"}, "knee": {mesh.SKIRT, "thigh", "shin"},
    "ankle": {mesh.SKIRT, "shin", "foot"},
}
SIDED = {"arm": mesh.UPPER_ARMS, "forearm": mesh.FOREARMS, "hand": mesh.HANDS, "thigh": mesh.THIGHS,
         "shin": mesh.SHINS, "foot": mesh.FEET}


def parts_that_show(kind: int) -> set[int]:
    name = COCO.keypoints[kind]
    side = 1 if name.startswith("right") else 0
    return {SIDED[p][side] if isinstance(p, str) else p for p in SHOWS[name.split("_")[-1]]}


@functools.cache
def drawn(preset: str, seed: int):
    """A scene of a preset and the stage it shows; many tests look at the same ones."""
    return render_scene(PRESETS[preset], seed), stage_scene(PRESETS[preset], seed)


def labelled(scene: Scene):
    """(person, type, column, row, visibility) of every labelled keypoint."""
    for person, keypoints in enumerate(scene.keypoints):
        for kind, (x, y, visible) in enumerate(keypoints):
            if visible > 0:
                yield person, kind, round(float(x)), round(float(y)), int(visible)


def mean_of_largest_iou(config: SceneConfig, seeds) -> float:
    """The crowding that OCHuman reports: each person's largest box IoU with another, averaged."""
    values = []
    for seed in seeds:
        boxes = stage_scene(config, seed).boxes
        corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)
        iou = box_iou(corners[:, None], corners[None])
        np.fill_diagonal(iou, 0)
        if len(boxes) > 1:
            values.append(iou.max(1).mean())
    return float(np.mean(values))


# ---- what is seen and what is covered ------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_a_seen_keypoint_lies_on_its_own_persons_matching_part(preset):
    count = 0
    for seed in SEEDS:
        scene, _ = drawn(preset, seed)
        for person, kind, x, y, visible in labelled(scene):
            if visible == 2:
                count += 1
                assert scene.owner[y, x] == person + 1, (seed, person, COCO.keypoints[kind])
                assert scene.part[y, x] in parts_that_show(kind), (seed, person, COCO.keypoints[kind])
    assert count > 100


@pytest.mark.parametrize("preset", PRESETS)
def test_a_covered_keypoint_lies_under_something_nearer(preset):
    """Under another body, an object, scenery, or a part of its own body: whatever the pixel shows is nearer."""
    why = {"other": 0, "own": 0, "object": 0}
    for seed in SEEDS:
        scene, stage = drawn(preset, seed)
        depth = stage.camera.project(stage.figure.keypoints)[..., 2]
        for person, kind, x, y, visible in labelled(scene):
            if visible == 1:
                assert scene.depth[y, x] < depth[person, kind], (seed, person, COCO.keypoints[kind])
                owner = scene.owner[y, x]
                why["own" if owner == person + 1 else "other" if 1 <= owner <= scene.num_people else "object"] += 1
    assert why["own"] > 20
    if preset != "easy":
        assert why["other"] > 20
        assert why["object"] > 5


def test_taking_everybody_else_away_uncovers_what_only_others_covered():
    """Independent of the rule: draw each person alone. What others hid shows there; nothing seen disappears."""
    uncovered = 0
    for seed in SEEDS:
        scene, stage = drawn("dense", seed)
        for person in range(scene.num_people):
            alone = render(stage.quads.take(stage.quads.owner == person + 1), stage.camera, stage.light)
            for who, _kind, x, y, visible in labelled(scene):
                if who != person:
                    continue
                if visible == 2:
                    assert alone.part[y, x] == scene.part[y, x]
                elif scene.owner[y, x] != person + 1 and alone.owner[y, x] > 0:
                    assert scene.depth[y, x] <= alone.depth[y, x] + 0.05
                    uncovered += 1
    assert uncovered > 100


def test_visibility_agrees_with_rays_through_capsules():
    """An oracle that knows no faces: a limb is a capsule, and the line of sight either passes it or does not."""
    agree, total = 0, 0
    config = scene_config("crowd", occluders=0.0, distractors=0.0, truncation=0.0)
    for seed in range(12):
        scene, stage = render_scene(config, seed), stage_scene(config, seed)
        figure = stage.figure
        starts, ends = figure.start, figure.start + figure.frame[..., 2] * figure.length[..., None]
        limbs = [body.UPPER_ARM, body.FOREARM, body.HAND, body.THIGH, body.SHIN]
        radius = {body.UPPER_ARM: 0.03, body.FOREARM: 0.022, body.HAND: 0.02, body.THIGH: 0.045, body.SHIN: 0.03}
        capsules = []
        for p in range(figure.count):
            size = figure.build.stature[p]
            for limb in limbs:
                capsules += [(p, limb + i, starts[p, limb + i], ends[p, limb + i], radius[limb] * size) for i in (0, 1)]
            capsules.append((p, -1, figure.hip[p], figure.throat[p], 0.075 * size))
            capsules.append((p, -2, figure.skull[p], figure.skull[p], 0.055 * size))
        eye = np.array([0, stage.camera.eye, 0])
        own_parts = {9: (body.FOREARM, body.HAND), 10: (body.FOREARM + 1, body.HAND + 1),
                     13: (body.THIGH, body.SHIN), 14: (body.THIGH + 1, body.SHIN + 1),
                     15: (body.SHIN, body.FOOT), 16: (body.SHIN + 1, body.FOOT + 1)}
        for person, kind, x, y, visible in labelled(scene):
            if kind not in own_parts or scene.owner[y, x] > scene.num_people:  # under a seat
                continue
            target = figure.keypoints[person, kind].astype(float)
            sight = target - eye
            # stop short of the limb itself; sample the line of sight densely
            steps = eye + sight * np.linspace(0.4, 1 - 0.12 / np.linalg.norm(sight), 250)[:, None]
            nearest = np.inf  # distance to the closest capsule, in radii
            for p, name, a, b, r in capsules:
                if p == person and name in own_parts[kind]:
                    continue
                t = np.clip(((steps - a) @ (b - a)) / max(float((b - a) @ (b - a)), 1e-9), 0, 1)
                nearest = min(nearest, np.linalg.norm(steps - (a + t[:, None] * (b - a)), axis=1).min() / r)
            if nearest < 0.7 or nearest > 2.2:  # clear cases
                total += 1
                agree += (visible == 1) == (nearest < 0.7)
    assert total > 200
    assert agree / total > 0.96


def test_faces_are_seen_from_the_front_and_never_from_behind():
    config = scene_config("easy", people_low=1, people_high=1, scale_low=0.8)
    front, seen_in_front = 0, 0
    for seed in range(48):
        scene, stage = render_scene(config, seed), stage_scene(config, seed)
        for person in range(scene.num_people):
            towards = stage.figure.skull[person] - np.array([0, stage.camera.eye, 0])
            facing = -float(stage.figure.head[person, :, 2] @ towards) / np.linalg.norm(towards)
            face = scene.keypoints[person, :3, 2]
            if facing < -0.6:
                assert (face < 2).all(), seed
            if facing > 0.85:
                front += 1
                seen_in_front += (face == 2).all()
    assert front >= 8
    assert seen_in_front / front > 0.8  # the rest have an arm before the face


# ---- the frame -----------------------------------------------------------------------------------------------------


def test_outside_the_frame_means_unlabelled_with_zero_coordinates():
    outside = 0
    for seed in SEEDS:
        config = scene_config("crowd", truncation=1.0)
        scene, stage = render_scene(config, seed), stage_scene(config, seed)
        place = stage.camera.project(stage.figure.keypoints)
        for truth, given in zip(place.reshape(-1, 3), scene.keypoints.reshape(-1, 3)):
            within = -0.5 <= truth[0] < config.width - 0.5 and -0.5 <= truth[1] < config.height - 0.5
            if given[2] == 0:
                outside += 1
                np.testing.assert_array_equal(given, 0)
            else:
                assert within
                assert np.abs(given[:2] - truth[:2]).max() <= 2.51
            deep = 2 <= truth[0] < config.width - 3 and 2 <= truth[1] < config.height - 3
            assert given[2] > 0 or not deep  # everything inside is labelled
    assert outside > 50


def test_truncation_is_a_probability():
    def share_outside(truncation):
        config = scene_config("easy", truncation=truncation)
        return np.mean([(render_scene(config, seed).keypoints[..., 2] == 0).mean() for seed in range(14)])

    never, sometimes, always = (share_outside(truncation) for truncation in (0.0, 0.4, 1.0))
    assert never < 0.01
    assert never < sometimes < always
    assert always > 0.15


def test_masks_are_disjoint_and_lie_in_their_boxes():
    for seed in SEEDS:
        scene, _ = drawn("dense", seed)
        assert scene.masks.sum(0).max(initial=0) <= 1
        for person, (mask, box, area) in enumerate(zip(scene.masks, scene.boxes, scene.areas)):
            np.testing.assert_array_equal(mask, scene.owner == person + 1)
            assert mask.sum() == area > 0
            rows, columns = np.nonzero(mask)
            x, y, width, height = box
            assert x <= columns.min()
            assert columns.max() + 1 <= x + width
            assert y <= rows.min()
            assert rows.max() + 1 <= y + height
            assert x >= 0
            assert x + width <= 256
            assert y >= 0
            assert y + height <= 256


# ---- knobs ---------------------------------------------------------------------------------------------------------


def test_overlap_knob_is_measured():
    measured = [mean_of_largest_iou(scene_config("crowd", overlap=overlap), range(12))
                for overlap in (0.0, 0.33, 0.67)]
    assert measured == sorted(measured)
    assert measured[0] < 0.2
    assert measured[-1] >= 0.6
    for knob, value in zip((0.33, 0.67), measured[1:]):
        assert abs(value - knob) < 0.12


def test_people_scale_and_occluder_knobs():
    counts = [stage_scene(scene_config("crowd", people_low=2, people_high=4), seed).figure.count for seed in range(14)]
    assert min(counts) == 2
    assert max(counts) == 4
    tall = {}
    for scale in (0.3, 0.8):
        config = scene_config("easy", scale_low=scale, scale_high=scale)
        heights = [box[3] for seed in range(10) for box in stage_scene(config, seed).boxes]
        tall[scale] = np.mean(heights)
    assert 1.8 < tall[0.8] / tall[0.3] < 3.2
    few, many = (
        np.mean([(scene.owner > scene.num_people).mean() for scene in (
            render_scene(scene_config("crowd", occluders=occluders), seed) for seed in range(8))])
        for occluders in (0.0, 4.0)
    )
    assert many > 3 * few


def test_presets_differ_in_crowding():
    assert tuple(PRESETS) == ("easy", "crowd", "dense")
    people = {name: np.mean([drawn(name, seed)[0].num_people for seed in SEEDS]) for name in PRESETS}
    assert people["easy"] < people["crowd"] < people["dense"]
    crowding = {name: mean_of_largest_iou(PRESETS[name], SEEDS) for name in PRESETS}
    assert crowding["easy"] < crowding["crowd"] < crowding["dense"]


@pytest.mark.parametrize(("knob", "value"), [
    ("width", 8), ("height", 9000), ("people_low", -1), ("people_high", 99), ("overlap", 0.9),
    ("overlap", float("nan")), ("occluders", -1.0), ("distractors", 1e9), ("truncation", 1.5), ("scale_low", 0.0),
    ("scale_high", 2.0), ("noise", -3.0), ("backgrounds", ("moon",)), ("backgrounds", ()),
])
def test_a_bad_knob_is_named(knob, value):
    with pytest.raises(ValueError, match=knob):
        scene_config("crowd", **{knob: value})


def test_bad_combinations_presets_and_seeds_are_named():
    with pytest.raises(ValueError, match="people_low"):
        SceneConfig(people_low=5, people_high=2)
    with pytest.raises(ValueError, match="scale_low"):
        SceneConfig(scale_low=0.9, scale_high=0.5)
    with pytest.raises(ValueError, match="'mob'"):
        scene_config("mob")
    with pytest.raises(ValueError, match="did you mean overlap"):
        scene_config("crowd", overlp=0.3)
    with pytest.raises(ValueError, match="seed"):
        render_scene(SMALL, -1)
    with pytest.raises(ValueError, match="background"):
        draw_background(np.random.default_rng(0), "moon", 32, 32, 10.0)


# ---- scenes as data ------------------------------------------------------------------------------------------------


def test_a_scene_depends_on_config_and_seed_alone():
    first, again = render_scene(SMALL, 7), render_scene(dataclasses.replace(SMALL), 7)
    for field in dataclasses.fields(Scene):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(again, field.name))
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2 if threads != 2 else 1)
        np.testing.assert_array_equal(first.image, render_scene(SMALL, 7).image)
    finally:
        cv2.setNumThreads(threads)
    assert (first.image != render_scene(SMALL, 8).image).any()


def test_an_empty_scene_has_no_people():
    scene = render_scene(scene_config("crowd", people_low=0, people_high=0), 3)
    assert scene.num_people == 0
    assert scene.image.shape == (256, 256, 3)
    assert scene.image.std() > 0
    assert scene.masks.shape == (0, 256, 256)
    assert scene.keypoints.shape == (0, 17, 3)


@pytest.mark.parametrize("size", [(64, 64), (320, 128), (97, 211)])
def test_any_picture_size(size):
    scene = render_scene(scene_config("dense", width=size[0], height=size[1]), 5)
    assert scene.image.shape == (size[1], size[0], 3)
    assert scene.owner.shape == scene.part.shape == scene.depth.shape == size[::-1]


@pytest.mark.parametrize("kind", KINDS)
def test_backgrounds_fill_the_frame_and_vary(kind):
    pictures = [draw_background(np.random.default_rng(seed), kind, 96, 64, horizon) for seed, horizon in
                ((0, 20.0), (1, -30.0), (2, 200.0))]
    assert all(picture.shape == (64, 96, 3) for picture in pictures)
    assert (pictures[0] != pictures[1]).any()


def test_kinematics_of_a_straight_body_by_hand():
    """All angles zero, facing the viewer: upright, feet on the ground, left at larger x, limbs at full length."""
    build = body.sample_builds(np.random.default_rng(0), 1)
    zero = sample_poses(np.random.default_rng(0), 1)
    zero = type(zero)(**{f.name: np.zeros_like(getattr(zero, f.name)) for f in dataclasses.fields(zero)})
    figure = body.pose_figures(build, zero, np.zeros(1, np.float32))
    point = dict(zip(COCO.keypoints, figure.keypoints[0]))
    size = float(build.stature[0])
    for left, right in COCO.flip_pairs:
        a, b = figure.keypoints[0, left], figure.keypoints[0, right]
        assert a[0] > 0 > b[0]
        np.testing.assert_allclose(a * [-1, 1, 1], b, atol=1e-4)  # symmetric
    assert 0.02 < point["left_ankle"][1] / size < 0.08  # the sole, not the ankle, touches the ground
    np.testing.assert_allclose(point["left_hip"][1] - point["left_ankle"][1],
                               (0.245 + 0.240) * build.legs[0] * size, rtol=1e-3)
    np.testing.assert_allclose(point["left_shoulder"][1] - point["left_wrist"][1], (0.176 + 0.150) * size, rtol=1e-3)
    assert point["nose"][2] > point["left_eye"][2] > point["left_ear"][2]  # the nose is nearest to the viewer
    turned = body.pose_figures(build, zero, np.full(1, np.pi / 2, np.float32))
    assert turned.keypoints[0, 0, 0] > 0.05  # a quarter turn points the nose to the right


# ---- on disk -------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own, under numpy 2
def test_pycocotools_reads_what_was_drawn(tmp_path, capsys):
    path = write_dataset(tmp_path / "set", SMALL, 5, seed=3)
    coco = CocoFile(str(path))
    assert sorted(coco.getImgIds()) == [1, 2, 3, 4, 5]
    assert coco.loadCats(1)[0]["keypoints"] == list(COCO.keypoints)
    people = 0
    for image_id in coco.getImgIds():
        scene = render_scene(SMALL, export.scene_seed(3, image_id - 1))
        image = cv2.imread(str(tmp_path / "set" / "images" / coco.loadImgs(image_id)[0]["file_name"]))[..., ::-1]
        assert np.abs(image.astype(int) - scene.image).mean() < 8  # JPEG
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=image_id))
        assert len(annotations) == scene.num_people
        for annotation, keypoints, box, mask in zip(annotations, scene.keypoints, scene.boxes, scene.masks):
            people += 1
            np.testing.assert_array_equal(coco.annToMask(annotation), mask)
            assert annotation["area"] == mask.sum()
            np.testing.assert_allclose(annotation["bbox"], box)
            given = np.array(annotation["keypoints"]).reshape(17, 3)
            np.testing.assert_allclose(given, keypoints, atol=0.0051)
            assert annotation["num_keypoints"] == (keypoints[:, 2] > 0).sum()
    assert people > 5
    info = json.loads(path.read_text())["info"]
    assert SceneConfig(**{**info["config"], "backgrounds": tuple(info["config"]["backgrounds"])}) == SMALL
    assert (info["seed"], info["count"]) == (3, 5)


def test_the_number_of_workers_changes_no_byte(tmp_path):
    one = write_dataset(tmp_path / "one", SMALL, 5, seed=1, workers=1)
    two = write_dataset(tmp_path / "two", SMALL, 5, seed=1, workers=2)
    files = sorted(p.relative_to(one.parent) for p in one.parent.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(two.parent) for p in two.parent.rglob("*") if p.is_file())
    assert len(files) == 6
    for name in files:
        assert (one.parent / name).read_bytes() == (two.parent / name).read_bytes()


def test_a_failed_run_leaves_nothing(tmp_path, monkeypatch):
    def broken(config, seed):
        if len(os.listdir(next(tmp_path.glob(".set*/images")))) == 2:
            raise KeyboardInterrupt
        return render_scene(config, seed)

    monkeypatch.setattr(export, "render_scene", broken)
    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / "set", SMALL, 4, seed=0)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_run_leaves_no_data_set(tmp_path):
    code = ("from hggbook.data.scenes import *\n"
            f"write_dataset({str(tmp_path / 'set')!r}, scene_config('crowd', width=64, height=64), 10_000, 0)")
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".set*/images/*7.jpg")) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    assert not (tmp_path / "set").exists()
    write_dataset(tmp_path / "set", SMALL, 1, seed=0)  # and what it left beside is in nobody's way


def test_progress_counts_scenes(tmp_path):
    seen = []
    write_dataset(tmp_path / "set", SMALL, 3, seed=0, progress=seen.append)
    assert seen == [1, 2, 3]


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "thesis.txt").write_text("precious")
    with pytest.raises(ValueError, match="set: expected a folder that is empty"):
        write_dataset(tmp_path / "set", SMALL, 1, seed=0)
    assert [p.name for p in tmp_path.rglob("*")] == ["set", "thesis.txt"]
    for name, numbers in (("count", (-1, 0, 1)), ("seed", (1, -1, 1)), ("workers", (1, 0, 0))):
        with pytest.raises(ValueError, match=name):
            write_dataset(tmp_path / "new", SMALL, *numbers)


def test_an_empty_data_set_is_still_one(tmp_path, capsys):
    (tmp_path / "set").mkdir()
    assert CocoFile(str(write_dataset(tmp_path / "set", SMALL, 0, seed=0))).getImgIds() == []


def test_the_cache_renders_once_per_config(tmp_path, monkeypatch):
    first = cached_dataset(tmp_path, SMALL, 2, seed=0)
    monkeypatch.setattr(export, "render_scene", None)  # would fail if called
    assert cached_dataset(tmp_path, SMALL, 2, seed=0) == first
    monkeypatch.undo()
    assert cached_dataset(tmp_path, SMALL, 2, seed=1) != first
    assert cached_dataset(tmp_path, scene_config("easy", width=128, height=128), 2, seed=0) != first


def test_contact_sheet_shows_each_scene_twice():
    scenes = [render_scene(SMALL, seed) for seed in range(3)]
    sheet = contact_sheet(scenes, columns=2)
    assert sheet.shape == (4 * 128, 2 * 128, 3)
    np.testing.assert_array_equal(sheet[:128, :128], scenes[0].image)
    np.testing.assert_array_equal(sheet[128:256, :128], draw_people(scenes[0]))
    np.testing.assert_array_equal(sheet[256:384, :128], scenes[2].image)
    assert (sheet[256:, 128:] == 128).all()
    with pytest.raises(ValueError, match="scenes"):
        contact_sheet([])


def test_the_committed_contact_sheet_is_what_the_generator_draws(tmp_path):
    path = write_contact_sheet(tmp_path / "sheet.png")
    assert path.stat().st_size < 1_000_000
    committed = cv2.imread(str(Path(__file__).parents[2] / "data" / "scenes_contact_sheet.png"))
    drawn_now = cv2.imread(str(path))
    assert committed.shape == drawn_now.shape == (4 * 256, 6 * 256, 3)
    # another version of OpenCV may round some outlines differently
    assert np.abs(committed.astype(int) - drawn_now).mean() < 2
    with pytest.raises(ValueError, match="sheet.jpg"):
        write_contact_sheet(tmp_path / "sheet.jpg")
