"""Two profiles of the fuzzers: ``ci``, the same cases each time, and ``long`` (``--hypothesis-profile=long``), new cases."""

from hypothesis import HealthCheck, settings

_SLOW_BY_NATURE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

# One case may write files and start a command, so no case has a deadline.
settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=100, database=None, suppress_health_check=_SLOW_BY_NATURE
)
settings.register_profile(
    "long", deadline=None, max_examples=4000, print_blob=True, suppress_health_check=_SLOW_BY_NATURE
)
settings.load_profile("ci")
