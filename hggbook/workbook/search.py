"""Search in the bound pages without a network: every section's text lies in the search page itself."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bs4 import BeautifulSoup, Tag

_HEADINGS = ("h1", "h2", "h3")
_BLOCKS = frozenset(
    [
        "p",
        "li",
        "dt",
        "dd",
        "h4",
        "h5",
        "pre",
        "div",
        "section",
        "figcaption",
        "caption",
        "td",
        "th",
        "summary",
        "blockquote",
        "br",
    ]
)


@dataclass(frozen=True)
class Section:
    """What stands under one heading: the page, its title, the heading, its anchor, and the text and code below it."""

    page: str
    title: str
    heading: str
    anchor: str
    text: str


def sections(page: str, title: str, markup: str) -> list[Section]:
    """The sections of a page, one for each heading down to the third level; text before the first one is left out.

    Args:
        page: file name that a result links to.
        title: of the page.
        markup: the HTML of its cells.

    Not in the paper: it is the workbook's own machinery.
    """
    soup = BeautifulSoup(markup, "html.parser")
    for element in soup(["script", "style", "svg"]):
        element.decompose()
    for element in soup.find_all(class_="anchor-link"):
        element.decompose()
    for formula in soup.find_all("math"):
        formula.replace_with(str(formula.get("data-tex", "")))
    found: list[tuple[Tag, list[str]]] = []
    for node in soup.descendants:
        if isinstance(node, Tag):
            if node.name in _HEADINGS:
                found.append((node, []))
            elif found and node.name in _BLOCKS:
                found[-1][1].append(" ")
        elif found and not any(parent is found[-1][0] for parent in node.parents):
            found[-1][1].append(str(node))
    return [
        Section(page, title, heading.get_text().strip(), str(heading.get("id") or ""), " ".join("".join(words).split()))
        for heading, words in found
    ]


def search_body(found: Sequence[Section], script: str) -> str:
    """The body of the search page: a field, a list that the script fills, and the sections.

    Args:
        found: of all pages.
        script: what searches them.

    Not in the paper: it is the workbook's own machinery.
    """
    inside = json.dumps([asdict(section) for section in found], ensure_ascii=False).replace("</", "<\\/")
    return (
        "<h1>Search</h1>\n"
        '<form class="search" role="search" action="search.html"><label for="q">All words, in one section:</label> '
        '<input id="q" name="q" type="search" autocomplete="off"></form>\n'
        '<p id="count" role="status"></p>\n<ol id="found"></ol>\n'
        "<noscript><p>Searching needs JavaScript; the pages themselves do not.</p></noscript>\n"
        f'<script type="application/json" id="sections">{inside}</script>\n<script>\n{script}\n</script>'
    )


__all__ = ["Section", "search_body", "sections"]
