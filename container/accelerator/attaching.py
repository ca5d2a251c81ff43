"""`ei accelerator attach`: is it there, and what must a process' environment say so that plain Python uses it.

addresses, token, authority -> does each answer? -> variables -> shell lines | JSON | a command that has them
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

import serving.accelerators
from container import commands
from container.errors import ContainerError
from serving import settings as knobs
from serving.accelerators.attached import targets
from serving.accelerators.client import Accelerator, ServerInfo
from serving.accelerators.errors import AcceleratorError
from serving.settings import Settings

T = TypeVar("T")
DEFAULT = "127.0.0.1:8500"
PACKAGE = Path(serving.accelerators.__file__).parent
SITE = PACKAGE / "site"
"""What Python imports at its start from the path: it puts `mx.eia()`, `eimx` and `EIPredictor` in place."""


@dataclass(frozen=True)
class Attachment:
    """Accelerators as a user names them, and what a connection to them takes. What is empty the environment may say."""

    addresses: tuple[str, ...] = ()
    token_file: Path | None = None
    ca: str = ""
    server_name: str = ""

    def settings(self) -> Settings:
        """The settings of a process that has these accelerators."""
        return knobs.read(environ={**knobs.environment(), **self._named(self.token())})

    def variables(self) -> dict[str, str]:
        """What such a process' environment says."""
        return {**self._named(self.token()), "PYTHONPATH": joined(SITE)}

    def lines(self) -> str:
        """The variables as a POSIX shell exports them; the token by where it lies, so that no screen shows it."""
        lines = [f"export {name}={shlex.quote(value)}" for name, value in self._named("").items()]
        if self.token_file:
            lines.append(f'export EI_ACCELERATOR_TOKEN="$(cat {shlex.quote(str(self.token_file.resolve()))})"')
        lines.append(f'export PYTHONPATH={shlex.quote(str(SITE))}"${{PYTHONPATH:+:$PYTHONPATH}}"')
        return "\n".join(lines)

    def token(self) -> str:
        """The token of the file; ContainerError where it cannot be read."""
        if self.token_file is None:
            return ""
        try:
            return self.token_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ContainerError(f"{self.token_file} cannot be read: {error}", "name the file that `serve` was given") from None

    def _named(self, token: str) -> dict[str, str]:
        here = knobs.environment()
        addresses = ",".join(self.addresses) or here.get("EI_ACCELERATORS", "") or DEFAULT
        ca = self.ca if self.ca in ("", "system") else str(Path(self.ca).resolve())
        named = {
            "EI_ACCELERATORS": addresses,
            "SAGEMAKER_INFERENCE_ACCELERATOR_PRESENT": "true",
            "EI_ACCELERATOR_CA": ca,
            "EI_ACCELERATOR_NAME": self.server_name,
            "EI_ACCELERATOR_TOKEN": token,
        }
        return {name: value for name, value in named.items() if value}


def joined(site: Path) -> str:
    """PYTHONPATH with this folder before what it has now."""
    return ":".join(filter(None, [str(site), knobs.environment().get("PYTHONPATH", "")]))


def each(settings: Settings, ask: Callable[[Accelerator], T]) -> list[T]:
    """What each of the accelerators is asked; ContainerError names the first that does not answer, and why."""
    found = []
    for ordinal, target in enumerate(targets(settings)):
        accelerator = Accelerator(target, ordinal)
        try:
            found.append(ask(accelerator))
        except AcceleratorError as error:
            raise ContainerError(str(error), remedy(error, target.address)) from None
        finally:
            accelerator.close()
    return found


def check(settings: Settings) -> list[ServerInfo]:
    """What each accelerator says of itself."""
    return each(settings, Accelerator.info)


def remedy(error: AcceleratorError, address: str) -> str:
    """What to do about an accelerator that does not take a call."""
    if error.code.name in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return "give the token that it was started with: --token-file FILE (or EI_ACCELERATOR_TOKEN)"
    port = address.rpartition(":")[2]
    return f"start one there (ei accelerator serve --port {port if port.isdigit() else 8500}); with TLS, say --ca FILE as well"


def told(info: ServerInfo, address: str) -> str:
    """An accelerator in a line."""
    return f"{info.id or info.name} ({info.type or info.version}) on {address}"


def become(attachment: Attachment, command: Sequence[str]) -> NoReturn:
    """Go on as a command that has the accelerators: signals, terminal and exit status are then its own."""
    commands.show(command)
    sys.stdout.flush()
    try:
        os.execvpe(command[0], list(command), {**knobs.environment(), **attachment.variables()})
    except OSError as error:
        raise ContainerError(f"{command[0]} cannot be run: {error.strerror}", "name a command behind --") from None
