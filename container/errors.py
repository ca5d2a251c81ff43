"""What the tools say when they cannot go on: two lines, what is wrong and what to type next."""

from __future__ import annotations


class ContainerError(Exception):
    """A tool cannot go on; `remedy` is what the user can do about it."""

    def __init__(self, wrong: str, remedy: str) -> None:
        super().__init__(f"{wrong}\n{remedy}")
        self.wrong = wrong
        self.remedy = remedy
