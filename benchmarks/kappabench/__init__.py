"""What ``python benchmarks/page.py`` runs: methods, references, measurements and the renderer of the benchmark page."""
