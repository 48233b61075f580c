"""What the fuzzers share: how many cases they try, and what they draw."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st

__all__ = ["Damage", "cases", "damages", "guarded"]


def cases(count: int) -> settings:
    """Settings of a test that tries so many cases in the profile ``ci``, and 40 times as many in the profile ``long``."""
    return settings(max_examples=max(1, count * settings.default.max_examples // 100))


@st.composite
def damages(draw: st.DrawFn) -> Damage:
    """Up to four places of a file that are overwritten, and sometimes a place where it ends or from which a piece is taken out."""
    share = st.floats(0, 1, exclude_max=True) | st.floats(0, 0.02)  # headers lie at the beginning
    content = st.sampled_from([b"\xff" * 8, b"\0" * 8, b"\x7f\xff\xff\xff", b"\x00\x00\x00\x80"]) | st.binary(
        min_size=1, max_size=8
    )
    edits = draw(st.lists(st.tuples(share, content), max_size=4))
    cut = draw(st.none() | share)
    removed = draw(st.none() | st.tuples(share, st.integers(1, 64)))
    return Damage(tuple(edits), cut, removed)


@dataclass(frozen=True)
class Damage:
    """Places by their share of the length, with the bytes put there; the end; a piece that is taken out, with its length."""

    edits: tuple[tuple[float, bytes], ...]
    cut: float | None
    removed: tuple[float, int] | None

    def of(self, content: bytes) -> bytes:
        """The damaged content."""
        changed = bytearray(content)
        for share, new in self.edits:
            place = int(share * len(content))
            changed[place : place + len(new)] = new
        if self.removed is not None:
            place = int(self.removed[0] * len(changed))
            del changed[place : place + self.removed[1]]
        return bytes(changed if self.cut is None else changed[: int(self.cut * len(changed))])


@contextmanager
def guarded(seconds: int = 30, space: int = 3 * 2**29) -> Iterator[None]:
    """A block that must end within so many seconds, and within so much more address space."""
    used = 1024 * int(
        next(
            line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmSize")
        )
    )

    def too_long(*_: object) -> None:
        raise TimeoutError(f"it takes longer than {seconds} seconds")

    before, limits = signal.signal(signal.SIGALRM, too_long), resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + space, limits[1]))
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, limits)
