"""Search: every section of the pages can be found, and the search page needs no network."""

import json

from bs4 import BeautifulSoup

from hggbook.workbook.search import Section, search_body, sections

PAGE = """<section class="text"><p>before any heading</p>
<h2 id="Cut">The cut<a class="anchor-link" href="#Cut">#</a></h2>
<p>Edges below the <b>cut</b> <math data-tex="c">x</math> stay apart.</p></section>
<section class="cell"><pre>cut = 0.5</pre><script>ignored()</script></section>
<section class="text"><h3 id="Veto">Veto</h3><p>undone</p><h4>small</h4><p>print</p></section>"""


def test_a_section_holds_text_code_and_formulas_up_to_the_next_heading():
    assert sections("07.html", "07 · D", PAGE) == [
        Section("07.html", "07 · D", "The cut", "Cut", "Edges below the cut c stay apart. cut = 0.5"),
        Section("07.html", "07 · D", "Veto", "Veto", "undone small print"),
    ]


def test_a_page_without_headings_has_no_sections():
    assert sections("x.html", "x", "<p>nothing</p>") == []


def test_the_search_page_holds_the_sections_and_cannot_be_broken_by_them():
    tricky = Section("x.html", "x", "</script><b>", "y", "a </script> b & ü")
    page = BeautifulSoup(search_body([tricky], "go();"), "html.parser")
    assert json.loads(page.find(id="sections").string)[0]["text"] == tricky.text
    assert page.find("label", {"for": "q"}) is not None
    assert [script.get("src") for script in page.find_all("script")] == [None, None]
