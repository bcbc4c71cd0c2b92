"""The real data sets, from a stand-in of their servers and from local copies: laid out, checked, never half."""

import hashlib
import io
import json
import stat
import zipfile
from dataclasses import replace

import cv2
import numpy as np
import pytest

from hggbook import paths
from hggbook.cli import main
from hggbook.config import preset
from hggbook.data import download
from hggbook.data.coco import CocoPeople
from hggbook.data.unpack import unpack
from hggbook.skeleton import COCO, CROWDPOSE

from .server import serving


def picture(width=20, height=16):
    return cv2.imencode(".jpg", np.full((height, width, 3), 90, np.uint8))[1].tobytes()


def coco_file(count, skeleton=COCO, empty=()):
    """Images 1 to ``count`` with a person each, those in ``empty`` without."""
    keypoints = [3, 4, 2] * skeleton.num_types
    person = {"num_keypoints": skeleton.num_types, "iscrowd": 0, "keypoints": keypoints, "category_id": 1}
    return {
        "images": [{"id": i, "file_name": f"{i:06d}.jpg", "width": 20, "height": 16} for i in range(1, count + 1)],
        "annotations": [
            person | {"id": i, "image_id": i, "bbox": [0, 0, 10, 10], "area": 60.0}
            for i in range(1, count + 1) if i not in empty
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(skeleton.keypoints), "skeleton": []}],
    }  # fmt: skip


def zipped(members, links=()):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            if name in links:
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            file.writestr(info, content)
    return buffer.getvalue()


@pytest.fixture
def server(monkeypatch):
    """COCO's server in small: 6 images of val, the last without people."""
    with serving() as state:
        annotations = json.dumps(coco_file(6, empty={6}))
        members = {f"annotations/{kind}_{part}2017.json": annotations
                   for part in ("val", "train") for kind in ("person_keypoints", "captions")}  # fmt: skip
        state.files["/annotations/annotations_trainval2017.zip"] = zipped(members)
        photographs = {f"val2017/{i:06d}.jpg": picture() for i in range(1, 7)}
        state.files["/zips/val2017.zip"] = zipped(photographs)
        state.files |= {f"/{name}": content for name, content in photographs.items()}
        parts = {
            part: replace(archive, md5=hashlib.md5(state.files[f"/{archive.path}"]).hexdigest(), size=None)
            for part, archive in download.COCO_PARTS.items() if f"/{archive.path}" in state.files
        }  # fmt: skip
        monkeypatch.setattr(download, "COCO_PARTS", parts)
        yield state


def test_coco_is_laid_out_as_the_library_looks_for_it(server, tmp_path, capsys):
    assert main(["download", "coco", "--out", str(tmp_path), "--mirror", server.address]) == 0
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert found == [
        "coco/annotations/person_keypoints_train2017.json", "coco/annotations/person_keypoints_val2017.json",
        *(f"coco/val2017/{i:06d}.jpg" for i in range(1, 7)),
    ]  # fmt: skip
    said = capsys.readouterr().out
    assert f"there: {tmp_path}/coco/val2017" in said
    of = f"{tmp_path}/coco/annotations/person_keypoints_val2017.json"
    assert said.endswith(f"val2017: --annotations {of} --images {tmp_path}/coco/val2017\n")
    data = CocoPeople(tmp_path / "coco/annotations/person_keypoints_val2017.json", tmp_path / "coco/val2017")
    assert len(data) == 6
    assert data[0].image.shape == (16, 20, 3)


@pytest.mark.parametrize("variable", [paths.DATA_VARIABLE, None])
def test_the_papers_training_finds_what_was_fetched(server, tmp_path, monkeypatch, variable):
    """In ``HGGBOOK_DATA``, or without it in the project's ``data/``: no path has to be typed."""
    monkeypatch.delenv(paths.DATA_VARIABLE, raising=False)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path))
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))
    assert main(["download", "coco", "--parts", "annotations", "--mirror", server.address]) == 0
    found = paths.find_data(preset("paper").data.train)
    assert found.is_relative_to(tmp_path / ("elsewhere" if variable else "data"))


def test_what_is_there_is_not_fetched_again(server, tmp_path):
    download.download_coco(tmp_path, ["annotations", "val"], address=server.address)
    (tmp_path / "coco/annotations/person_keypoints_val2017.json").unlink()
    own = tmp_path / "coco/annotations/person_keypoints_train2017.json"
    own.write_text("mine")
    server.asked.clear()
    download.download_coco(tmp_path, ["annotations", "val"], address=server.address)
    assert [path for path, _ in server.asked] == ["/annotations/annotations_trainval2017.zip"]
    assert own.read_text() == "mine"


def test_a_subset_is_a_data_set_of_its_own_and_part_of_every_larger_one(server, tmp_path, capsys):
    assert main(["download", "coco", "--subset", "2", "--out", str(tmp_path), "--mirror", server.address]) == 0
    line = capsys.readouterr().out.split()
    annotations, images = (line[line.index(name) + 1] for name in ("--annotations", "--images"))
    two = CocoPeople(annotations, images)
    assert len(two) == 2
    assert all(len(two[i].keypoints) == 1 for i in range(2))
    download.download_subset(tmp_path, 5, address=server.address)
    five = CocoPeople(annotations, images)
    assert set(two.image_ids) < set(five.image_ids) == {1, 2, 3, 4, 5}  # image 6 shows nobody
    with pytest.raises(ValueError, match="from 1 to 5 .*, got 6"):
        download.download_subset(tmp_path, 6, address=server.address)


def test_photographs_that_fail_are_named_and_left_out(server, tmp_path, capsys):
    server.files["/val2017/000003.jpg"] = b"<html>not a picture</html>"
    server.files["/val2017/000004.jpg"] = picture(width=30)
    del server.files["/val2017/000005.jpg"]
    assert main(["download", "coco", "--subset", "5", "--out", str(tmp_path), "--mirror", server.address]) == 1
    said = capsys.readouterr()
    assert "2 photographs" in said.out
    for problem in ("000003.jpg", "another size", "404"):
        assert problem in said.err
    folder = tmp_path / "coco/subset_val2017"
    assert set(CocoPeople(folder / "person_keypoints.json", folder / "images").image_ids) == {1, 2}
    assert len(list((folder / "images").iterdir())) == 2


def test_what_cannot_be_asked_for_is_said(server, tmp_path, capsys):
    assert main(["download", "coco", "--parts", "validation", "--out", str(tmp_path)]) == 2
    assert "expected some of ('annotations', 'val')" in capsys.readouterr().err
    assert main(["download", "crowdpose", "--out", str(tmp_path)]) == 2
    assert "github.com/Jeff-sjtu/CrowdPose; then: hggbook download crowdpose --from PATH" in capsys.readouterr().err
    assert main(["download", "coco", "--from", "x.zip", "--out", str(tmp_path)]) == 2
    assert main(["download", "coco", "--subset", "0", "--out", str(tmp_path), "--mirror", server.address]) == 2
    assert "expected a count of at least 1, got 0" in capsys.readouterr().err
    assert main(["download", "coco", "--out", str(tmp_path), "--mirror", "my-server"]) == 2
    assert "--mirror: expected an address with http:// or https://, got 'my-server'" in capsys.readouterr().err
    assert main(["download", "ochuman", "--from", str(tmp_path), "--subset", "3", "--out", str(tmp_path)]) == 2
    assert "ochuman is taken from a copy that you have" in capsys.readouterr().err
    assert server.asked == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("members", "links", "problem"),
    [
        ({"a/1.jpg": b"1", "../evil": b"x"}, (), "'../evil' would lie outside"),
        ({"a/1.jpg": b"1", "/etc/evil": b"x"}, (), "'/etc/evil' would lie outside"),
        ({"a/1.jpg": b"1", "a\\..\\..\\evil": b"x"}, (), "would lie outside"),
        ({"a/1.jpg": b"1", "a/link": b"/etc/passwd"}, ("a/link",), "'a/link' is a link"),
        ({"a/1.jpg": b"1", ".": b"x"}, (), "'.' would lie outside"),
        ({"b/1.jpg": b"1"}, (), "expected 'a' in it"),
    ],
)
def test_an_archive_that_wants_out_of_its_folder_is_not_unpacked_at_all(tmp_path, members, links, problem):
    archive = tmp_path / "x.zip"
    archive.write_bytes(zipped(members, links))
    with pytest.raises(ValueError, match=problem.replace(".", r"\.")):
        unpack(archive, tmp_path / "in" / "here", ["a"])
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["x.zip"]


@pytest.mark.parametrize("cut", [-10, 40])
def test_a_broken_archive_leaves_nothing_half(tmp_path, cut):
    whole = bytearray(zipped({"a/1.jpg": b"1" * 100, "a/2.jpg": b"2" * 100}))
    archive = tmp_path / "x.zip"
    if cut > 0:
        whole[cut] ^= 0xFF  # within the first member: its checksum no longer fits
    archive.write_bytes(whole[:cut] if cut < 0 else whole)
    with pytest.raises(ValueError, match=r"x\.zip: expected a sound zip file"):
        unpack(archive, tmp_path / "here", ["a"])
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["x.zip"]


@pytest.mark.parametrize("name", ["ochuman", "crowdpose"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_copy_that_a_user_has_is_checked_and_taken_in(tmp_path, capsys, name, packed):
    skeleton = {"ochuman": COCO, "crowdpose": CROWDPOSE}[name]
    members = {"Images/sub/000001.jpg": picture(), "Images/000002.jpg": picture(), "Images/unlisted.jpg": b"x"}
    members |= {"json/test.json": json.dumps(coco_file(2, skeleton)), "other.json": "[1, 2]"}
    source = tmp_path / "mine"
    for path, content in members.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(content.encode() if isinstance(content, str) else content)
    if packed:
        source = tmp_path / "mine.zip"
        source.write_bytes(zipped(members))
    assert main(["download", name, "--from", str(source), "--out", str(tmp_path / "data")]) == 0
    folder = tmp_path / "data" / name
    told = f"2 images, 2 people: --annotations {folder}/annotations/test.json --images {folder}/images\n"
    assert capsys.readouterr().out == told
    assert sorted(path.name for path in (folder / "images").iterdir()) == ["000001.jpg", "000002.jpg"]
    data = CocoPeople(folder / "annotations/test.json", folder / "images", skeleton)
    assert len(data) == 2
    assert data[1].keypoints.shape == (1, skeleton.num_types, 3)
    assert main(["download", name, "--from", str(source), "--out", str(tmp_path / "data")]) == 2  # never overwritten


def test_a_copy_that_lacks_something_is_refused_whole(tmp_path):
    source = tmp_path / "mine"
    source.mkdir()
    with pytest.raises(ValueError, match="no such file or folder"):
        download.adopt(tmp_path / "data", "ochuman", tmp_path / "nowhere")
    with pytest.raises(ValueError, match="the 17 keypoints of 'coco', found none. OCHuman is given out"):
        download.adopt(tmp_path / "data", "ochuman", source)
    (source / "test.json").write_text(json.dumps(coco_file(2)))
    (source / "000001.jpg").write_bytes(picture())
    with pytest.raises(ValueError, match=r"1 of 2 photographs are missing, e\.g\. 000002\.jpg"):
        download.adopt(tmp_path / "data", "ochuman", source)
    (source / "000002.jpg").write_bytes(picture())
    (source / "more").mkdir()
    (source / "more" / "000001.jpg").write_bytes(picture())
    with pytest.raises(ValueError, match=r"two photographs are called 000001\.jpg"):
        download.adopt(tmp_path / "data", "ochuman", source)
    assert not (tmp_path / "data").exists()
