"""The report on networks: same-seed images, consistency and memorisation, and the theory beside them.

The numbers come in finished, from a :class:`~kappaflow.validation.network.results.NetworkValidation`; nothing here trains
or predicts, and nothing here needs torch. Runs that fail the gate are shown as such and are in no average.
"""

from .findings import find
from .page import render_network_page, write_network_report

__all__ = ["find", "render_network_page", "write_network_report"]
