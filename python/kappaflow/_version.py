"""The one place that states the version; the build and ``version.hpp`` read it from here."""

__version__ = "0.1.0"
