"""The validation report: theory and simulation side by side, from a :class:`~kappaflow.validation.linear.results.Validation`.

The numbers come in finished; nothing here simulates or predicts, and nothing here needs torch. Every verdict follows from
the outcomes of the comparisons.
"""

from .page import render_validation_page, write_validation_report

__all__ = ["render_validation_page", "write_validation_report"]
