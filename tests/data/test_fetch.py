"""Fetching a file: resumed where it broke off, checked, whole or not at all. The server is on this machine."""

import hashlib
import shutil
from collections import namedtuple

import pytest

from hggbook.data import fetch as module
from hggbook.data.fetch import fetch

from .server import serving

CONTENT = bytes(range(256)) * 40
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def server():
    with serving() as state:
        state.files["/a.bin"] = CONTENT
        yield state


def get(server, folder, **options):
    return fetch(f"{server.address}/a.bin", folder / "a.bin", **{"wait": 0.0, "md5": MD5, **options})


def test_a_file_arrives_with_its_progress_and_is_not_fetched_twice(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 4096)
    seen = []
    path = get(server, tmp_path / "new", progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert seen == [(4096, 10240), (8192, 10240), (10240, 10240)]
    assert get(server, tmp_path / "new") == path
    assert len(server.asked) == 1
    assert [p.name for p in path.parent.iterdir()] == ["a.bin"]


def test_a_transfer_that_breaks_off_is_taken_up_where_it_was(server, tmp_path):
    server.break_after["/a.bin"] = [3000, 2000]
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert [wanted for _, wanted in server.asked] == [None, "bytes=3000-", "bytes=5000-"]


def test_what_arrived_stays_for_the_next_call_when_every_try_breaks_off(server, tmp_path):
    server.break_after["/a.bin"] = [1000, 1000]
    with pytest.raises(ConnectionError, match=r"2 tries.*after 2,000 of 10,240 bytes.*2,000 bytes are kept"):
        get(server, tmp_path, tries=2)
    assert not (tmp_path / "a.bin").exists()
    server.break_after.clear()
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.asked[-1] == ("/a.bin", "bytes=2000-")


def test_a_server_that_cannot_go_on_sends_all_of_it_again(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:500])
    server.no_ranges = True
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_whole_already_is_only_checked(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_begun_anew(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT + b"more")
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_without_a_checksum_nothing_is_joined_to_what_an_earlier_call_left(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(b"of another file")
    assert get(server, tmp_path, md5=None).read_bytes() == CONTENT
    assert server.asked == [("/a.bin", None)]


def test_a_wrong_checksum_leaves_nothing_behind(server, tmp_path):
    with pytest.raises(ValueError, match=f"expected a file with md5 {'0' * 32}, got {MD5}"):
        get(server, tmp_path, md5="0" * 32)
    assert list(tmp_path.iterdir()) == []


def test_a_no_of_the_server_is_final_and_a_bad_moment_is_not(server, tmp_path):
    with pytest.raises(ValueError, match=r"b\.bin: the server says 404"):
        fetch(f"{server.address}/b.bin", tmp_path / "b.bin", wait=0.0)
    assert len(server.asked) == 1
    server.errors["/a.bin"] = [503, 500]
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_without_a_network_the_address_is_named(tmp_path):
    with serving() as gone:
        address = gone.address
    with pytest.raises(ConnectionError, match=rf"{address}/a\.bin: not fetched in 2 tries.*refused.*no network\?"):
        fetch(f"{address}/a.bin", tmp_path / "a.bin", tries=2, wait=0.0)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_too_full_is_noticed_before_anything_is_asked_for(server, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**9, 0, 10**9))
    with pytest.raises(OSError, match=r"2\.0 GB are needed, and only 1\.0 GB are free"):
        get(server, tmp_path, size=2 * 10**9)
    assert server.asked == []
