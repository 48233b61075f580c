"""Reads a page as a browser would: tags, attributes, text and numbers; refuses tags that do not match."""

import re
from html.parser import HTMLParser

from kappaflow.report.page import page

VOID = {"meta", "link", "img", "br", "hr", "input", "source", "wbr", "col", "area", "base", "embed", "track"}
#: A drawn figure without anything on it, for tests of the text around figures.
BLANK = {"svg": b'<svg viewBox="0 0 1 1"></svg>', "png": b"png"}


class Page(HTMLParser):
    """Collects tags, attributes and text, and insists on balance."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.text, self.data = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text.append(data)
            if self.open and self.open[-1] == "data":
                self.data.append(float(self.tags[-1][1]["value"]))

    def attributes(self, name):
        return [(tag, attrs[name]) for tag, attrs in self.tags if name in attrs]

    @property
    def words(self):
        return re.sub(r"\s+", " ", "".join(self.text))


def undrawn(document):
    """The page of a document with blank figures, for tests of its text."""
    return Page(page(document, {picture.name: BLANK for picture in document.pictures}))


def drawn(document, name):
    """One figure of a document."""
    return next(picture for picture in document.pictures if picture.name == name).draw()
