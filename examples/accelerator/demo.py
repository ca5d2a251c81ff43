"""Elastic Inference's scripts on an accelerator, and what its death does to them and to a container, end to end.

    train -> ei accelerator serve -> mxnet_15.py, mxnet_17.py, predictor.py, unmodified, each `ei accelerator attach --run`
                                  -> serve, attached -> POST /invocations all the while:
                                     kill -9 the engine; kill -9 all of the accelerator; start it again

Everything is started as a user would start it. Exits with 1 where a script is wrong or did not use the accelerator, where an
answer of the container is wrong, or where it does not come back.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from container.accelerator import status
from serving.accelerators.client import Accelerator
from serving.accelerators.rpc.target import Target
from serving.models.archive import extract

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from served import free_port, say, server
from timeline import Timeline

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build" / "accelerator"
EI = [str(Path(sys.executable).with_name("ei")), "accelerator"]
TYPE = "ml.eia2.medium"
START_SECONDS, BACK_SECONDS = 60, 30
LEAST_RIGHT = 90


def main() -> int:
    BUILD.mkdir(parents=True, exist_ok=True)
    prefix, saved_model = train()
    port, metrics = free_port(), free_port()
    os.environ["EI_ACCELERATORS"] = f"127.0.0.1:{port}"
    command = [
        *EI,
        "serve",
        "--type",
        TYPE,
        "--port",
        str(port),
        "--metrics-port",
        str(metrics),
        "--store",
        str(BUILD / "store"),
    ]
    with accelerator(command) as first:
        scripts = {"mxnet_15.py": prefix, "mxnet_17.py": prefix, "predictor.py": saved_model}
        fine = [script(name, model) for name, model in scripts.items()]
        with server(prefix.parent, BUILD / "serve.log") as container:
            fine.append(container_survives(container, first, command))
        say("what the accelerator has to say at the end")
        subprocess.run([*EI, "status", "--metrics", f"127.0.0.1:{metrics}"], check=True)
    return 0 if all(fine) else 1


def train() -> tuple[Path, Path]:
    """The prefix of an MXNet model and the folder of a SavedModel, both trained on handwritten digits."""
    say("training on handwritten digits, with MXNet and with Keras")
    run(HERE.parent / "digits" / "digits.py", BUILD / "digits.npz")
    run(HERE.parent / "digits" / "train.py", BUILD / "digits.npz", BUILD / "model.tar.gz")
    shutil.rmtree(BUILD / "unpacked", ignore_errors=True)
    directory = extract(BUILD / "model.tar.gz", BUILD / "unpacked")
    shutil.rmtree(BUILD / "saved_model", ignore_errors=True)
    run(HERE.parent / "digits_tf" / "digits.py", BUILD / "digits.npz", BUILD / "saved_model")
    return directory / "model", BUILD / "saved_model"


def run(program: Path, *arguments: Path) -> None:
    """A program's last line is shown; the rest goes to a file, whose end is shown where the program fails."""
    log = BUILD / f"{program.parent.name}-{program.stem}.log"
    with log.open("wb") as output:
        done = subprocess.run([sys.executable, str(program), *map(str, arguments)], stdout=output, stderr=output, check=False)
    lines = log.read_text(errors="replace").strip().splitlines() or [""]
    if done.returncode:
        raise SystemExit(f"{program.name} failed:\n" + "\n".join(lines[-20:]))
    print(f"  {lines[-1].strip()}", flush=True)


@contextmanager
def accelerator(command: list[str]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The accelerator, ready, in a list: whoever starts it anew puts that one in. It is ended by SIGTERM."""
    running = [start(command)]
    try:
        yield running
        say("stopping the accelerator")
        running[0].send_signal(signal.SIGTERM)
        if running[0].wait(START_SECONDS) != 0:
            raise SystemExit(f"the accelerator ended with {running[0].returncode}, see {BUILD / 'accelerator.log'}")
    finally:
        if running[0].poll() is None:
            running[0].kill()
            running[0].wait()


def start(command: list[str]) -> subprocess.Popen[bytes]:
    """An accelerator that says that it listens."""
    say(" ".join(["ei", *command[1:]]))
    log = BUILD / "accelerator.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    end = time.monotonic() + START_SECONDS
    while not (found := re.findall(r"^accelerator eia-.*", log.read_text(errors="replace"), re.MULTILINE)):
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            raise SystemExit(f"the accelerator did not start:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)
    print(f"  {found[0]}", flush=True)
    return process


def script(name: str, model: Path) -> bool:
    """Run one of the scripts with the accelerator; whether it is right and its answers came from there."""
    say(f"ei accelerator attach --run -- python {name}")
    command = [*EI, "attach", "--shell", "--run", "--", sys.executable, str(HERE / name), str(model), str(BUILD / "digits.npz")]
    log = BUILD / f"{name}.log"
    with log.open("wb") as output, closing(Accelerator(Target(os.environ["EI_ACCELERATORS"]))) as asked:
        before = most = requests(asked)
        process = subprocess.Popen(command, stdout=output, stderr=output)
        while process.poll() is None:
            most = max(most, requests(asked))  # a script that ends may take its model along
            time.sleep(0.01)
        most = max(most, requests(asked))
    told = log.read_text(errors="replace")
    if process.returncode:
        raise SystemExit(f"{name} failed:\n{told[-2000:]}")
    shown = [line for line in told.splitlines() if "Elastic Inference" in line or "right" in line]
    print(*(f"  {line}" for line in shown), f"  {most - before} requests seen at the accelerator", sep="\n", flush=True)
    right = int(re.findall(r"(\d+) of 100 right", told)[0])
    return right >= LEAST_RIGHT and most > before


def requests(accelerator: Accelerator) -> int:
    """How many requests for the models that it holds it has answered."""
    return sum(model.requests for model in status.read(accelerator).models)


def container_survives(port: int, running: list[subprocess.Popen[bytes]], command: list[str]) -> bool:
    """Ask a container for digits all the while its accelerator is killed twice; whether it answers rightly again."""
    digits: Any = np.load(BUILD / "digits.npz")
    say("asking the container for one digit after the other, which it asks the accelerator")
    with Timeline(port, digits["held_out_images"], digits["held_out_labels"]) as timeline:
        timeline.wait_for(200, 20, BACK_SECONDS)
        say("kill -9 of the accelerator's engine")
        for pid in engines(running[0]):
            os.kill(pid, signal.SIGKILL)
        timeline.wait_for(200, 20, BACK_SECONDS)
        say("kill -9 of the whole accelerator")
        running[0].kill()
        running[0].wait()
        timeline.wait_for(503, 3, BACK_SECONDS)
        running[0] = start(command)
        timeline.wait_for(200, 20, BACK_SECONDS)
    return timeline.is_right


def engines(accelerator: subprocess.Popen[bytes]) -> list[int]:
    """The pids of its engine processes."""
    return [int(pid) for pid in Path(f"/proc/{accelerator.pid}/task/{accelerator.pid}/children").read_text().split()]


if __name__ == "__main__":
    sys.exit(main())
