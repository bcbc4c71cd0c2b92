"""Geometry and colour of network inputs: hand-computed maps, round trips, and pictures that follow their keypoints."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hggbook.data.transforms import Augment, Fit, Sample, apply_affine, collate, fit_affine, jitter_colour
from hggbook.skeleton import COCO

K = COCO.num_types
LEFT_WRIST, RIGHT_WRIST, NOSE = 9, 10, 0
STILL = Augment(64, COCO.flip_order, rotation=0.0, scale_low=1.0, scale_high=1.0, shift=0.0, flip=0.0, colour=False)
MOVING = Augment(64, COCO.flip_order, colour=False)


def draw(seed=0):
    return np.random.default_rng(seed)


def sample(width=80, height=60, people=(), area=None, image=None, ignore=None, image_id=1):
    """People are dicts type -> (x, y, visibility)."""
    keypoints = np.zeros((len(people), K, 3), dtype=np.float32)
    for row, person in zip(keypoints, people, strict=True):
        for kind, values in person.items():
            row[kind] = values
    return Sample(
        image=draw().integers(0, 256, (height, width, 3), dtype=np.uint8) if image is None else image,
        keypoints=keypoints,
        area=np.full(len(people), 100.0, dtype=np.float32) if area is None else np.float32(area),
        ignore=np.zeros((height, width), dtype=bool) if ignore is None else ignore,
        image_id=image_id,
    )


def test_fit_affine_by_hand():
    # 4 x 2 pixels into 8 x 8: twice as large, two rows of padding above and below. Pixel (0, 0) becomes the 2 x 2 block
    # whose first pixel is (0, 2): its centre is (0.5, 2.5).
    matrix = fit_affine(4, 2, 8)
    assert apply_affine(matrix, np.array([[0.0, 0.0], [3.0, 1.0]])).tolist() == [[0.5, 2.5], [6.5, 4.5]]
    assert apply_affine(fit_affine(4, 2, 8, mirror=True), np.zeros(2)).tolist() == [6.5, 2.5]
    assert apply_affine(fit_affine(4, 2, 8, zoom=2.0), np.zeros(2)).tolist() == [2, 3]
    assert apply_affine(fit_affine(4, 2, 8, shift=(1.0, 0.0)), np.zeros(2)).tolist() == [-1.5, 2.5]
    # a quarter turn about the centre (1.5, 0.5) of the image
    assert apply_affine(fit_affine(4, 2, 8, angle=90.0), np.zeros(2)) == pytest.approx(np.array([4.5, 0.5]))


def test_an_image_of_the_right_size_stays_as_it_is():
    given_sample = sample(64, 64, [{NOSE: (3, 4, 2)}])
    prepared = Fit(64)(given_sample)
    assert np.array_equal(np.round(prepared.image.transpose(1, 2, 0) * 255).astype(np.uint8), given_sample.image)
    assert prepared.keypoints[0, NOSE].tolist() == [3, 4, 2]
    assert prepared.area.tolist() == [100]
    assert prepared.mask.all()
    assert np.allclose(prepared.to_image, [[1, 0, 0], [0, 1, 0]])


affines = st.fixed_dictionaries(
    {
        "width": st.integers(1, 640), "height": st.integers(1, 640), "size": st.sampled_from([64, 128, 256, 512]),
        "zoom": st.floats(0.75, 1.25), "angle": st.floats(-30, 30), "mirror": st.booleans(),
        "shift": st.tuples(st.integers(-100, 100).map(float), st.integers(-100, 100).map(float)),
    }
)


@given(affines, st.floats(0, 639), st.floats(0, 639))
def test_fit_affine_is_a_similarity_about_the_shown_centre(where, x, y):
    matrix = fit_affine(**where)
    width, height, size, zoom = (where[key] for key in ("width", "height", "size", "zoom"))
    centre = np.array([(width - 1) / 2 + where["shift"][0], (height - 1) / 2 + where["shift"][1]])
    assert np.allclose(apply_affine(matrix, centre), (size - 1) / 2, atol=1e-9)
    scale = size / (zoom * max(width, height))
    assert np.linalg.det(matrix) == pytest.approx(-(scale**2) if where["mirror"] else scale**2)
    point = np.array([x, y])
    moved = apply_affine(matrix, point)
    assert np.linalg.norm(moved - (size - 1) / 2) == pytest.approx(scale * np.linalg.norm(point - centre), abs=1e-6)
    plain = apply_affine(fit_affine(**(where | {"mirror": False})), point)
    assert moved == pytest.approx([size - 1 - plain[0], plain[1]] if where["mirror"] else plain)


@given(affines)
def test_fit_affine_is_the_matrix_of_the_ae_code_in_our_frame(where):
    # The AE code's matrix, rebuilt from its definition: a box of side 200 * scale about the centre fills the output,
    # which is then turned about its middle. There pixel 0 spans 0 to 1, here its centre is 0: half a pixel apart.
    width, height, size = where["width"], where["height"], where["size"]
    box = where["zoom"] * max(width, height)
    centre = np.array([width / 2, height / 2]) + where["shift"]
    crop = np.array([[size / box, 0, size * (0.5 - centre[0] / box)], [0, size / box, size * (0.5 - centre[1] / box)]])
    sin, cos = np.sin(np.deg2rad(where["angle"])), np.cos(np.deg2rad(where["angle"]))

    def ae(x, y):
        x, y = crop @ [x, y, 1] - size / 2
        x, y = cos * x - sin * y + size / 2, sin * x + cos * y + size / 2
        return [size - x if where["mirror"] else x, y]

    for point in np.array([[0.0, 0.0], [width - 1.0, 3.0], [10.0, height - 1.0]]):
        assert apply_affine(fit_affine(**where), point) + 0.5 == pytest.approx(np.array(ae(*(point + 0.5))), abs=1e-6)


@given(st.integers(0, 10**6), st.integers(8, 640), st.integers(8, 640))
def test_to_image_takes_keypoints_back(seed, width, height):
    spot = (draw(seed).uniform(0, width - 1), draw(seed + 1).uniform(0, height - 1))
    given_sample = sample(width, height, [{LEFT_WRIST: (*spot, 2), RIGHT_WRIST: (width / 2, height / 2, 1)}])
    prepared = replace(MOVING, size=512)(given_sample, draw(seed))
    back = apply_affine(prepared.to_image.astype(np.float64), prepared.keypoints[..., :2].astype(np.float64))
    mirrored = np.linalg.det(prepared.to_image[:, :2]) < 0
    for kind in (LEFT_WRIST, RIGHT_WRIST):
        # in a mirrored sample the other hand's type lies where this hand is
        now = (LEFT_WRIST + RIGHT_WRIST - kind) if mirrored else kind
        for person in range(len(back)):
            if prepared.keypoints[person, now, 2]:
                assert back[person, now] == pytest.approx(given_sample.keypoints[0, kind, :2], abs=2e-4)
                assert prepared.keypoints[person, now, 2] == given_sample.keypoints[0, kind, 2]


def test_without_any_range_augmentation_is_the_fit():
    given_sample = sample(people=[{NOSE: (3, 4, 2), LEFT_WRIST: (70, 50, 1)}])
    fitted, still = Fit(64)(given_sample), STILL(given_sample, draw())
    for field in ("image", "keypoints", "area", "mask", "to_image"):
        assert np.array_equal(getattr(fitted, field), getattr(still, field)), field


def test_mirroring_by_hand():
    mirror = replace(STILL, flip=1.0)
    given_sample = sample(64, 64, [{LEFT_WRIST: (10, 20, 2), NOSE: (0, 5, 1)}])
    prepared = mirror(given_sample, draw())
    assert prepared.keypoints[0, RIGHT_WRIST].tolist() == [53, 20, 2]
    assert prepared.keypoints[0, LEFT_WRIST].tolist() == [0, 0, 0]
    assert prepared.keypoints[0, NOSE].tolist() == [63, 5, 1]
    assert np.array_equal(prepared.image, Fit(64)(given_sample).image[:, :, ::-1])


def test_keypoints_out_of_the_frame_are_unlabelled_and_people_without_any_left_out():
    closer = replace(STILL, scale_low=0.5, scale_high=0.5)  # shows x, y in 15.5 .. 47.5 of 64
    people = [
        {NOSE: (16, 16, 2), LEFT_WRIST: (15, 30, 2), RIGHT_WRIST: (47, 47, 1)},
        {NOSE: (47.6, 20, 2)},  # 63.7: beyond the last pixel, which ends at 63.5
        {NOSE: (20, 20, 0)},
        {NOSE: (30, 30, 1)},
    ]
    prepared = closer(sample(64, 64, people, area=[1, 2, 3, 4]), draw())
    assert prepared.keypoints.shape == (2, K, 3)
    assert prepared.keypoints[0, NOSE].tolist() == [0.5, 0.5, 2]
    assert prepared.keypoints[0, LEFT_WRIST].tolist() == [0, 0, 0]
    assert prepared.keypoints[0, RIGHT_WRIST].tolist() == [62.5, 62.5, 1]
    assert prepared.keypoints[1, NOSE].tolist() == [28.5, 28.5, 1]
    assert prepared.area.tolist() == pytest.approx([4, 16])  # twice as large on both axes


def test_the_mask_is_off_on_padding_and_on_ignored_regions():
    ignore = np.zeros((32, 64), dtype=bool)
    ignore[8:16, 40:60] = True
    mask = Fit(64)(sample(64, 32, ignore=ignore)).mask
    expected = np.zeros((64, 64), dtype=bool)
    expected[16:48] = True
    expected[24:32, 40:60] = False
    assert np.array_equal(mask, expected)


@pytest.mark.parametrize("seed", range(5))
def test_the_mask_covers_what_the_image_covers(seed):
    whole = replace(STILL, rotation=30.0, scale_low=1.5, scale_high=1.6)  # nothing leaves the frame
    prepared = whole(sample(70, 60), draw(seed))
    assert prepared.mask.sum() == pytest.approx(70 * 60 / np.linalg.det(prepared.to_image[:, :2]), rel=0.015)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("width", "height"), [(60, 80), (300, 170)])  # enlarged; shrunk by 4 to 6
def test_the_picture_moves_with_its_keypoints(seed, width, height):
    spot = np.array([width * 0.55, height * 0.48])
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    sigma = max(width, height) / 20
    blob = 255 * np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / (2 * sigma**2))
    image = np.repeat(np.round(blob)[..., None], 3, axis=2).astype(np.uint8)
    prepared = replace(MOVING, shift=0.05)(sample(width, height, [{NOSE: (*spot, 2)}], image=image), draw(seed))
    shown = np.where(prepared.image[0] > 0.2, prepared.image[0], 0).astype(np.float64)
    y, x = np.mgrid[:64, :64]
    centroid = np.array([(shown * x).sum(), (shown * y).sum()]) / shown.sum()
    assert prepared.keypoints[0, NOSE, :2] == pytest.approx(centroid, abs=0.1)


def test_a_strongly_shrunk_image_is_averaged_not_sampled():
    stripes = np.zeros((256, 256, 3), dtype=np.uint8)
    stripes[:, np.arange(256) % 8 < 2] = 255  # a quarter white; the middle of every 8 pixels is black
    shown = Fit(32)(sample(256, 256, image=stripes)).image
    assert shown == pytest.approx(np.full_like(shown, 0.25), abs=0.01)


def test_ranges_of_the_augmentation():
    zooms, angles, shifts, mirrored = [], [], [], []
    given_sample = sample(100, 80)
    for seed in range(400):
        inverse = MOVING(given_sample, draw(seed)).to_image.astype(np.float64)
        flip = np.linalg.det(inverse[:, :2]) < 0
        if flip:
            inverse = inverse @ np.array([[-1.0, 0, 63], [0, 1, 0], [0, 0, 1]])
        zooms.append(np.sqrt(np.linalg.det(inverse[:, :2])) * 64 / 100)
        angles.append(np.rad2deg(np.arctan2(inverse[0, 1], inverse[0, 0])))
        shifts.append((apply_affine(inverse, np.array([31.5, 31.5])) - [49.5, 39.5]) / (100 * zooms[-1]))
        mirrored.append(flip)
    for values, low, high in ((zooms, 0.75, 1.25), (angles, -30, 30), (shifts, -0.2, 0.2)):
        assert low - 1e-3 <= np.min(values) < low + 0.06 * (high - low)
        assert high - 0.06 * (high - low) < np.max(values) <= high + 1e-3
        assert np.mean(values) == pytest.approx((low + high) / 2, abs=0.06 * (high - low))
    assert 0.42 < np.mean(mirrored) < 0.58


def test_grey_only_becomes_brighter_or_darker():
    # Hue and saturation leave grey alone, and so does contrast about the pixel's own mean.
    grey = np.repeat(np.linspace(0.35, 0.65, 12, dtype=np.float32).reshape(3, 4, 1), 3, axis=2)
    moved = [jitter_colour(grey, draw(seed)) - grey for seed in range(40)]
    assert all(np.ptp(change) < 1e-5 for change in moved)
    changes = [change.mean() for change in moved]
    assert -0.3 <= min(changes) < -0.2
    assert 0.2 < max(changes) <= 0.3


def test_colour_of_one_pixel_by_hand():
    class Fixed(np.random.Generator):
        """Hands out: hue +72 degrees, brightness +0.1; saturation x 0.5, contrast x 1.5."""

        values = iter([72.0, 0.1, np.array([0.5, 1.5])])

        def uniform(self, low, high, size=None):
            return next(self.values)

    # HSV (60, 0.5, 0.8) -> (132, 0.25, 0.8): RGB (0.6, 0.8, 0.64) -> + 0.1 -> contrast about the mean 0.78
    pixel = np.array([[[0.8, 0.8, 0.4]]], dtype=np.float32)
    changed = jitter_colour(pixel, Fixed(np.random.PCG64()))
    assert changed[0, 0] == pytest.approx(np.array([0.66, 0.96, 0.72]), abs=1e-3)


def test_colour_changes_neither_geometry_nor_range():
    given_sample = sample(people=[{NOSE: (40, 30, 2)}])
    plain, coloured = MOVING(given_sample, draw(3)), replace(MOVING, colour=True)(given_sample, draw(3))
    assert np.array_equal(plain.keypoints, coloured.keypoints)
    assert np.array_equal(plain.mask, coloured.mask)
    assert not np.allclose(plain.image, coloured.image)
    assert coloured.image.min() >= 0
    assert coloured.image.max() <= 1
    assert coloured.image.dtype == np.float32


def test_a_tiny_image_can_be_augmented():
    prepared = Augment(16, COCO.flip_order)(sample(1, 1, [{NOSE: (0, 0, 2)}]), draw())
    assert prepared.image.shape == (3, 16, 16)


def test_collate_puts_people_of_all_images_in_one_list():
    two = [{NOSE: (10, 10, 2)}, {LEFT_WRIST: (20, 20, 1)}]
    samples = [sample(people=people, image_id=i) for i, people in enumerate([two[:1], [], two, []], start=7)]
    prepared = [Fit(64)(each) for each in samples]
    batch = collate(prepared)
    assert batch.images.shape == (4, 3, 64, 64)
    assert batch.batch.tolist() == [0, 2, 2]
    assert batch.image_id.tolist() == [7, 8, 9, 10]
    assert batch.num_images == 4
    for row, one in enumerate(prepared):
        alone = collate([one])
        assert torch.equal(batch.images[row], alone.images[0])
        assert torch.equal(batch.keypoints[batch.batch == row], alone.keypoints)
        assert torch.equal(batch.area[batch.batch == row], alone.area)
        assert torch.equal(batch.mask[row], alone.mask[0])
        assert torch.equal(batch.to_image[row], alone.to_image[0])


def test_collate_of_images_without_people_and_of_nothing():
    batch = collate([Fit(64)(sample())] * 2)
    assert batch.keypoints.shape == (0, K, 3)
    assert batch.batch.shape == (0,)
    with pytest.raises(ValueError, match="at least one sample"):
        collate([])


@pytest.mark.real_data
def test_real_photographs_can_be_augmented(real_file):
    from hggbook.data.coco import CocoPeople

    dataset = CocoPeople(real_file("coco/person_keypoints_train.json"), real_file("coco/train"), keep="people")
    augment = Augment(128, COCO.flip_order)
    for index in range(0, len(dataset), 60):
        given_sample = dataset[index]
        prepared = augment(given_sample, draw(index))
        labelled = prepared.keypoints[prepared.keypoints[..., 2] > 0]
        assert (np.abs(labelled[:, :2] - 63.5) <= 64).all()
        assert cv2.mean(prepared.image.transpose(1, 2, 0))[0] > 0
        fitted = Fit(128)(given_sample)
        assert (fitted.keypoints[..., 2] > 0).sum() <= (given_sample.keypoints[..., 2] > 0).sum()
