"""What `benchmarks/accelerator.py` measures, row by row; the modules with a `main` are processes of their own."""
