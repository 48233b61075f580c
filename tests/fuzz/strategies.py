"""What the fuzzers share: how many cases they try, and what they draw."""

from __future__ import annotations

from hypothesis import settings

__all__ = ["cases"]


def cases(count: int) -> settings:
    """Settings of a test that tries so many cases in the profile ``ci``, and 40 times as many in the profile ``long``."""
    return settings(max_examples=max(1, count * settings.default.max_examples // 100))
