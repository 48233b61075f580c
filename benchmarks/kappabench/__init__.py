"""The parts of ``python benchmarks/page.py``: methods, references, measurements and the renderer of the benchmark page."""
