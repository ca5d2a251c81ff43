"""`python -m serving.toolkit`: entry scripts started by plain `python` find the toolkit's names from now on."""

from __future__ import annotations

from serving import toolkit

if __name__ == "__main__":
    print(toolkit.write_path_file())
