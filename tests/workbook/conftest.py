"""What the workbook's tests share: a place where displayed output ends up, because a test has no notebook front end."""

import pytest

from hggbook import widgets
from hggbook.workbook import exercises, notebook


@pytest.fixture
def displayed(monkeypatch) -> list[dict]:
    """Everything displayed during the test, as display bundles (MIME type -> data)."""
    found = []

    def keep(shown, raw=False):
        found.append(shown if raw else {"text/html": shown.data})

    for module in (widgets, exercises, notebook):
        monkeypatch.setattr(module, "display", keep)
    return found
