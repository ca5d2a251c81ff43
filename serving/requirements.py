"""A user's `code/requirements.txt`, installed at the start, beside the server's own packages and never over them.

    code/lib? -> it is all there is        requirements.txt -> pins -> pip install --prefix site/DIGEST -> sys.path

pip sees the server's packages as installed and held by constraints, so that only what is missing comes into the folder: a
requirement that the server already meets costs nothing and needs no index, one that would replace a package of the server
(numpy under MXNet) is refused by name. A folder of the same digest is complete and used again.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from time import monotonic

from serving import codeartifact
from serving import settings as environment
from serving.errors import ModelError
from serving.settings import Settings

log = logging.getLogger("ei.start")

QUOTED_LINES = 5
OFFLINE = (
    "NewConnectionError",
    "ConnectTimeoutError",
    "name resolution",
    "Network is unreachable",
    "Connection refused",
    "ProxyError",
)
"""What pip says where no index can be reached."""


def install(code: Path | None, settings: Settings, pip: str = "") -> Path | None:
    """Make the user's packages importable before user code is; the folder they lie in, or None where there are none.

    `code` is the model's code folder; `code/lib` wins over requirements. `pip` names a zipapp for where the interpreter has
    no pip module. ModelError, one message with the remedy and at most five lines of pip's, where it does not work.
    """
    if code is None:
        return None
    library = code / "lib"
    if library.is_dir():
        if (code / "requirements.txt").is_file():
            log.info("%s is used as it is, requirements.txt is not installed", library)
        return _importable(library)
    requirements = code / "requirements.txt"
    if not _wanted(requirements):
        return None
    wheelhouse = _wheelhouse(code, settings)
    digest = hashlib.sha256(f"{sys.version} {sys.prefix} {wheelhouse}".encode() + requirements.read_bytes()).hexdigest()[:16]
    target = settings.site / digest
    if target.is_dir():
        log.info("%s is installed already", requirements)
    else:
        _fill(target, requirements, wheelhouse, _pip(pip, requirements), settings)
    return _importable(_packages(target))


def _wanted(requirements: Path) -> bool:
    """Whether the file asks for anything: comments and blank lines do not."""
    try:
        lines = requirements.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return False
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{requirements} cannot be read: {error}; expected one requirement a line, in UTF-8") from None
    return any(line.strip() and not line.strip().startswith("#") for line in lines)


def _importable(folder: Path) -> Path:
    """Put the folder first on the import path, once."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return folder


def _wheelhouse(code: Path, settings: Settings) -> Path | None:
    """The folder of wheels to use instead of an index: the setting's, else the model's own."""
    if settings.wheelhouse:
        if not Path(settings.wheelhouse).is_dir():
            raise ModelError(
                f"EI_WHEELHOUSE={settings.wheelhouse}: there is no such folder; mount the wheels there, or unset it"
            )
        return Path(settings.wheelhouse)
    return code / "wheelhouse" if (code / "wheelhouse").is_dir() else None


def _pip(zipapp: str, requirements: Path) -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    if zipapp and Path(zipapp).is_file():
        return [sys.executable, zipapp]
    raise ModelError(f"{requirements} cannot be installed: there is no pip here; put the packages into code/lib beside it")


def _fill(target: Path, requirements: Path, wheelhouse: Path | None, pip: list[str], settings: Settings) -> None:
    """Install to a temporary name and rename, so that a folder that is there is whole."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=target.parent))
    except OSError as error:
        raise ModelError(
            f"{requirements} cannot be installed to {target.parent}: {error.strerror}; mount a writable folder there (--tmpfs /tmp), "
            "name another by EI_SITE, or put the packages into code/lib beside it"
        ) from None
    try:
        constraints = partial / "constraints.txt"
        constraints.write_text("".join(f"{pin}\n" for pin in _pins(target.parent)))
        begin = monotonic()
        log.info("installing %s", requirements)
        options = ["--no-index", "--find-links", str(wheelhouse)] if wheelhouse else []
        options += ["--prefix", str(partial), "--constraint", str(constraints), "--requirement", str(requirements)]
        _run(pip, options, partial, requirements, settings)
        partial.chmod(0o755)
        partial.rename(target)
        log.info(
            "installed %s in %.1f s: %s",
            requirements,
            monotonic() - begin,
            ", ".join(_installed(target)) or "nothing was missing",
        )
    except OSError as error:
        if not target.is_dir():  # another process of ours may have installed the same meanwhile
            raise ModelError(f"{requirements} cannot be installed to {target.parent}: {error}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _pins(site: Path) -> list[str]:
    """The server's own distributions, each at its version; not what an earlier start installed for a user."""
    folders = [folder for folder in sys.path if not Path(folder).is_relative_to(site)]
    found = {dist.metadata["Name"]: dist.version for dist in metadata.distributions(path=folders) if dist.metadata["Name"]}
    return sorted(f"{name}=={version}" for name, version in found.items())


def _run(pip: list[str], options: Sequence[str], partial: Path, requirements: Path, settings: Settings) -> None:
    """pip, with its temporary files in our folder (a read-only root has no other) and few retries (the platform waits)."""
    env = {"PIP_RETRIES": "1", "PIP_TIMEOUT": "10", **environment.environment(), "TMPDIR": str(partial)}
    if settings.repository_arn and "--no-index" not in options:
        env["PIP_INDEX_URL"] = codeartifact.index_url(settings.repository_arn)
    command = [*pip, "install", "--no-input", "--disable-pip-version-check", "--no-warn-script-location", "--no-cache-dir"]
    command += options
    try:
        done = subprocess.run(
            command, env=env, cwd=requirements.parent, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", timeout=settings.startup_timeout, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ModelError(
            f"{requirements} was not installed within {settings.startup_timeout:g} s (SAGEMAKER_STARTUP_TIMEOUT); "
            "put the packages into code/lib, or wheels into code/wheelhouse"
        ) from None
    if done.returncode != 0:
        raise _failure(done.stdout + done.stderr, requirements, "--no-index" in options)


def _failure(output: str, requirements: Path, is_offline: bool) -> ModelError:
    """One message: what failed, the remedy, and the last lines of pip's own words."""
    remedy = _remedy(output, is_offline)
    lines = [line.strip() for line in output.splitlines() if line.strip() and not line.startswith(("WARNING:", "[notice]"))]
    told = [line for line in lines if line.startswith("ERROR:") and line != "ERROR: Exception:"] or lines
    quoted = "".join(f"\n  pip: {line[:300]}" for line in told[-QUOTED_LINES:])
    return ModelError(f"{requirements} cannot be installed: {remedy}{quoted}")


def _remedy(output: str, is_offline: bool) -> str:
    clash = re.findall(r"\(constraint\) (\S+)", output)
    if clash:
        pins = ", ".join(sorted(set(clash)))
        return f"it clashes with what the server itself runs on, {pins}; ask for a version that allows that, or leave it out"
    if any(sign in output for sign in OFFLINE):
        return "no package index can be reached; put the packages into code/lib, or their wheels into code/wheelhouse (or EI_WHEELHOUSE)"
    if "No space left on device" in output:
        return "the folder is full; mount a larger one, or name another by EI_SITE"
    if "Invalid requirement" in output or "InvalidRequirement" in output:
        return "a line of it is no requirement"
    if "No matching distribution" in output:
        where = "the wheelhouse" if is_offline else "the index"
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f"{where} has no package that fits this Python ({version}, {sysconfig.get_platform()}) and the server's own packages"
    return "pip failed"


def _packages(target: Path) -> Path:
    """Where pip's `--prefix` puts modules: the interpreter's own scheme, which Debian changes."""
    scheme = sysconfig.get_preferred_scheme("prefix")
    return Path(sysconfig.get_path("purelib", scheme, {"base": str(target), "platbase": str(target)}))


def _installed(target: Path) -> list[str]:
    found = metadata.distributions(path=[str(_packages(target))])
    return sorted(f"{dist.metadata['Name']} {dist.version}" for dist in found)
