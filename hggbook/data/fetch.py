"""One file over HTTP: with progress, resumed where it broke off, checked, and there whole or not at all."""

import hashlib
import http.client
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

CHUNK = 1 << 20
TIMEOUT = 30.0  # seconds without a byte
RESERVE = 100 << 20  # bytes that stay free on the disk

Progress = Callable[[int, int | None], None]  # bytes there so far, bytes in all


def fetch(
    url: str, target: Path, *, md5: str | None = None, size: int | None = None, progress: Progress | None = None,
    tries: int = 3, wait: float = 2.0,
) -> Path:  # fmt: skip
    """Downloads a file; does nothing if it is there already.

    What has arrived is kept in ``<name>.part`` beside the file and the next call goes on from there. Without a checksum
    nothing says whether the two halves belong together, so then a file is fetched from its beginning.

    Args:
        url: http, https or file.
        target: where it is to lie; its folder is made.
        md5: what the file must have, as published.
        size: its length in bytes, if known beforehand: a disk that is too full is noticed before anything is fetched.
        progress: called after every piece.
        tries: how often a transfer that breaks off is taken up again.
        wait: seconds before the second try; twice as many before the next.

    Raises:
        ConnectionError: the address cannot be reached, or the transfer broke off in every try.
        ValueError: the server says no, or the checksum is another one (the file is then removed).
        OSError: not enough room on the disk, or it cannot be written.

    Not in the paper: bookkeeping.
    """
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    if md5 is None:
        part.unlink(missing_ok=True)
    need_room(target.parent, (size or 0) - _length(part))
    for turn in range(tries):
        if turn:
            time.sleep(wait * 2 ** (turn - 1))
        try:
            _transfer(url, part, progress)
            break
        except HTTPError as error:
            if error.code < 500:
                raise ValueError(f"{url}: the server says {error.code} {error.reason}") from None
            problem = f"the server says {error.code} {error.reason}"
        except (URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            problem = str(getattr(error, "reason", error)) or type(error).__name__
    else:
        kept = ""
        if md5 and part.exists():
            kept = f"; {_length(part):,} bytes are kept, and the same command goes on from there"
        raise ConnectionError(f"{url}: not fetched in {tries} tries, the last time: {problem} (no network?){kept}")
    if md5 is not None and (found := _md5(part)) != md5:
        part.unlink()
        raise ValueError(f"{url}: expected a file with md5 {md5}, got {found}; what arrived was removed")
    os.replace(part, target)
    return target


def need_room(folder: Path, count: int) -> None:
    """Refuses to begin what would not fit.

    Raises:
        OSError: fewer than ``count`` bytes are free in that folder, besides a reserve.

    Not in the paper: bookkeeping.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    if count > 0 and free < count + RESERVE:
        raise OSError(f"{folder}: {count / 1e9:.1f} GB are needed, and only {free / 1e9:.1f} GB are free")


def _transfer(url, part, progress):
    have = _length(part)
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urlopen(request, timeout=TIMEOUT)
    except HTTPError as error:
        if error.code != 416:  # nothing lies beyond what is there already: whole, or another file
            raise
        if error.headers.get("Content-Range", "").rpartition("/")[2] != str(have):
            part.unlink()
            raise ConnectionError("the file has changed since the last try") from None
        return
    with answer:
        goes_on = getattr(answer, "status", 200) == 206
        if goes_on and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise ConnectionError("the server did not go on where it was asked to")
        have = have if goes_on else 0
        announced = answer.headers.get("Content-Length")
        total = have + int(announced) if announced else None
        need_room(part.parent, (total or 0) - have)
        with part.open("ab" if goes_on else "wb") as file:
            while piece := answer.read(CHUNK):
                file.write(piece)
                have += len(piece)
                if progress:
                    progress(have, total)
    if total is not None and have < total:
        raise ConnectionError(f"broke off after {have:,} of {total:,} bytes")


def _length(path):
    return path.stat().st_size if path.exists() else 0


def _md5(path):
    digest = hashlib.md5(usedforsecurity=False)  # what is published; against broken transfers, not against attackers
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
    return digest.hexdigest()
