"""What a container answers over a while, one request after the other, printed where it changes."""

from __future__ import annotations

import http.client
import json
import threading
import time
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"
PAUSE_SECONDS = 0.02
LEAST_RIGHT = 0.9


class Timeline:
    """A thread that asks for one image after the other until the block ends."""

    def __init__(self, port: int, images: Array, labels: Array) -> None:
        self._port, self._images, self._labels = port, images, labels
        self._began = time.monotonic()
        self._guesses: list[int] = []
        self._right = 0
        self._status, self._message, self._run = 0, "", 0
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask_on)

    def __enter__(self) -> Timeline:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def is_right(self) -> bool:
        """Whether what was answered is what a trained model answers."""
        return self._right >= LEAST_RIGHT * len(self._guesses) > 0

    def wait_for(self, status: int, count: int, seconds: float) -> None:
        """Until so many answers from now on have had this status, one after the other; SystemExit where that takes too long."""
        with self._changed:
            self._run = 0
            if not self._changed.wait_for(lambda: self._status == status and self._run >= count, seconds):
                raise SystemExit(
                    f"no {count} answers with {status} within {seconds} s; the last: {self._status} {self._message}"
                )
            self._told()

    def _ask_on(self) -> None:
        at = 0
        while not self._stop.wait(PAUSE_SECONDS):
            status, body = self._ask(self._images[at % len(self._images)])
            with self._changed:
                if status != self._status:
                    self._told()
                    self._status, self._run = status, 0
                self._run += 1
                self._message = body if status != 200 else ""
                if status == 200:
                    (probabilities,) = json.loads(body)
                    self._guesses.append(int(np.argmax(probabilities)))
                    self._right += self._guesses[-1] == int(self._labels[at % len(self._images)])
                self._changed.notify_all()
            at += 1

    def _ask(self, image: Array) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request("POST", "/invocations", json.dumps([image.tolist()]), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def _told(self) -> None:
        """Print what has come since it was told last."""
        if self._run:
            what = f"digits {self._guesses[-5:]}" if self._status == 200 else self._message[:120]
            print(f"  {time.monotonic() - self._began:6.2f} s: {self._run:3} x {self._status} {what}", flush=True)
        self._run = 0
