"""Candidates from elsewhere: what a file means, what it must not hold, and that it comes back as it was written."""

import copy
import dataclasses
import json
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hggbook import paths
from hggbook.data import candidate_file
from hggbook.data.candidate_file import CandidateFile, read_candidates, write_candidates
from hggbook.data.coco import PoseSet
from hggbook.data.simulate import SIMULATIONS, simulate
from hggbook.skeleton import COCO, CROWDPOSE

NOSE = {"x": 10.0, "y": 20.0, "type": "nose", "score": 0.5, "embedding": [1.5]}
TWO_IMAGES = {
    "version": 1,
    "skeleton": "coco",
    "images": [
        {"image_id": 7, "width": 640, "height": 480, "file_name": "7.jpg", "candidates": [
            {"x": 0, "y": 0, "type": 16, "score": 0.9, "embedding": [2]},
            {"x": 639.0, "y": 479.0, "type": "nose", "score": 1.25, "embedding": [-1.0]},
            {"x": 99.5, "y": 239.5, "type": "right_ankle", "score": 0.1, "embedding": [0.25]},
        ]},
        {"image_id": 3, "width": 256, "height": 512, "candidates": [NOSE]},
    ],
}  # fmt: skip


def written(folder, document, name="candidates.json"):
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def people(images=3, each=2, seed=0):
    """Random people in images of 640 x 480, 480 x 640 and so on by turns."""
    g = torch.Generator().manual_seed(seed)
    m = images * each
    xy = 100 + torch.rand(m, 17, 2, generator=g) * 300
    size = torch.tensor([[640.0, 480.0], [480.0, 640.0]]).repeat(images, 1)[:images]
    return PoseSet(
        torch.cat([xy, torch.full((m, 17, 1), 2.0)], dim=2), torch.full((m,), 9000.0),
        torch.repeat_interleave(torch.arange(images), each), torch.arange(5, 5 + images), size,
    )  # fmt: skip


def simulated(preset, poses):
    """Simulated candidates with all that a file needs to know of them; 512 is the side of the simulated input."""
    candidates, _, _ = simulate(poses, SIMULATIONS[preset], COCO)
    scale = poses.size.amax(dim=1) / 512
    to_image = torch.zeros(len(scale), 2, 3)
    to_image[:, 0, 0] = to_image[:, 1, 1] = scale
    to_image[:, :, 2] = (poses.size - 1) / 2 - scale[:, None] * 255.5
    return CandidateFile(candidates, poses.image_id, poses.size, to_image, torch.arange(len(candidates)), COCO)


def test_a_file_is_read_into_the_square_of_the_network_input(tmp_path):
    found = read_candidates(written(tmp_path, TWO_IMAGES), size=512)
    c = found.candidates
    # 640 x 480 into 512: scale 0.8, 64 pixels of padding above. 256 x 512: scale 1, 128 pixels on the left.
    assert c.type.tolist() == [0, 16, 16, 0]
    torch.testing.assert_close(c.xy, torch.tensor([[511.1, 447.1], [-0.1, 63.9], [79.5, 255.5], [138.0, 20.0]]))
    assert c.score.tolist() == pytest.approx([1.25, 0.9, 0.1, 0.5])
    assert c.embedding.tolist() == [[-1.0], [2.0], [0.25], [1.5]]
    assert c.batch.tolist() == [0, 0, 0, 1]
    assert c.size.tolist() == [[512.0, 512.0]] * 2
    assert found.image_id.tolist() == [7, 3]
    assert found.image_size.tolist() == [[640.0, 480.0], [256.0, 512.0]]
    assert found.place.tolist() == [1, 0, 2, 0]
    assert found.skeleton is COCO
    corner = found.to_image[0] @ torch.tensor([511.1, 447.1, 1.0])
    torch.testing.assert_close(corner, torch.tensor([639.0, 479.0]))


def test_the_example_of_the_texts_can_be_read(tmp_path):
    (readme,) = re.findall(r"```json\n(.*?)```", (paths.project_root() / "README.md").read_text(encoding="utf-8"), re.S)
    ours = re.search(r"::\n\n(    {.*?\n    })\n", candidate_file.__doc__, re.S).group(1)
    assert json.loads(readme) == json.loads(ours)
    found = read_candidates(written(tmp_path, readme))
    assert found.image_id.tolist() == [139]
    assert found.candidates.type.tolist() == [0, 1]


def test_it_is_the_frame_of_the_simulation(tmp_path):
    poses = people()
    expected, _, _ = simulate(poses, SIMULATIONS["perfect"], COCO)
    images = [
        {"image_id": int(i), "width": int(w), "height": int(h), "candidates": [
            {"x": x, "y": y, "type": kind, "score": 0.65, "embedding": [0.0]}
            for person in poses.keypoints[poses.batch == row].tolist() for kind, (x, y, _) in enumerate(person)
        ]}
        for row, (i, (w, h)) in enumerate(zip(poses.image_id, poses.size))
    ]  # fmt: skip
    found = read_candidates(written(tmp_path, {"version": 1, "skeleton": "coco", "images": images}))
    torch.testing.assert_close(found.candidates.xy, expected.xy)
    assert torch.equal(found.candidates.type, expected.type)
    assert torch.equal(found.candidates.batch, expected.batch)
    assert torch.equal(found.candidates.size, expected.size)


def test_what_is_written_comes_back(tmp_path):
    mine = simulated("hard", people())
    write_candidates(tmp_path / "new" / "file.json", mine)
    back = read_candidates(tmp_path / "new" / "file.json", size=512)
    torch.testing.assert_close(back.candidates.xy, mine.candidates.xy, atol=1e-3, rtol=0)
    torch.testing.assert_close(back.to_image, mine.to_image)
    for name in ("type", "score", "embedding", "batch", "size"):
        assert torch.equal(getattr(back.candidates, name), getattr(mine.candidates, name))
    assert torch.equal(back.image_id, mine.image_id)
    assert torch.equal(back.image_size, mine.image_size)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["file.json"]


@given(st.lists(st.integers(0, 16), max_size=12), st.lists(st.integers(0, 16), max_size=12), st.integers(0, 3))
def test_reading_and_writing_keeps_the_order_of_the_file(tmp_path_factory, first, second, d):
    folder = tmp_path_factory.mktemp("order")

    def image(number, types):
        entries = [
            {"x": 3.0 * i, "y": 2.0, "type": COCO.keypoints[kind], "score": 0.5 + i / 32, "embedding": [0.25 * i] * d}
            for i, kind in enumerate(types)
        ]
        return {"image_id": number, "width": 64, "height": 64, "candidates": entries}

    document = {"version": 1, "skeleton": "coco", "images": [image(4, first), image(2, second)]}
    if d == 0:
        for entry in (e for i in document["images"] for e in i["candidates"]):
            del entry["embedding"]
    found = read_candidates(written(folder, document), size=64)  # 64 into 64: the frame is the image's own
    assert found.candidates.embedding.shape == (len(first) + len(second), d if first or second else 0)
    assert sorted(zip(found.candidates.batch.tolist(), found.candidates.type.tolist())) == list(
        zip(found.candidates.batch.tolist(), found.candidates.type.tolist())
    )
    write_candidates(folder / "again.json", found)
    assert json.loads((folder / "again.json").read_text()) == document


def test_own_names_in_own_order_may_be_listed(tmp_path):
    own = list(reversed(COCO.keypoints))
    image = TWO_IMAGES["images"][1] | {"candidates": [NOSE, NOSE | {"type": 0}, NOSE | {"type": 16}]}
    found = read_candidates(written(tmp_path, {"version": 1, "skeleton": own, "images": [image]}))
    assert found.skeleton is COCO
    assert found.candidates.type.tolist() == [0, 0, 16]  # nose, own number 16 = nose; own number 0 = right ankle
    assert found.place.tolist() == [0, 2, 1]


def test_other_skeletons(tmp_path):
    image = TWO_IMAGES["images"][1] | {"candidates": [NOSE | {"type": "neck"}]}
    found = read_candidates(written(tmp_path, {"version": 1, "skeleton": "crowdpose", "images": [image]}))
    assert found.skeleton is CROWDPOSE
    assert found.candidates.type.tolist() == [13]
    own = dataclasses.replace(CROWDPOSE, name="mine", keypoints=("front", *CROWDPOSE.keypoints[1:]))
    image["candidates"] = [NOSE | {"type": "front"}]
    path = written(tmp_path, {"version": 1, "skeleton": "mine", "images": [image]})
    found = read_candidates(path, skeletons=(COCO, own))
    assert found.skeleton is own
    write_candidates(tmp_path / "again.json", found)
    assert json.loads((tmp_path / "again.json").read_text())["skeleton"] == "mine"


def test_images_are_read_as_if_they_were_alone(tmp_path):
    empty = {"image_id": 1, "width": 30, "height": 50, "candidates": []}
    images = [*TWO_IMAGES["images"][:1], empty, *TWO_IMAGES["images"][1:], empty | {"image_id": 2}]
    whole = read_candidates(written(tmp_path, TWO_IMAGES | {"images": images}))
    assert whole.candidates.num_images == 4
    assert whole.candidates.batch.tolist() == [0, 0, 0, 2]
    for row, image in enumerate(images):
        alone = read_candidates(written(tmp_path, TWO_IMAGES | {"images": [image]}))
        mine = whole.candidates.batch == row
        assert torch.equal(alone.candidates.xy, whole.candidates.xy[mine])
        assert torch.equal(alone.candidates.type, whole.candidates.type[mine])
        assert torch.equal(alone.place, whole.place[mine])
        assert torch.equal(alone.to_image[0], whole.to_image[row])
        assert alone.image_id[0] == whole.image_id[row]


def test_a_file_may_be_empty(tmp_path):
    none = read_candidates(written(tmp_path, TWO_IMAGES | {"images": []}))
    assert none.candidates.num_images == len(none.candidates) == 0
    assert none.to_image.shape == (0, 2, 3)
    bare = read_candidates(written(tmp_path, TWO_IMAGES | {"images": [{"image_id": 1, "width": 9, "height": 9,
                                                                       "candidates": []}]}))  # fmt: skip
    assert bare.candidates.num_images == 1
    assert bare.candidates.embedding.shape == (0, 0)
    for found in (none, bare):
        write_candidates(tmp_path / "again.json", found)
        assert read_candidates(tmp_path / "again.json").candidates.num_images == found.candidates.num_images


def test_candidates_on_the_padding_are_allowed_and_farther_out_are_not(tmp_path):
    # 640 x 480: the square around it reaches 80 pixels above and below
    image = TWO_IMAGES["images"][0]
    for y in (-80.0, 559.0):
        beside = image | {"candidates": [NOSE | {"x": 639.4, "y": y}]}
        found = read_candidates(written(tmp_path, TWO_IMAGES | {"images": [beside]}))
        assert -0.5 <= found.candidates.xy[0, 1] <= 511.5
    for place in ({"x": 642.0}, {"x": -3.0}, {"y": -83.0}, {"y": 562.0}):
        out = image | {"candidates": [NOSE, NOSE | place]}
        with pytest.raises(ValueError, match=r"image 7: candidates\[1\]: expected a place in the image of 640 x 480"):
            read_candidates(written(tmp_path, TWO_IMAGES | {"images": [out]}))


MANGLED = [
    ("", "not valid JSON"),
    ('{"version": 1, "images": [', "not valid JSON"),
    ([1], r"expected an object with 'version', 'skeleton', 'images', got \[1\]"),
    ({"version": 2}, "expected 'version' 1, got 2"),
    ({"version": True}, "expected 'version' 1, got True"),
    ({"skeleton": None}, r"expected 'skeleton' to be one of \('coco', 'crowdpose'\) or a list of names, got nothing"),
    ({"skeleton": "human"}, r"expected 'skeleton' to be one of \('coco', 'crowdpose'\) .* got 'human'"),
    ({"skeleton": ["nose"]}, r"exactly the keypoint types of one of \('coco', 'crowdpose'\), got \['nose'\]"),
    ({"skeleton": ["nose"] * 17}, "exactly the keypoint types"),
    ({"images": None}, "expected a list under 'images', got nothing"),
    ({"images": [3]}, r"images\[0\]: expected an object with image_id, .* got 3"),
    ({"images.image_id": "139"}, r"images\[0\]: expected a whole number 'image_id', got '139'"),
    ({"images.image_id": 2**63}, r"images\[0\]: expected a whole number 'image_id'"),
    ({"images.width": 0}, r"images\[0\]: expected a whole number above 0 'width', got 0"),
    ({"images.height": 2.5}, r"images\[0\]: expected a whole number above 0 'height', got 2.5"),
    ({"images.candidates": {}}, r"images\[0\]: expected a list under 'candidates', got {}"),
    ({"images.image_id": 3}, r"images\[1\]: image_id 3 was there before"),
    ({"candidates": [1, 2]}, r"image 7: candidates\[2\]: expected an object with x, y, type, .* got \[1, 2\]"),
    ({"candidates.x": None}, r"image 7: candidates\[2\]: expected a finite number 'x', got nothing"),
    ({"candidates.y": float("nan")}, r"image 7: candidates\[2\]: expected a finite number 'y', got nan"),
    ({"candidates.score": "0.5"}, r"image 7: candidates\[2\]: expected a finite number 'score', got '0.5'"),
    ({"candidates.score": True}, r"image 7: candidates\[2\]: expected a finite number 'score', got True"),
    ({"candidates.score": 0}, r"image 7: candidates\[2\]: expected a score above 0, got 0"),
    ({"candidates.score": -1.0}, r"image 7: candidates\[2\]: expected a score above 0, got -1"),
    ({"candidates.score": 1e300}, r"image 7: candidates\[2\]: expected a finite number 'score'"),
    ({"candidates.type": "Nose"}, r"image 7: candidates\[2\]: expected a keypoint type, 0 to 16 or one of nose, left_"),
    ({"candidates.type": 17}, r"image 7: candidates\[2\]: expected a keypoint type, 0 to 16 .* got 17"),
    ({"candidates.type": -1}, r"image 7: candidates\[2\]: expected a keypoint type, 0 to 16 .* got -1"),
    ({"candidates.type": True}, r"image 7: candidates\[2\]: expected a keypoint type, 0 to 16 .* got True"),
    ({"candidates.type": [0]}, r"image 7: candidates\[2\]: expected a keypoint type, 0 to 16 .* got \[0\]"),
    ({"candidates.embedding": 0.5}, r"image 7: candidates\[2\]: expected a list of numbers under 'embedding', got 0.5"),
    ({"candidates.embedding": []}, r"image 7: candidates\[2\]: expected a list of numbers under 'embedding'"),
    ({"candidates.embedding": [1, 2]}, r"image 7: candidates\[2\]: expected an embedding of 1 numbers, .* got 2"),
    ({"candidates.embedding": [float("inf")]}, r"image 7: candidates\[2\]: expected a finite number 'embedding'"),
]


@pytest.mark.parametrize(("change", "message"), MANGLED)
def test_what_is_wrong_is_said_with_file_image_and_candidate(tmp_path, change, message):
    document = change
    if isinstance(change, dict):
        document = copy.deepcopy(TWO_IMAGES)
        for key, value in change.items():
            section, _, name = key.partition(".")
            if section == "candidates" and not name:
                document["images"][0]["candidates"][2] = value
            elif section == "candidates":
                document["images"][0]["candidates"][2][name] = value
            elif name:
                document["images"][0][name] = value
            else:
                document[section] = value
    path = written(tmp_path, document)
    with pytest.raises(ValueError, match=message) as raised:
        read_candidates(path)
    assert str(raised.value).startswith(f"candidate file {path}: ")


def test_embeddings_are_everywhere_or_nowhere(tmp_path):
    bare = {key: value for key, value in NOSE.items() if key != "embedding"}
    image = TWO_IMAGES["images"][1]
    found = read_candidates(written(tmp_path, TWO_IMAGES | {"images": [image | {"candidates": [bare, bare]}]}))
    assert found.candidates.embedding.shape == (2, 0)
    for mixed, message in (([NOSE, bare], "of 1 numbers, as before, got 0"), ([bare, NOSE], "of 0 numbers, .* got 1")):
        with pytest.raises(ValueError, match=rf"candidates\[1\]: expected an embedding {message}"):
            read_candidates(written(tmp_path, TWO_IMAGES | {"images": [image | {"candidates": mixed}]}))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="candidate file .*missing.json: cannot be read: No such file"):
        read_candidates(tmp_path / "missing.json")


def test_nothing_is_written_of_what_could_not_be_read_back(tmp_path):
    mine = simulated("hard", people())
    score = mine.candidates.score.clone()
    score[5] = 0
    for bad, message in (
        (mine.replace(candidates=mine.candidates.replace(score=score)), "expected a score above 0"),
        (mine.replace(candidates=mine.candidates.replace(xy=mine.candidates.xy * torch.nan)), "finite number 'x'"),
        (mine.replace(image_id=torch.zeros_like(mine.image_id)), "was there before"),
    ):
        with pytest.raises(ValueError, match=f"candidate file .*file.json: .*{message}"):
            write_candidates(tmp_path / "file.json", bad)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "plain").write_text("")
    with pytest.raises(ValueError, match="plain/file.json: cannot be written"):
        write_candidates(tmp_path / "plain" / "file.json", mine)
