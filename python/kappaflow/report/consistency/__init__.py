"""The report of ``kappaflow predict``: its figures and sentences."""
