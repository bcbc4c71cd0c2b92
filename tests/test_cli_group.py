"""``hggbook group``: candidates of any detector in, COCO results and the person of every candidate out."""

import json

import pytest
import torch

import hggbook
from hggbook.cli import main
from hggbook.config import preset
from hggbook.data.candidate_file import CandidateFile, write_candidates
from hggbook.data.source import scene_set
from hggbook.data.transforms import Fit, collate
from hggbook.decode import decode
from hggbook.evaluate import to_coco_results
from hggbook.model import build, save_weights
from hggbook.skeleton import COCO

ALL = ("hgg", "ae", "contraction", "multicut", "spectral", "bones")
FROM_PAIRS = ("contraction", "multicut", "spectral", "bones")
BY_EMBEDDING = ("ae", *FROM_PAIRS)


def candidate(kind, x, y, embedding, score=0.5):
    return {"x": x, "y": y, "type": kind, "score": score, "embedding": [embedding]}


# Two people side by side, told apart by their embeddings (about 0 and about 5), listed in no order; each has a nose,
# shoulders and an elbow, so a tree of bones holds them together. The second of three images shows nobody.
TWO_PEOPLE = [
    candidate("left_elbow", 330.0, 260.0, 5.1), candidate("nose", 100.0, 50.0, 0.1, 0.9),
    candidate("right_shoulder", 280.0, 150.0, 5.0), candidate("left_shoulder", 120.0, 150.0, 0.0),
    candidate("nose", 300.0, 50.0, 4.9, 0.8), candidate("right_shoulder", 80.0, 150.0, 0.05),
    candidate("left_shoulder", 320.0, 150.0, 5.05), candidate("left_elbow", 130.0, 260.0, 0.02),
]  # fmt: skip
PERSON = [1, 0, 1, 0, 1, 0, 1, 0]
IMAGES = [
    {"image_id": 40, "width": 400, "height": 300, "candidates": TWO_PEOPLE},
    {"image_id": 2, "width": 50, "height": 80, "candidates": []},
    {"image_id": 31, "width": 400, "height": 300, "candidates": TWO_PEOPLE[:1]},
]
DOCUMENT = {"version": 1, "skeleton": "coco", "images": IMAGES}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.json").write_text(json.dumps(DOCUMENT))
    return tmp_path


@pytest.fixture
def weights(folder):
    """Untrained weights of the grouping stage alone, as the pose track makes them."""
    config = preset("tiny").override("data.kind=poses", "baseline.threshold=0.75")
    torch.manual_seed(1)
    save_weights(folder / "mine.safetensors", build(config, with_detector=False), config)
    return "mine.safetensors"


def grouped(folder, *options):
    assert main(["group", "c.json", "--out", "r.json", "--groups", "g.json", "--device", "cpu", *options]) == 0
    return json.loads((folder / "r.json").read_text()), json.loads((folder / "g.json").read_text())


def same(one, other):
    return [[a == b for b in one] for a in one] == [[a == b for b in other] for a in other]


@pytest.mark.parametrize("grouper", BY_EMBEDDING)
def test_people_that_embeddings_tell_apart_are_found(folder, capsys, grouper):
    results, groups = grouped(folder, "--grouper", grouper, *(["--scores", "embedding"] if grouper != "ae" else []))
    assert capsys.readouterr().out.startswith(f"3 images, 9 candidates: 3 people ({grouper}")
    assert [image["image_id"] for image in groups["images"]] == [40, 2, 31]
    persons = [image["person"] for image in groups["images"]]
    assert same(persons[0], PERSON)
    assert persons[1:] == [[], [0]]
    assert [result["image_id"] for result in results] == [40, 40, 31]


def test_results_are_coco_results_in_original_pixels(folder):
    results, groups = grouped(folder, "--grouper", "ae")
    (first, second, alone) = results
    number = groups["images"][0]["person"][1]  # of the left person, whose nose is the second candidate
    left = (first, second)[number]
    keypoints = [left["keypoints"][3 * i : 3 * i + 3] for i in range(17)]
    assert keypoints[0] == pytest.approx([100.0, 50.0, 1.0], abs=1e-3)
    assert keypoints[7] == pytest.approx([130.0, 260.0, 1.0], abs=1e-3)
    assert left["score"] == pytest.approx((0.9 + 3 * 0.5) / 17)
    assert left["category_id"] == 1
    assert alone["keypoints"][21:24] == pytest.approx([330.0, 260.0, 1.0], abs=1e-3)


def test_the_number_of_a_candidates_person_is_the_place_of_its_pose(folder, weights):
    for options in (["--grouper", "ae"], ["--weights", weights]):
        results, groups = grouped(folder, *options)
        for image, document in zip(groups["images"], IMAGES):
            mine = [r["keypoints"] for r in results if r["image_id"] == image["image_id"]]
            assert len(mine) == len(set(image["person"]))
            for person, entry in zip(image["person"], document["candidates"]):
                places = [mine[person][i : i + 2] for i in range(0, 51, 3)]
                assert any(place == pytest.approx([entry["x"], entry["y"]], abs=1e-3) for place in places)


def test_images_are_grouped_the_same_alone(folder, weights, monkeypatch):
    together = grouped(folder, "--weights", weights)
    monkeypatch.setattr("hggbook.cli.group._PAIRS_AT_ONCE", 1)
    assert grouped(folder, "--weights", weights)[1] == together[1]
    for image, expected in zip(IMAGES, together[1]["images"]):
        (folder / "c.json").write_text(json.dumps(DOCUMENT | {"images": [image]}))
        assert grouped(folder, "--weights", weights)[1]["images"] == [expected]


def test_the_order_of_a_file_does_not_matter(folder, weights):
    _, groups = grouped(folder, "--weights", weights)
    shuffled = [TWO_PEOPLE[i] for i in (5, 2, 7, 0, 1, 6, 3, 4)]
    image = IMAGES[0] | {"candidates": shuffled}
    (folder / "c.json").write_text(json.dumps(DOCUMENT | {"images": [image]}))
    _, again = grouped(folder, "--weights", weights)
    expected = [groups["images"][0]["person"][i] for i in (5, 2, 7, 0, 1, 6, 3, 4)]
    assert same(again["images"][0]["person"], expected)


@pytest.mark.parametrize("grouper", ALL)
def test_every_grouper_gives_nobody_for_nothing(folder, weights, capsys, grouper):
    options = [] if grouper == "ae" else ["--weights", weights]
    for images in ([], IMAGES[1:2]):
        (folder / "c.json").write_text(json.dumps(DOCUMENT | {"images": images}))
        results, groups = grouped(folder, "--grouper", grouper, *options)
        assert results == []
        assert groups["images"] == [{"image_id": 2, "person": []}][: len(images)]
        assert "0 candidates: 0 people" in capsys.readouterr().out


@pytest.mark.parametrize("grouper", ["hgg", *FROM_PAIRS])
def test_the_cut_decides_who_may_be_one_person(folder, weights, grouper):
    _, nobody = grouped(folder, "--grouper", grouper, "--weights", weights, "--cut", "1000")
    assert sorted(nobody["images"][0]["person"]) == list(range(8))
    _, anybody = grouped(folder, "--grouper", grouper, "--weights", weights, "--cut", "-1000")
    person = anybody["images"][0]["person"]
    # Two of each type, and two of one type are never one person; spectral clustering finds no people in equal links.
    assert len(set(person)) < 8 if grouper == "spectral" else len(set(person)) == 2
    kinds = [(entry["type"], p) for entry, p in zip(TWO_PEOPLE, person)]
    assert len(set(kinds)) == 8


def test_the_threshold_is_ones_own_or_the_weights_or_1(folder, weights):
    close = [candidate("nose", 100.0, 50.0, 0.0), candidate("left_eye", 105.0, 45.0, 0.9)]
    (folder / "c.json").write_text(json.dumps(DOCUMENT | {"images": [IMAGES[0] | {"candidates": close}]}))
    for options, expected in (
        ([], [0, 0]),  # 0.9 < 1
        (["--threshold", "0.5"], [0, 1]),
        (["--weights", weights], [0, 1]),  # tuned to 0.75
        (["--weights", weights, "--threshold", "0.95"], [0, 0]),
    ):
        assert grouped(folder, "--grouper", "ae", *options)[1]["images"][0]["person"] == expected


def test_shipped_weights_with_a_detector_group_as_well(folder):
    _, groups = grouped(folder, "--weights", "scenes-tiny")
    assert len(groups["images"][0]["person"]) == 8


def test_what_our_own_detector_proposes_can_be_exported_and_is_grouped_alike(folder, monkeypatch):
    model, config = hggbook.load("scenes-tiny")
    (folder / "notebooks").mkdir()
    monkeypatch.setenv("HGGBOOK_HOME", str(folder))  # where the scenes are cached
    scenes = scene_set("easy", 3, 5, 192, width=240, height=192)
    batch = collate([Fit(config.detector.input_size)(scenes[i]) for i in range(3)])
    with torch.no_grad():
        output = model(batch.images)
    monkeypatch.delenv("HGGBOOK_HOME")
    mine = output.candidates
    size = torch.tensor([[240.0, 192.0]] * 3)
    exported = CandidateFile(mine, batch.image_id, size, batch.to_image, torch.arange(len(mine)), COCO)
    write_candidates("c.json", exported)
    results, groups = grouped(folder, "--weights", "scenes-tiny")
    assert len(mine) > 30
    assert [image["image_id"] for image in groups["images"]] == batch.image_id.tolist()
    for image, listed in enumerate(groups["images"]):
        assert same(listed["person"], output.grouping.person[mine.batch == image].tolist())
    poses = decode(mine, output.grouping.person, batch.to_image, 17)
    expected = to_coco_results(poses, batch.image_id)
    assert len(results) == len(expected)
    assert sorted(r["score"] for r in results) == pytest.approx(sorted(r["score"] for r in expected))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--grouper", "hgg", "--weights", "nothing"], "weights 'nothing': no such file"),
        (["--scores", "embedding"], "--scores: not for hgg"),
        (["--grouper", "ae", "--scores", "hgg"], "--scores: not for ae"),
        (["--grouper", "ae", "--cut", "1"], "--cut: is of HGG's scores; for embedding distance use --threshold"),
        (["--grouper", "bones", "--scores", "embedding", "--cut", "1"], "--cut: is of HGG's scores"),
        (["--grouper", "bones", "--threshold", "1"], "--threshold: HGG's scores know no embedding distance; use --cut"),
        (["--groups", "r.json"], "FILE, --out, --groups: expected different files"),
        (["--grouper", "ae", "--out", "./c.json"], "FILE, --out, --groups: expected different files"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(folder, capsys, options, message):
    assert main(["group", "c.json", "--out", "r.json", *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert [p.name for p in folder.iterdir()] == ["c.json"]


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"skeleton": "crowdpose"}, [], "weights mine.safetensors group keypoints of skeleton 'coco', these are of '"),
        ({"embedding": [1.0, 2.0]}, [], "weights mine.safetensors expect embeddings of 1 numbers, these have 2"),
        ({"embedding": None}, [], "weights mine.safetensors expect embeddings of 1 numbers, these have none"),
        ({"embedding": None}, ["--grouper", "multicut"], "expect embeddings of 1 numbers, these have none"),
        ({"embedding": None}, ["--grouper", "ae"], "c.json: has no embeddings, by which these are to be grouped"),
        ({"score": 0}, [], "c.json: image 40: candidates[0]: expected a score above 0"),
    ],
)
def test_candidates_that_do_not_fit_are_refused(folder, weights, capsys, change, options, message):
    entries = [{"x": 9.0, "y": 9.0, "type": 0, "score": 0.5, "embedding": [0.0]} | change]
    if entries[0]["embedding"] is None:
        del entries[0]["embedding"]
    skeleton = entries[0].pop("skeleton", "coco")
    document = {"version": 1, "skeleton": skeleton, "images": [IMAGES[0] | {"candidates": entries}]}
    (folder / "c.json").write_text(json.dumps(document))
    assert main(["group", "c.json", "--out", "r.json", "--weights", weights, *options]) == 2
    error = capsys.readouterr().err
    assert "hggbook group: candidate file c.json: " in error
    assert message in error
    assert error.count("\n") == 1
    assert not (folder / "r.json").exists()
