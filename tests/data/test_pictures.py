"""Photographs and videos of a user's own: what is found under a name, and how each kind of file is read or refused."""

import cv2
import numpy as np
import pytest
from PIL import Image

from hggbook.data.pictures import IMAGES, VIDEOS, Picture, Remark, find_pictures, read_photograph, read_pictures

UPPER, LOWER = (200, 100, 50), (20, 220, 120)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def two_halves(height=30, width=40):
    """A picture whose upper half has one colour and whose lower half another, to tell which way it is turned."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2], image[height // 2 :] = UPPER, LOWER
    return image


def save(name, image=None, mode="RGB", **options):
    picture = Image.fromarray(two_halves() if image is None else image)
    (picture if mode == "RGB" else picture.convert(mode)).save(name, **options)
    return name


def tag(value):
    exif = Image.Exif()
    exif[274] = value
    return exif


def write_video(name, frames=12, code="MJPG", rate=10.0):
    video = cv2.VideoWriter(name, cv2.VideoWriter_fourcc(*code), rate, (64, 48))
    for number in range(frames):
        video.write(np.full((48, 64, 3), number * 20, np.uint8))
    video.release()
    return name


def read(*names, **options):
    """Pictures and remarks of the files that names stand for."""
    files, remarks = find_pictures(names)
    items = list(read_pictures(files, **options))
    return [i for i in items if isinstance(i, Picture)], remarks + [i for i in items if isinstance(i, Remark)]


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("p.png", "RGB"), ("p.jpg", "RGB"), ("p.jpg", "CMYK"), ("p.png", "RGBA"), ("p.tif", "RGB"), ("p.bmp", "RGB"),
        ("p.webp", "RGB"), ("p.tif", "CMYK"),
    ],
)  # fmt: skip
def test_every_kind_of_colour_image_is_read_as_rgb(folder, name, mode):
    image = read_photograph(save(name, mode=mode))
    assert (image.shape, image.dtype) == ((30, 40, 3), np.uint8)
    assert np.abs(image.astype(int) - two_halves())[[0, -1]].max() <= 6  # some kinds blur where colours meet


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_grey_is_spread_over_the_three_channels(folder, mode):
    image = read_photograph(save("grey.png", mode=mode))
    assert image.shape == (30, 40, 3)
    assert (image == image[:, :, :1]).all()


@pytest.mark.parametrize("name", ["palette.png", "palette.gif"])
def test_a_palette_is_looked_up(folder, name):
    expected = np.asarray(Image.fromarray(two_halves()).convert("P").convert("RGB"))
    assert (read_photograph(save(name, mode="P")) == expected).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_cut_to_eight(folder, channels):
    deep = two_halves()[:, :, ::-1].astype(np.uint16) * 257
    cv2.imwrite("deep.png", deep if channels == 3 else deep[:, :, 2])
    expected = two_halves() if channels == 3 else two_halves()[:, :, :1].repeat(3, axis=2)
    assert np.abs(read_photograph("deep.png").astype(int) - expected).max() <= 1


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("grey", [False, True])
def test_transparency_is_laid_on_white(folder, bits, grey):
    top = 255 if bits == 8 else 65535
    image = np.zeros((30, 40, 4), np.uint8 if bits == 8 else np.uint16)
    image[:10, :, 3], image[10:20, :, 3] = top, top // 2 + 1  # black: opaque, half, not there
    if grey:
        Image.fromarray(np.zeros((30, 40), np.uint8)).convert("LA").save("cut.png")
        with Image.open("cut.png") as opaque:
            opaque.putalpha(Image.fromarray((image[:, :, 3] >> (bits - 8)).astype(np.uint8)))
            opaque.save("cut.png")
    else:
        cv2.imwrite("cut.png", image)
    got = read_photograph("cut.png")
    assert [int(got[row, 0, 0]) for row in (5, 25)] == [0, 255]
    assert int(got[15, 0, 0]) == pytest.approx(127, abs=1)


@pytest.mark.parametrize("name", ["turned.jpg", "turned.png"])
def test_an_orientation_tag_is_applied_unless_as_stored(folder, name):
    save(name, exif=tag(6), quality=95)  # "turn by 90 degrees to the right to show it"
    image = read_photograph(name)
    assert image.shape == (40, 30, 3)
    assert np.abs(image[20, 2].astype(int) - LOWER).max() < 10  # what was stored below is now on the left
    assert np.abs(image[20, 27].astype(int) - UPPER).max() < 10
    assert read_photograph(name, as_stored=True).shape == (30, 40, 3)


@pytest.mark.parametrize(("value", "turned"), [(1, False), (3, False), (5, True), (8, True), (9, False)])
def test_every_orientation_gives_the_size_that_is_seen(folder, value, turned):
    assert read_photograph(save("t.jpg", exif=tag(value))).shape[:2] == ((40, 30) if turned else (30, 40))


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (3648, 5472)])
def test_any_size_is_read(folder, size):
    cv2.imwrite("sized.png", np.full((*size, 3), 7, np.uint8))
    assert read_photograph("sized.png").shape == (*size, 3)


@pytest.mark.parametrize(
    ("name", "kept"), [("c.jpg", 0.6), ("c.png", 0.6), ("c.tif", 0.5), ("c.webp", 0.7), ("c.jpg", 0)]
)
def test_an_image_that_was_cut_short_is_refused_by_name_and_the_rest_is_read(folder, capfd, name, kept):
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    data = (folder / save(name, noise)).read_bytes()
    (folder / name).write_bytes(data[: int(kept * len(data))])
    pictures, (remark,) = read(name, save("good.png"))
    assert [p.file for p in pictures] == ["good.png"]
    assert f"image {name}: expected an image file, got {int(kept * len(data))} bytes that do not decode" in remark.text
    assert remark.refused
    assert capfd.readouterr().err == ""  # no library complains beside us


def test_what_is_no_image_is_refused_whatever_its_name(folder):
    (folder / "page.jpg").write_text("<html>not found</html>")
    (folder / "phone.jpg").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    cv2.imwrite("float.tiff", np.zeros((4, 4, 3), np.float32))
    pictures, remarks = read("page.jpg", "phone.jpg", "float.tiff")
    assert not pictures
    assert ["got 22 bytes" in remarks[0].text, "got HEIC" in remarks[1].text] == [True, True]
    assert all(remark.refused for remark in remarks)


def test_what_cannot_be_opened_is_refused(folder, monkeypatch):
    save("secret.png")
    write_video("secret.avi")
    (folder / "secret.png").chmod(0)
    (folder / "secret.avi").chmod(0)

    def closed(self, *rest, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", closed)  # root may read anything
    monkeypatch.setattr("pathlib.Path.read_bytes", closed)
    pictures, remarks = read("secret.png", "secret.avi")
    assert not pictures
    assert [r.text for r in remarks] == [
        "image secret.png: cannot be read: Permission denied", "video secret.avi: cannot be read: Permission denied",
    ]  # fmt: skip


def test_a_folder_gives_its_pictures_in_order_and_names_the_rest(folder):
    (folder / "in" / "deeper").mkdir(parents=True)
    for name in ("b.PNG", "a.jpg", ".hidden.png", "deeper/c.png"):
        save(folder / "in" / name)
    for name in ("notes.txt", "list.csv", ".DS_Store"):
        (folder / "in" / name).write_text("x")
    files, (remark,) = find_pictures(["in"])
    assert [f.name for f in files] == ["a.jpg", "b.PNG"]
    assert remark.text == (
        "folder in: passed over: 2 without a picture's ending (list.csv, notes.txt); 1 folders in it (deeper)"
    )
    assert not remark.refused


def test_a_link_that_leads_nowhere_is_refused_by_name(folder):
    (folder / "in").mkdir()
    save("in/a.png")
    (folder / "in" / "b.png").symlink_to(folder / "gone.png")
    files, remarks = find_pictures(["in"])
    picture, remark = read_pictures(files)
    assert (picture.file, remarks) == ("in/a.png", [])
    assert remark.file == "in/b.png"
    assert "b.png" in remark.text
    assert remark.refused


@pytest.mark.parametrize("content", [[], ["notes.txt"]])
def test_a_folder_without_pictures_is_refused(folder, content):
    (folder / "in").mkdir()
    for name in content:
        (folder / "in" / name).write_text("x")
    files, (remark,) = find_pictures(["in"])
    assert not files
    assert remark.text == f"folder in: expected pictures or videos, found {'1' if content else 'no'} other files"
    assert remark.refused


def test_patterns_reach_into_folders_and_each_file_is_taken_once(folder):
    (folder / "x" / "y").mkdir(parents=True)
    names = [save("x/1.png"), save("x/y/2.png"), save("x/y/[3].png")]
    files, remarks = find_pictures(["x/**/*.png", "x", "./x/1.png", "x/y/[3].png", "x/*.gif", "gone.png"])
    assert sorted(map(str, files)) == sorted(names)
    assert [r.text for r in remarks] == [
        "folder x: passed over: 1 folders in it (y)",
        "pattern x/*.gif: expected pictures or videos, found no other files",
        "gone.png: expected a picture, a video or a folder, found nothing there",
    ]


@pytest.mark.parametrize(("name", "code"), [("v.avi", "MJPG"), ("v.mp4", "mp4v")])
def test_every_so_many_th_frame_of_a_video_with_number_and_second(folder, name, code):
    pictures, remarks = read(write_video(name, code=code), every=5)
    assert [(p.frame, p.second, p.name) for p in pictures] == [
        (0, 0.0, "v_frame000000"), (5, 0.5, "v_frame000005"), (10, 1.0, "v_frame000010"),
    ]  # fmt: skip
    assert [round(p.image.mean() / 20) for p in pictures] == [0, 5, 10]
    assert not remarks


def test_a_video_is_stopped_at_the_limit_and_says_so(folder):
    pictures, (remark,) = read(write_video("v.avi"), every=2, frames=3)
    assert [p.frame for p in pictures] == [0, 2, 4]
    assert remark.text == "video v.avi: stopped after 3 frames, at frame 6 of about 12"
    assert not remark.refused
    assert len(read("v.avi", frames=0)[0]) == 12
    assert not read("v.avi", frames=12)[1]  # exactly as many as there are


def test_a_broken_video_is_refused(folder):
    data = (folder / write_video("v.mp4", code="mp4v")).read_bytes()
    (folder / "v.mp4").write_bytes(data[:400])
    (folder / "w.avi").write_text("no video")
    pictures, remarks = read("v.mp4", "w.avi")
    assert not pictures
    for remark, name in zip(remarks, ("v.mp4", "w.avi"), strict=True):
        assert remark.refused
        assert remark.text.startswith(f"video {name}: expected a video, got a file without a frame that decodes")


def test_a_video_that_ends_early_keeps_its_frames_and_is_remarked(folder, monkeypatch):
    class Short:
        left = 3

        def __init__(self, name):
            pass

        def get(self, what):
            return {cv2.CAP_PROP_FRAME_COUNT: 12.0, cv2.CAP_PROP_FPS: 0.0}[what]

        def isOpened(self):
            return True

        def grab(self):
            self.left -= 1
            return self.left >= 0

        def retrieve(self):
            return True, np.zeros((4, 4, 3), np.uint8)

        def release(self):
            pass

    (folder / "v.mp4").touch()
    monkeypatch.setattr(cv2, "VideoCapture", Short)
    pictures, (remark,) = read("v.mp4")
    assert [(p.frame, p.second) for p in pictures] == [(0, None), (1, None), (2, None)]
    assert remark.text == "video v.mp4: ends after 3 of 12 frames (cut short?)"
    assert remark.refused


def test_nonsense_limits_are_refused():
    for options in ({"every": 0}, {"frames": -1}):
        with pytest.raises(ValueError, match="expected every >= 1 and a limit >= 0"):
            list(read_pictures([], **options))


def test_endings_are_lower_case_and_of_one_kind():
    assert all(ending == ending.lower() for ending in IMAGES + VIDEOS)
    assert not set(IMAGES) & set(VIDEOS)
