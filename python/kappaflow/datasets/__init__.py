"""Readers of images, and the real datasets that Python packages ship.

:func:`open_images` turns a folder, a file, an array or a built-in name into an :class:`ImageSource`: batches of float64
rows with pixels in [-1, 1]. :meth:`kappaflow.Population.from_samples` accepts such a source directly.
"""

from __future__ import annotations

from .builtin import BUILTIN_NAMES
from .errors import DataError
from .opening import open_images
from .source import ImageSource

__all__ = ["BUILTIN_NAMES", "DataError", "ImageSource", "open_images"]
