"""Text that came from outside, as it may be shown: characters that control a terminal, or the order of the text, become "?".

File names, keys, labels of classes, metadata and what libraries say of damaged files can hold anything. Whatever is shown to a
person passes here: the message of each error about data, what a provenance says, all that the commands print, and all pages.
"""

from __future__ import annotations

import json
import unicodedata

__all__ = ["plain_json", "plain_text"]

#: Categories of Unicode: control characters, formats (such as those that reverse the order of text), lone halves of pairs, private
#: characters, and the separators of lines and paragraphs.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def plain_text(text: str, keep: str = "\n\t") -> str:
    """The text with "?" for each character that is not visible, except for those to `keep`.

    Soft hyphens and the joiners of emoji and of some scripts are such characters too.

    >>> plain_text("a\\x1b[31mb\\u202ec"), plain_text("naïve 中文 κ")
    ('a?[31mb?c', 'naïve 中文 κ')
    """
    if text.isprintable():  # this leaves spaces other than " " to the categories
        return text
    return text.translate({ord(each): "?" for each in _hidden(text, keep)})


def plain_json(text: str) -> str:
    """JSON with an escape for each character that is not visible, so that it means the same and can be shown.

    >>> print(plain_json('{"a\u202eb": "κ"}'))
    {"a\\u202eb": "κ"}
    """
    return text.translate(
        {ord(each): json.dumps(each)[1:-1] for each in _hidden(text, "\n") if each != "\x7f"} | {127: "\\u007f"}
    )


def _hidden(text: str, keep: str) -> set[str]:
    return {each for each in set(text).difference(keep) if unicodedata.category(each) in _HIDDEN}
