"""Print, as JSON, the bytes of every package in this file system: `python census.py`, in a container of the image.

A file counts for the Debian package or the Python distribution that lists it, compiled modules for their source's.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

SKIPPED = ("/proc", "/sys", "/dev")


def main() -> None:
    """Count and print."""
    owners = dict(_debian())
    owners.update(_python())
    sizes: Counter[str] = Counter()
    seen: set[int] = set()
    for path in _files():
        found = os.lstat(path)
        if found.st_nlink == 1 or found.st_ino not in seen:
            sizes[_owner(path, owners)] += found.st_size
        seen.add(found.st_ino)
    print(json.dumps(sizes))


def _files() -> Iterator[str]:
    for folder, folders, names in os.walk("/"):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in SKIPPED]
        yield from (os.path.join(folder, name) for name in names)


def _owner(path: str, owners: dict[str, str]) -> str:
    if path in owners:
        return owners[path]
    folder, name = os.path.split(path)
    if os.path.basename(folder) == "__pycache__":
        source = os.path.join(os.path.dirname(folder), name.partition(".")[0] + ".py")
        if source in owners:
            return owners[source]
        path = source
    if "/site-packages/" in path:
        return path.split("/site-packages/")[1].split("/")[0]
    return "/" + "/".join(path.split("/")[1:3])


def _debian() -> Iterator[tuple[str, str]]:
    for listing in Path("/var/lib/dpkg/info").glob("*.list"):
        package = listing.stem.partition(":")[0]
        for line in listing.read_text().splitlines():
            # Lists still name /lib and /bin, which are links into /usr.
            yield os.path.join(os.path.realpath(os.path.dirname(line)), os.path.basename(line)), f"{package} (Debian)"


def _python() -> Iterator[tuple[str, str]]:
    for dist in metadata.distributions():
        for file in dist.files or ():
            yield str(Path(str(dist.locate_file(file))).resolve()), dist.metadata["Name"]


if __name__ == "__main__":
    main()
