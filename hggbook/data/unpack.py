"""Unpacking archives that come from elsewhere: only what is wanted, only below the folder, whole or not at all."""

import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from hggbook.data.fetch import need_room


def unpack(archive: Path, folder: Path, wanted: Sequence[str] | None = None) -> None:
    """Takes files and folders out of a zip archive.

    Args:
        archive: zip file.
        folder: what is wanted will lie in it, under the names that it has in the archive.
        wanted: files or folders of the archive; all else is left inside. None: everything.

    Raises:
        ValueError: no zip file, a broken one, one that lacks something wanted, or one with a member that would lie
            outside of the folder or is a link. Nothing is unpacked then.
        OSError: not enough room on the disk.

    Not in the paper: bookkeeping.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            members = [member for member in file.infolist() if not member.is_dir()]
            for member in members:
                _check(member, archive)
            names = sorted({PurePosixPath(m.filename).parts[0] for m in members}) if wanted is None else wanted
            chosen = [member for member in members if any(_below(member.filename, name) for name in names)]
            for name in names:
                if not any(_below(member.filename, name) for member in chosen):
                    raise ValueError(f"archive {archive}: expected {name!r} in it, and it is not there")
            folder.mkdir(parents=True, exist_ok=True)
            need_room(folder, sum(member.file_size for member in chosen))
            _move_in(file, chosen, folder, names)
    # NotImplementedError is what zipfile raises for a compression or version it cannot read.
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"archive {archive}: expected a sound zip file, got one that is not: {error}") from None


def _check(member, archive):
    path = PurePosixPath(member.filename.replace("\\", "/"))
    if not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise ValueError(f"archive {archive}: member {member.filename!r} would lie outside of the folder; not unpacked")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise ValueError(f"archive {archive}: member {member.filename!r} is a link; not unpacked")


def _below(name, wanted):
    return name == wanted or name.startswith(wanted.rstrip("/") + "/")


def _move_in(file, members, folder, names):
    temporary = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=folder))
    try:
        for member in members:
            file.extract(member, temporary)
        for name in names:
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(temporary / name, place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
