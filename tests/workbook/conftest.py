"""What the workbook's tests share: a place where displayed output ends up, because a test has no notebook front end."""

import pytest

from hggbook import paths, widgets
from hggbook.workbook import exercises, notebook, runner, upload


@pytest.fixture
def displayed(monkeypatch) -> list[dict]:
    """Everything displayed during the test, as display bundles (MIME type -> data)."""
    found = []

    def keep(shown, raw=False):
        found.append(shown if raw else {"text/html": shown.data})

    for module in (widgets, exercises, notebook, upload):
        monkeypatch.setattr(module, "display", keep)
    return found


@pytest.fixture(scope="session")
def smoke_book(tmp_path_factory) -> runner.BookRun:
    """The whole book in the profile smoke, executed once a session, as on a machine without any download."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(paths.DATA_VARIABLE, raising=False)
        return runner.run_book("smoke", out=tmp_path_factory.mktemp("book") / "smoke")
