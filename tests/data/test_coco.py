"""COCO-format files: what a sample holds, what is filled in, and what every kind of bad input says."""

import gzip
import json

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as rle

from hggbook.data.annotations import read_annotations, read_image
from hggbook.data.coco import CocoPeople, in_split, poses
from hggbook.skeleton import COCO, CROWDPOSE

K = 17


def keypoints(*labelled, k=K):
    """Flat COCO keypoints: (type, x, y, visibility) of the labelled ones, zeros for the rest."""
    flat = np.zeros((k, 3))
    for kind, *values in labelled:
        flat[kind] = values
    return flat.ravel().tolist()


def person(id, image_id, *labelled, **more):
    return {
        "id": id, "image_id": image_id, "category_id": 1, "iscrowd": 0, "num_keypoints": len(labelled),
        "keypoints": keypoints(*labelled), "bbox": [10, 10, 20, 30], "area": 300.0,
    } | more  # fmt: skip


def content(annotations=(), sizes=((40, 30),), skeleton=COCO):
    """A COCO dictionary: images 1, 2, ... of the sizes (width, height) given."""
    return {
        "images": [
            {"id": i, "file_name": f"{i}.png", "width": w, "height": h} for i, (w, h) in enumerate(sizes, start=1)
        ],
        "annotations": list(annotations),
        "categories": [{"id": 1, "name": "person", "keypoints": list(skeleton.keypoints)}],
    }


@pytest.fixture
def written(tmp_path):
    """Writes a COCO dictionary (or bytes) and random images of its sizes; gives the file and the folder."""

    def write(data, name="people.json"):
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
        for info in data["images"] if isinstance(data, dict) else ():
            shape = (info["height"], int(info["width"]), 3)
            noise = np.random.default_rng(info["id"]).integers(0, 256, shape, np.uint8)
            cv2.imwrite(str(tmp_path / info["file_name"]), noise)
        return path, tmp_path

    return write


def test_a_sample_holds_what_the_file_says(written):
    file, folder = written(content([person(5, 1, (0, 12, 14, 2), (9, 20.5, 3, 1), area=321.5)]))
    sample = CocoPeople(file, folder)[0]
    assert (sample.image_id, sample.width, sample.height) == (1, 40, 30)
    assert sample.keypoints.shape == (1, K, 3)
    assert sample.keypoints[0, 0].tolist() == [12, 14, 2]
    assert sample.keypoints[0, 9].tolist() == [20.5, 3, 1]
    assert sample.keypoints[0].sum() == 12 + 14 + 2 + 20.5 + 3 + 1
    assert sample.area.tolist() == [321.5]
    assert not sample.ignore.any()
    noise = np.random.default_rng(1).integers(0, 256, (30, 40, 3), np.uint8)
    assert (sample.image == noise[..., ::-1]).all()  # OpenCV wrote BGR, the sample is RGB


def test_images_come_by_ascending_id_whatever_the_order_in_the_file(written):
    data = content([person(1, 3, (0, 1, 1, 2)), person(2, 1, (0, 2, 2, 2))], sizes=[(40, 30)] * 3)
    data["images"].reverse()
    file, folder = written(data)
    dataset = CocoPeople(file, folder)
    assert [dataset[i].image_id for i in range(3)] == [1, 2, 3]
    assert [len(dataset[i].area) for i in range(3)] == [1, 0, 1]
    assert dataset[1].keypoints.shape == (0, K, 3)


def test_people_are_those_with_a_labelled_keypoint(written):
    other = {"id": 2, "name": "dog"}
    data = content([
        person(1, 1, (0, 1, 1, 2)),
        person(2, 1),  # nothing labelled
        person(3, 1, (0, 1, 1, 2), iscrowd=1),
        person(4, 1, (0, 1, 1, 2), category_id=2),
    ])
    data["categories"].append(other)
    file, folder = written(data)
    dataset = CocoPeople(file, folder)
    assert len(dataset[0].area) == 1
    assert dataset[0].ignore.any()


def box_mask(x, y, w, h):
    mask = np.zeros((30, 40), dtype=bool)
    mask[y : y + h, x : x + w] = True
    return mask


def counts_of(mask):
    """Uncompressed RLE, counted by hand: runs of 0 and 1 down the columns, zeros first."""
    flat = np.concatenate([[0], mask.ravel(order="F").astype(int), [2]])
    edges = np.flatnonzero(np.diff(flat))
    runs = np.diff(np.concatenate([[0], edges]))
    return runs.tolist() if not mask[0, 0] else [0, *runs.tolist()]


@pytest.mark.parametrize("outline", ["uncompressed", "compressed", "polygon", "none", "empty"])
def test_crowds_are_ignored_however_they_are_outlined(written, outline):
    region = box_mask(5, 6, 20, 10)
    compressed = rle.encode(np.asfortranarray(region.astype(np.uint8)))
    segmentation = {
        "uncompressed": {"size": [30, 40], "counts": counts_of(region)},
        "compressed": {"size": [30, 40], "counts": compressed["counts"].decode()},
        "polygon": [[5, 6, 25, 6, 25, 16, 5, 16]],
        "empty": [],
    }
    crowd = person(1, 1, iscrowd=1, bbox=[5, 6, 20, 10], iscrowd_estimated=outline in ("none", "empty"))
    if outline != "none":
        crowd["segmentation"] = segmentation[outline]
    file, folder = written(content([crowd]))
    assert (CocoPeople(file, folder)[0].ignore == region).all()


def test_a_box_that_leaves_the_image_is_clipped(written):
    beyond, above = [-3.5, 20.5, 10.2, 100], [30.5, -2, 3.2, 7.5]
    file, folder = written(content([person(1, 1, iscrowd=1, bbox=beyond), person(2, 1, iscrowd=1, bbox=above)]))
    assert (CocoPeople(file, folder)[0].ignore == box_mask(0, 20, 7, 10) | box_mask(30, 0, 4, 6)).all()


def test_people_without_keypoints_are_masked_on_request_only(written):
    file, folder = written(content([person(1, 1, bbox=[1, 2, 3, 4]), person(2, 1, (0, 1, 1, 2), bbox=[9, 9, 5, 5])]))
    assert not CocoPeople(file, folder)[0].ignore.any()
    assert (CocoPeople(file, folder, mask_unlabelled=True)[0].ignore == box_mask(1, 2, 3, 4)).all()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_every_kind_of_image_is_read_as_rgb(tmp_path, mode):
    smooth = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8), (0, 0), 4)
    picture = Image.fromarray(smooth).convert(mode)
    picture.save(tmp_path / "picture.jpg", quality=95)
    image = read_image(tmp_path / "picture.jpg")
    assert image.shape == (30, 40, 3)
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - np.asarray(picture.convert("RGB"))).mean() < 3


def test_an_orientation_tag_is_not_applied(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # "rotate by 90 degrees to display"
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").shape == (30, 40, 3)


def test_choosing_images(written):
    file, folder = written(content([person(1, 2, (0, 1, 1, 2)), person(2, 3)], sizes=[(40, 30)] * 4))
    assert CocoPeople(file, folder).image_ids.tolist() == [1, 2, 3, 4]
    assert CocoPeople(file, folder, keep="people").image_ids.tolist() == [2]
    assert CocoPeople(file, folder, ids=[4, 2]).image_ids.tolist() == [2, 4]
    assert len(CocoPeople(file, folder, ids=[1], keep="people")) == 0
    everything = CocoPeople(file, folder)
    assert everything.select([3]).image_ids.tolist() == [3]
    assert len(everything) == 4
    with pytest.raises(ValueError, match=r"no image with id \[7\]"):
        everything.select([1, 7])
    with pytest.raises(ValueError, match="'all' or 'people'"):
        CocoPeople(file, folder, keep="some")


def test_what_a_file_leaves_out_is_filled_in(written):
    bare = {"id": 0, "image_id": 1, "category_id": 1, "keypoints": keypoints((0, 2, 4, 2), (1, 12, 24, 1))}
    boxed = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 20]}
    file, folder = written(content([bare, boxed]))
    index = read_annotations(file)
    first, second = index.dataset["annotations"]
    assert first["bbox"] == [2, 4, 10, 20]
    assert first["area"] == pytest.approx(0.53 * 200)
    assert (first["num_keypoints"], first["iscrowd"]) == (2, 0)
    assert (second["num_keypoints"], second["keypoints"]) == (0, [0] * 51)
    assert [first["id"], second["id"]] == [1, 2]  # id 0 would read as "no match" in COCOeval
    assert len(CocoPeople(file, folder)[0].area) == 1


def test_gzipped_annotations_read_the_same(written):
    data = content([person(5, 1, (0, 12, 14, 2))])
    plain, folder = written(data)
    packed, _ = written(gzip.compress(json.dumps(data).encode()), "people.json.gz")
    assert CocoPeople(packed, folder)[0].keypoints.tolist() == CocoPeople(plain, folder)[0].keypoints.tolist()


def test_nothing_is_printed(written, capfd):
    file, folder = written(content([person(1, 1, iscrowd=1)]))
    _ = CocoPeople(file, folder)[0]
    poses(file)
    assert capfd.readouterr() == ("", "")


def broken(change):
    data = content([person(31, 1, (0, 12, 14, 2))])
    change(data)
    return data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b'{"images": [', "not valid JSON"),
        (b"\x1f\x8b\x08\x00garbage", "broken gzip"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b"[]", "expected an object with lists .* got a list"),
        (b'{"images": [], "annotations": []}', r"'categories', got keys \['annotations', 'images'\]"),
        (b'{"images": [], "annotations": [], "categories": [1]}', "a list of objects under 'categories'"),
        (broken(lambda d: d["categories"][0].update(name="dog")), r"expected a category 'person', got \['dog'\]"),
        (broken(lambda d: d["categories"][0]["keypoints"].pop()), "the 17 keypoints of skeleton 'coco' .* got 16"),
        (broken(lambda d: d["categories"][0]["keypoints"].reverse()), "got 17: .'right_ankle'"),
        (broken(lambda d: d["categories"][0].pop("keypoints")), "got 0"),
        (broken(lambda d: d["images"][0].update(width=4.5)), "whole numbers id, width, height"),
        (broken(lambda d: d["images"].append(d["images"][0])), "1 images share another one's id"),
        (broken(lambda d: d["annotations"][0].update(image_id=9)), "annotation 31 belongs to image 9"),
        (broken(lambda d: d["annotations"][0].update(category_id=3)), r"annotation 31 is of category 3.* lists \[1\]"),
        (broken(lambda d: d["annotations"][0]["keypoints"].pop()), "annotation 31: expected 51 keypoint numbers.*50"),
        (broken(lambda d: d["annotations"][0].update(keypoints=None)), "annotation 31: expected 51 .*NoneType"),
        (broken(lambda d: d["annotations"][0]["keypoints"].__setitem__(0, "left")), "keypoints must be numbers"),
        (broken(lambda d: d["annotations"][0]["keypoints"].__setitem__(0, float("nan"))), "annotation 31: .*finite"),
        (broken(lambda d: d["annotations"][0]["keypoints"].__setitem__(2, 3)), "visibility 0, 1 or 2"),
        (broken(lambda d: d["annotations"][0].update(bbox=[1, 2, 3])), r"annotation 31: expected bbox \[x, y, w, h\]"),
        (broken(lambda d: d["annotations"][0].update(area="big")), "annotation 31: expected area, got 'big'"),
    ],
)
def test_a_bad_annotation_file_is_named_with_what_is_wrong(written, data, message):
    file, folder = written(data)
    with pytest.raises(ValueError, match=message) as caught:
        CocoPeople(file, folder)
    assert str(file) in str(caught.value)
    with pytest.raises(ValueError, match=message):
        poses(file)


def test_missing_files_are_named(written, tmp_path):
    with pytest.raises(ValueError, match="nowhere.json: cannot be read: No such file"):
        CocoPeople(tmp_path / "nowhere.json")
    file, folder = written(content())
    with pytest.raises(ValueError, match="image folder .*nowhere: no such folder"):
        CocoPeople(file, tmp_path / "nowhere")
    (folder / "1.png").unlink()
    with pytest.raises(ValueError, match=r"1\.png: cannot be read: No such file"):
        CocoPeople(file, folder)[0]
    with pytest.raises(ValueError, match="no image folder was given"):
        CocoPeople(file)[0]
    data = json.loads(file.read_text())
    del data["images"][0]["file_name"]
    file.write_text(json.dumps(data))
    with pytest.raises(ValueError, match="image 1 has no 'file_name'"):
        CocoPeople(file, folder)[0]


@pytest.mark.parametrize("kind", ["jpg", "png"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_an_image_that_was_cut_short_is_an_error(tmp_path, kind, kept):
    path = tmp_path / f"photo.{kind}"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ValueError, match=rf"photo\.{kind}: expected an image file"):
        read_image(path)


def test_what_is_no_image_is_an_error(tmp_path):
    (tmp_path / "photo.jpg").write_text("<html>not found</html>")
    with pytest.raises(ValueError, match=r"photo\.jpg: expected an image file, got 22 bytes"):
        read_image(tmp_path / "photo.jpg")


def test_an_image_of_another_size_is_an_error(written):
    file, folder = written(content())
    cv2.imwrite(str(folder / "1.png"), np.zeros((20, 40, 3), np.uint8))
    with pytest.raises(ValueError, match=r"image 1\.png: .* says 40 x 30 pixels, the file has 40 x 20"):
        CocoPeople(file, folder)[0]


def test_a_broken_outline_is_an_error(written):
    file, folder = written(content([person(31, 1, iscrowd=1, segmentation="nonsense")]))
    with pytest.raises(ValueError, match="annotation 31: broken segmentation"):
        CocoPeople(file, folder)[0]


def test_another_skeleton_reads_its_own_files_only(written):
    data = content(skeleton=CROWDPOSE)
    data["annotations"] = [person(1, 1, bbox=[0, 0, 4, 5]) | {"keypoints": keypoints((12, 3, 4, 2), k=14)}]
    del data["annotations"][0]["area"]
    file, folder = written(data)
    sample = CocoPeople(file, folder, CROWDPOSE)[0]
    assert sample.keypoints.shape == (1, 14, 3)
    assert sample.area.tolist() == pytest.approx([0.53 * 20])
    with pytest.raises(ValueError, match="17 keypoints of skeleton 'coco' .* got 14"):
        CocoPeople(file, folder)


@pytest.fixture
def mixed(written):
    """Five images; those in the middle and at the end show nobody; people listed out of order."""
    people = [(3, 2.0), (1, 1.0), (2, 5.0), (3, 3.0), (1, 4.0), (3, 6.0)]
    annotations = [person(n, i, (0, x, 1, 2), area=x) for n, (i, x) in enumerate(people, start=1)]
    annotations += [person(8, 4), person(9, 5, iscrowd=1)]
    return written(content(annotations, sizes=[(40, 30), (50, 30), (40, 60), (40, 70), (40, 80)]))


def test_poses_are_the_people_of_every_image(mixed):
    file, folder = mixed
    found, dataset = poses(file), CocoPeople(file, folder)
    assert found.num_images == 5
    assert found.image_id.tolist() == [1, 2, 3, 4, 5]
    assert found.size.tolist() == [[40, 30], [50, 30], [40, 60], [40, 70], [40, 80]]
    assert found.batch.tolist() == [0, 0, 1, 2, 2, 2]
    assert found.area.tolist() == [1, 4, 5, 2, 3, 6]
    for row in range(5):
        points, area = dataset.people(row)
        assert torch.equal(found.keypoints[found.batch == row], torch.from_numpy(points))
        assert torch.equal(found.area[found.batch == row], torch.from_numpy(area))


def test_selecting_poses(mixed):
    found = poses(mixed[0])
    some = found.select(torch.tensor([4, 2, 0]))
    assert some.image_id.tolist() == [5, 3, 1]
    assert some.size.tolist() == [[40, 80], [40, 60], [40, 30]]
    assert some.batch.tolist() == [1, 1, 1, 2, 2]
    assert some.area.tolist() == [2, 3, 6, 1, 4]
    by_mask = found.select(found.image_id != 2)
    assert by_mask.image_id.tolist() == [1, 3, 4, 5]
    assert by_mask.batch.tolist() == [0, 0, 1, 1, 1]
    assert torch.equal(found.select(torch.arange(5)).keypoints, found.keypoints)
    nothing = found.select(torch.zeros(5, dtype=torch.bool))
    assert (nothing.num_images, len(nothing.batch), nothing.keypoints.shape) == (0, 0, (0, K, 3))


def test_poses_of_a_file_without_images_are_empty(written):
    found = poses(written(content(sizes=()))[0])
    assert (found.num_images, found.keypoints.shape, found.size.shape) == (0, (0, K, 3), (0, 2))


@pytest.mark.parametrize(("track", "parts"), [("photographs", ("train", "tune")), ("poses", ("train", "tune", "test"))])
def test_the_parts_of_a_split_cover_every_id_once(track, parts):
    ids = np.arange(1000)
    assert sum(in_split(ids, part, track).astype(int) for part in parts).tolist() == [1] * 1000
    with pytest.raises(ValueError, match="split: expected one of"):
        in_split(ids, "everything", track)


def test_split_rules():
    assert np.flatnonzero(in_split(np.arange(30), "tune", "photographs")).tolist() == [0, 10, 20]
    assert np.flatnonzero(in_split(np.arange(45), "test", "poses")).tolist() == [0, 20, 40]
    assert in_split(torch.arange(45), "tune", "poses").nonzero().flatten().tolist() == [1, 21, 41]


@pytest.mark.real_data
def test_real_photographs(real_file):
    for part, images, people in (("dev", 384, 829), ("train", 1868, 5079)):
        dataset = CocoPeople(real_file(f"coco/person_keypoints_{part}.json"), real_file(f"coco/{part}"))
        assert len(dataset) == images
        assert sum(len(dataset.people(i)[1]) for i in range(images)) == people
        for i in range(0, images, 25):
            sample = dataset[i]
            labelled = sample.keypoints[sample.keypoints[..., 2] > 0]
            assert (labelled[:, :2] > -1).all()
            assert (labelled[:, :2] < [sample.width + 1, sample.height + 1]).all()


@pytest.mark.real_data
def test_real_poses(real_file):
    found = poses(real_file("coco/person_keypoints_train2017_poses.json.gz"))
    assert (found.num_images, len(found.batch)) == (56599, 149813)
    assert (torch.bincount(found.batch) == 1).sum() == 27047
    assert (torch.bincount(found.batch) == 2).sum() == 10932


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "skeleton", "images"), [("ochuman", COCO, 3), ("crowdpose", CROWDPOSE, 2)])
def test_real_samples_of_other_data_sets(real_file, name, skeleton, images):
    dataset = CocoPeople(
        real_file(f"{name}/annotations/test_{name}.json"), real_file(f"{name}/images"), skeleton
    )
    assert [dataset[i].keypoints.shape[1] for i in range(len(dataset))] == [skeleton.num_types] * images
