"""The consistency report: figures, page and files, drawn from a :class:`~kappaflow.consistency.prediction.Prediction`.

The numbers come in finished; nothing here computes a prediction. matplotlib and jinja2 are needed by this subpackage
alone.
"""

from .consistency import figures
from .embed import render_page, write_report

__all__ = ["figures", "render_page", "write_report"]
