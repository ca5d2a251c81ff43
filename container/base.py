"""The base image: the one asked for where it is here or can be pulled, else one made of Debian's packages by mmdebstrap.

    named by the user -> local? pull? -> it, or an error        not named -> debian:bookworm-slim -> local? pull? -> it
                                                                          -> else made here, once

What is made here has what Dockerfile.mxnet asks of a base, so that the build itself needs no network.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
from pathlib import Path

from container import commands, engine
from container.errors import ContainerError
from serving import settings

PUBLIC = "debian:bookworm-slim"
SUITE = "bookworm"
PACKAGES = ("libgomp1", "libquadmath0", "python3.11", "usr-is-merged")
PULL_SECONDS = 600
EPOCH = "1700000000"
"""The time of all files in what is made: the same packages give the same bytes."""

UNWANTED_PATHS = (
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    "/usr/share/lintian/*",
    # Character sets of iconv(3); Python brings its own.
    "/usr/lib/x86_64-linux-gnu/gconv/*",
)
WANTED_PATHS = ("/usr/share/doc/*/copyright",)
NO_USRMERGE = 'printf "Package: usrmerge\\nPin: release *\\nPin-Priority: -1\\n" > "$1/etc/apt/preferences.d/no-usrmerge"'
"""The first choice of a dependency, which brings 50 MB of Perl; `usr-is-merged` is the other, true of new systems."""
STDLIB = Path(__file__).parent / "image" / "stdlib.py"
MERGED_USR = "/usr/share/mmdebstrap/hooks/merged-usr"
CLEAN = (
    'rm -rf "$1"/etc/apt/preferences.d/no-usrmerge "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/cache/debconf/*-old '
    '"$1"/var/cache/ldconfig "$1"/var/log/*.log "$1"/var/log/apt'
)


def ensure(client: str, wanted: str = "") -> str:
    """The name of a base image that the engine has; `wanted` is the user's choice, empty for none.

    ContainerError where the user's choice cannot be had, or where there is neither a hub nor what makes a base.
    """
    name = wanted or PUBLIC
    if _is_here(client, name):
        return name
    if not wanted and _is_here(client, made_name()):
        return made_name()
    commands.show([client, "pull", name])
    if commands.succeeds([client, "pull", "--quiet", name], timeout=PULL_SECONDS):
        return name
    if wanted:
        raise ContainerError(
            f"the base image {wanted} is not here and cannot be pulled",
            "name one that can (BASE=image), or none to have a base made of Debian's packages",
        )
    commands.say(f"{name} cannot be pulled: making {made_name()} of Debian's packages instead (about a minute)")
    return make(client)


def _is_here(client: str, name: str) -> bool:
    return commands.succeeds([client, "image", "inspect", name])


def made_name() -> str:
    """The name of what is made here: another recipe is another image."""
    recipe = repr(_mmdebstrap()).replace(str(STDLIB), STDLIB.read_text())
    return f"ei-base:{SUITE}-{hashlib.sha256(recipe.encode()).hexdigest()[:8]}"


def make(client: str) -> str:
    """Make the base image of Debian's packages; its name."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ContainerError(
            "a base image can be made only by root on Debian",
            "connect the engine to a hub, or name a base that it has (BASE=image)",
        )
    engine.install(engine.missing(("mmdebstrap",)))
    image = _pipe(_mmdebstrap(), [client, "import", "--change", 'CMD ["bash"]', "-"])
    commands.output([client, "tag", image, made_name()], "see above")
    return made_name()


def _mmdebstrap() -> list[str]:
    """The command that writes the root file system as a tar to stdout."""
    options = [f"--dpkgopt=path-exclude={path}" for path in UNWANTED_PATHS]
    options += [f"--dpkgopt=path-include={path}" for path in WANTED_PATHS]
    options += ['--aptopt=Acquire::Languages "none"', '--aptopt=APT::Install-Recommends "false"']
    options += [f"--hook-directory={MERGED_USR}", f"--setup-hook={NO_USRMERGE}"]
    options += [f'--customize-hook=chroot "$1" python3.11 -B - < {shlex.quote(str(STDLIB))}', f"--customize-hook={CLEAN}"]
    return [
        "mmdebstrap", "--quiet", "--mode=root", "--variant=apt", "--components=main", f"--include={','.join(PACKAGES)}",
        *options, SUITE, "-",
    ]  # fmt: skip


def _pipe(source: list[str], sink: list[str]) -> str:
    """Run one command into another; the second's last word on stdout. ContainerError where either fails."""
    commands.show(source)
    commands.show(sink)
    environment = {**settings.environment(), "SOURCE_DATE_EPOCH": EPOCH}
    with subprocess.Popen(source, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=Path("/")) as first:
        second = subprocess.run(sink, stdin=first.stdout, capture_output=True, text=True, check=False)
    image = second.stdout.strip()
    if first.returncode == second.returncode == 0:
        return image
    if image:
        # What was cut off in the middle was imported all the same.
        commands.succeeds([sink[0], "rmi", image])
    raise ContainerError(
        f"the base image could not be made ({source[0]}: {first.returncode}, import: {second.returncode}) {second.stderr.strip()}",
        "see above; Debian's package mirror must be reachable, or name a base that the engine has (BASE=image)",
    )
