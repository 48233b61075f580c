"""Text that came from outside, as it may be shown: characters that control a terminal, or the order of the text, become "?".

File names, keys, labels of classes, metadata and what libraries say of damaged files can hold anything. Whatever is shown to a
person passes here: the message of each error about data, what a provenance says, all that the commands print, and all pages.
"""

from __future__ import annotations

import unicodedata

__all__ = ["plain_text"]

#: Categories of Unicode: control characters, formats (such as those that reverse the order of text), lone halves of pairs, private
#: characters, and the separators of lines and paragraphs.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def plain_text(text: str, keep: str = "\n\t") -> str:
    """The text with "?" for each character that is not visible, except for those to `keep`.

    Soft hyphens and the joiners of emoji and of some scripts are such characters too.

    >>> plain_text("a\\x1b[31mb\\u202ec"), plain_text("naïve 中文 κ")
    ('a?[31mb?c', 'naïve 中文 κ')
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if character in keep or unicodedata.category(character) not in _HIDDEN else "?" for character in text
    )
