"""What a document refuses, and how its parts look on the page."""

import pytest
from matplotlib.figure import Figure

from kappaflow.report.document import Cell, Document, Picture, Prose, Section, Table, Tile, present
from kappaflow.report.page import inline, page
from page_parser import BLANK, undrawn


def picture(name, **more):
    return Picture(name=name, caption="c", alternative="a", draw=Figure, **more)


def toy(*parts, name="one", takeaways=(), **more):
    sections = (Section(name=name, title="One & all", parts=parts, takeaways=takeaways),)
    fields = {"kind": "Toy", "source": "<toys>", "title": "Of {source}?", "mood": "", "answer": "Yes."}
    return Document(**{**fields, "sections": sections, **more})


def test_names_are_names_and_no_two_are_the_same():
    with pytest.raises(ValueError, match="names of pictures must be different, got 'a' twice"):
        toy(picture("a"), picture("a"))
    with pytest.raises(ValueError, match="names of pictures must be letters, digits, - and _ alone, got 'a b'"):
        toy(picture("a b"))
    with pytest.raises(ValueError, match=r"names of tables must be .* got '\.\./x'"):
        toy(Table("../x", "c", {"n": [1]}))
    with pytest.raises(ValueError, match="sections must hold at least one section, got none"):
        toy(sections=())
    assert toy(picture("a"), Table("a", "c", {"n": [1]})).pictures[0].name == "a"


def test_tables_are_rectangular():
    with pytest.raises(ValueError, match=r"columns of table 't' must have one length, got \[1, 2\]"):
        Table("t", "c", {"a": [1], "b": [1, 2]})
    with pytest.raises(ValueError, match="groups of table 't' must have 2 rows, got 3"):
        Table("t", "c", {"a": [1, 2]}, groups={"x": 3})
    with pytest.raises(ValueError, match="moods of table 't' must be 2, got 1"):
        Table("t", "c", {"a": [1, 2]}, moods=["yes"])
    with pytest.raises(ValueError, match=r"words of table 't' must be headings of columns, got \['b'\]"):
        Table("t", "c", {"a": [1]}, words=["b"])


def test_sections_without_data_are_not_built():
    some = Section(name="one", title="One")
    assert present([None, some, None]) == (some,)


def test_a_block_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"block must be one of .*words.* in consistency\.html\.j2, got 'nothing'"):
        page(toy(Prose("consistency.html.j2", "nothing")))


def test_tables_on_the_page():
    table = Table(
        "t",
        "Of <things>",
        {"Row": ["first", "second"], "Size": [1234.5, None], "Verdict": [Cell("good", mood="yes"), "–"]},
        words=["Verdict"],
        groups={"A": 1, "B": 1},
        moods=["yes", ""],
        marked=1,
    )
    shown = undrawn(toy(table))
    assert "Of <things> RowSizeVerdict A first1,234good B second––" in shown.words
    rows = [attrs.get("class") for tag, attrs in shown.tags if tag == "tr"]
    assert rows == [None, None, "yes", None, "marked"]
    assert ("span", "mark yes") in shown.attributes("class")
    assert ("th", "words") in shown.attributes("class")


def test_columns_of_sentences_are_wider_than_those_of_words():
    sentence = "misses in all eight comparisons, at worst by a factor of nine"
    table = Table("t", "c", {"Row": ["first", "second"], "Verdict": ["agrees", sentence]}, words=["Verdict"])
    cells = [value for tag, value in undrawn(toy(table)).attributes("class") if tag == "td"]
    assert cells == ["words", "words long"]


def test_long_tables_with_a_file_are_left_to_it():
    columns = {"n": list(range(60))}
    assert "it is in its file beside this page" in undrawn(toy(Table("t", "c", columns, file=True))).words
    assert "tables/t.csv" in undrawn(toy(Table("t", "c", columns, file=True))).words
    assert " 58 59 " in undrawn(toy(Table("t", "c", columns))).words


def test_everything_is_escaped_and_one_takeaway_is_a_paragraph():
    tile = Tile(label="<b>", text="1", value=1, hint="h")
    document = toy(picture("a", title="<i>", takeaway="<u>"), takeaways=("a < b",), tiles=(tile,), notes=("<p>",))
    text = page(document, {"a": {"svg": b'<svg viewBox="0 0 1 1"></svg>'}})
    for bad in ("<toys>", "<b>1", "<i>", "<u>", "<p><"):
        assert bad not in text
    assert '<p class="takeaway">a &lt; b</p>' in text
    assert "<h1>Of <b>&lt;toys&gt;</b>?</h1>" in text
    assert "<li>a</li>" in page(toy(takeaways=("a", "b")))


def test_inline_svg_needs_a_view_box():
    with pytest.raises(ValueError, match="inline: the SVG of x must have a viewBox"):
        inline("<svg width='1'></svg>", "x", "text")


def test_lines_do_not_end_inside_a_setting_or_a_percentage():
    document = toy(picture("a", title="At n = 1,000"), takeaways=("12 % at σ = 0.1, where x = y and the mean = 3",))
    space = "\N{NO-BREAK SPACE}"
    text = page(document, {"a": BLANK})
    assert f"At n{space}={space}1,000" in text
    assert f"12{space}% at σ{space}={space}0.1, where x = y and the mean = 3" in text
