"""What notebook 12 and its exercises take for granted; the inspector and the upload button."""

import io
from datetime import UTC, datetime

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

import hggbook
from hggbook import widgets
from hggbook.data.pictures import photograph_of
from hggbook.data.scenes import render_scene, scene_config
from hggbook.data.transforms import fit_affine
from hggbook.predict import look
from hggbook.skeleton import COCO
from hggbook.tta import with_views
from hggbook.workbook.exercises import nb12
from hggbook.workbook.inspector import ALL_TYPES, LAYERS, draw_layer
from hggbook.workbook.solutions import nb12 as solutions
from hggbook.workbook.upload import Upload


@pytest.fixture(scope="module")
def seen():
    image = render_scene(scene_config("easy", width=160, height=120), 2).image
    return look(*hggbook.load("scenes-tiny"), image, min_score=0.2)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("kind", [ALL_TYPES, "left_wrist"])
@pytest.mark.parametrize("round", [1, 99])
def test_every_layer_is_drawn_and_told(seen, layer, kind, round):
    figure, ax = plt.subplots()
    said = draw_layer(ax, seen, COCO, layer, kind=kind, round=round)
    assert len(said) > widgets.SHORTEST_ALT
    assert ax.images
    side = 192 if layer not in ("picture", "people") else 160
    assert ax.get_xlim() == (-0.5, side - 0.5)
    plt.close(figure)


def test_layers_of_nothing_are_drawn_too():
    seen = look(*hggbook.load("scenes-tiny"), np.full((40, 40, 3), 127, np.uint8), min_score=0.9)
    empty = seen.output.candidates.replace(
        xy=torch.zeros(0, 2), type=torch.zeros(0, dtype=torch.int64), score=torch.zeros(0), embedding=torch.zeros(0, 1),
        batch=torch.zeros(0, dtype=torch.int64),
    )  # fmt: skip
    model, _ = hggbook.load("scenes-tiny")
    output = seen.output.replace(candidates=empty, grouping=model.group(empty))
    figure, ax = plt.subplots()
    for layer in LAYERS:
        assert draw_layer(ax, type(seen)(seen.image, seen.batch, output, seen.poses), COCO, layer)
    plt.close(figure)


def test_an_unknown_layer_or_type_is_refused(seen):
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match="layer: expected one of picture"):
        draw_layer(ax, seen, COCO, "bones")
    with pytest.raises(ValueError, match="kind: expected 'all types' or one of nose"):
        draw_layer(ax, seen, COCO, "heatmap", kind="tail")
    plt.close("all")


def choose(upload, name, content):
    now = datetime.now(UTC)
    file = {"name": name, "type": "image/png", "size": len(content), "content": content, "last_modified": now}
    upload._button.value = (file,)


def test_an_uploaded_picture_is_read_and_named():
    upload = Upload("a photograph")
    assert upload.picture is None
    image = np.zeros((30, 40, 3), np.uint8)
    image[:, :, 0] = 200
    choose(upload, "a<b.png", cv2.imencode(".png", image[:, :, ::-1])[1].tobytes())
    assert (upload.picture.image == image).all()
    assert upload.picture.file == "a<b.png"
    assert "a&lt;b.png: 40 x 30 pixels" in upload._said.value
    assert upload._button.value == ()  # a notebook that is saved with its widgets must not hold the file


def test_what_is_no_picture_is_said_and_not_kept():
    upload = Upload("a photograph")
    choose(upload, "notes.txt", b"no picture")
    assert upload.picture is None
    assert 'role="alert"' in upload._said.value
    assert "notes.txt: expected an image file, got 10 bytes" in upload._said.value


def test_a_page_without_a_kernel_says_what_would_be_there(displayed):
    Upload("a photograph").show()
    (data,) = displayed
    assert widgets.WIDGET_MIME in data
    assert "button is here to choose a photograph" in data["text/html"]


def test_the_solution_of_the_first_exercise_is_the_librarys_map():
    for width, height, size in ((640, 426, 192), (31, 200, 64), (512, 512, 512)):
        into_photo = np.linalg.inv(fit_affine(width, height, size))
        for x, y in ((0.0, 0.0), (12.25, 40.0), (size - 0.5, -0.5)):
            assert solutions.to_photo(x, y, width, height, size) == pytest.approx((into_photo @ [x, y, 1])[:2])


def test_the_solution_of_the_second_exercise_is_what_flip_testing_averages():
    model, config = hggbook.load("scenes-tiny")
    tested, _ = with_views(model, config, flip=True)
    images = torch.rand(1, 3, 192, 192)
    with torch.no_grad():
        one, other = (model.detect(view).heatmaps[0, -1] for view in (images, images.flip(-1)))
        both = tested.detect(images).heatmaps[0, -1]
    torch.testing.assert_close(solutions.average_views(one, other, list(COCO.flip_order)), both)


@pytest.mark.parametrize("tag", nb12.TAGS)
def test_the_solution_of_the_third_exercise_turns_as_image_readers_do(tag):
    stored = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    exif = Image.Exif()
    exif[274] = tag
    file = io.BytesIO()
    Image.fromarray(stored).save(file, "png", exif=exif)
    seen = photograph_of(file.getvalue(), "tagged.png")[:, :, 0]
    assert (solutions.upright(torch.from_numpy(stored), tag).numpy() == seen).all()


def test_the_answer_of_the_fourth_exercise_is_enough_and_64_less_is_not():
    for person, long_side, cells in ((200.0, 4000.0, 20.0), (57.0, 1023.0, 7.0)):
        side = solutions.needed_side(person, long_side, cells)
        assert side * person / long_side / 4 >= cells > (side - 64) * person / long_side / 4
