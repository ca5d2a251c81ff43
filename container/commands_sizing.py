"""`ei advise`, `ei bench` and `ei sweep`: choosing a type. What they need is imported when they run.

Results on stdout, talk on stderr. Exit 0 done, 1 failed, or errors in what was measured, 2 usage.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from container import commands

PATH = click.Path(path_type=Path, exists=True)
FILE = click.Path(path_type=Path, dir_okay=False)
SHAPE_HELP = "An input's sizes; the name may be left out where there is one input. May be repeated."
Shapes = dict[str, tuple[int, ...]]


def shapes(given: tuple[str, ...]) -> Shapes:
    """`NAME=1,3,224,224` and `1,3,224,224` as shapes by names; UsageError for what is neither."""
    found: Shapes = {}
    for text in given:
        name, _, sizes = text.rpartition("=")
        try:
            found[name] = tuple(int(size) for size in sizes.replace("x", ",").split(","))
        except ValueError:
            raise click.UsageError(f"--shape {text}: expected NAME=1,3,224,224") from None
        if min(found[name]) < 1:
            raise click.UsageError(f"--shape {text}: sizes are at least 1")
    return found


def numbers(text: str, option: str) -> list[int]:
    """`1,8,32` as numbers; UsageError for what is none."""
    try:
        found = [int(number) for number in text.split(",")]
    except ValueError:
        found = [0]
    if min(found) < 1:
        raise click.UsageError(f"{option} {text}: expected numbers from 1 on, as in 1,8,32")
    return found


def explained(work: Any) -> Any:
    """What a piece of work returns, with errors of models and accelerators as errors of the command."""
    from container.errors import ContainerError
    from serving.errors import ServingError

    try:
        return work()
    except ServingError as error:
        raise ContainerError(str(error), "see `ei accelerator types` for sizes, and docs/choosing-a-type.md") from None


@click.command(epilog="Example: ei advise ./model --batch 8")
@click.argument("model", type=PATH)
@click.option("--batch", default=1, type=click.IntRange(1), help="Rows of a call [1].")
@click.option("--shape", "given", multiple=True, metavar="NAME=N,N", help=SHAPE_HELP)
@click.option("--threads", default=1, type=click.IntRange(1), help="Threads of a pass [1, as a worker of the container has].")
@click.option(
    "--accelerator", metavar="HOST:PORT", default="", help="Time calls to this one [one of its own, on this machine]."
)
@click.option("--no-call", is_flag=True, help="Time no call: the memory alone.")
@click.option("--prove", is_flag=True, help="Run the model once more inside the recommended type's memory.")
@click.option("--json", "as_json", is_flag=True, help="An object with bytes and seconds, for a program.")
def advise(model: Path, batch: int, given: tuple[str, ...], **options: Any) -> None:
    """Recommend an accelerator type for MODEL, a model directory or model.tar.gz: by an estimate, and by running it apart."""
    from serving.accelerators.sizing import advisor, measured

    ways = advisor.Ways(options["threads"], None if options["no_call"] else options["accelerator"], options["prove"])
    sizes = shapes(given)
    found = explained(lambda: advisor.advise(measured.candidate(model, batch, sizes), ways, commands.say))
    print(json.dumps(found.as_object(), indent=2) if options["as_json"] else "\n".join(found.lines()))


@click.command(epilog="Example: ei bench http://localhost:8080/invocations --payload request.json")
@click.argument("url")
@click.option("--payload", "file", type=FILE, help="The file of a request's body.")
@click.option("--content-type", default="", help="Its content type [by the file's name].")
@click.option("--model", type=PATH, help="Make inputs for this model directory; an accelerator loads it first.")
@click.option("--batch", default=1, type=click.IntRange(1), help="Rows of a made-up request [1].")
@click.option("--shape", "given", multiple=True, metavar="NAME=N,N", help=SHAPE_HELP)
@click.option("--concurrency", default="1,8,32", help="Connections, one measurement each [1,8,32].")
@click.option("--seconds", default=5.0, type=click.FloatRange(0.1), help="Of each measurement [5].")
@click.option("--warm", default=1.0, type=click.FloatRange(0), help="Seconds before each that are not counted [1].")
@click.option("--json", "as_json", is_flag=True, help="A list of objects, for a program.")
@click.pass_context
def bench(ctx: click.Context, /, url: str, **given: Any) -> int:
    """Measure a running endpoint, URL: its latency and throughput at so many connections; grpc://HOST:PORT/MODEL an accelerator.

    Exit 1 where any request failed.
    """
    from container.sweep import bench as benching
    from container.sweep.load import Timing

    concurrencies = numbers(given["concurrency"], "--concurrency")
    sizes = shapes(given["given"])
    model = given["model"]

    def prepared() -> Any:
        if url.startswith(f"{benching.GRPC}://"):
            return benching.accelerator(url, model, benching.inputs_of(model, given["batch"], sizes) if model else None)
        made = lambda: benching.inputs_of(model, given["batch"], sizes)[1]  # noqa: E731
        return benching.endpoint(url, benching.body_of(given["file"], model, given["content_type"], made))

    maker = explained(prepared)
    if not given["as_json"]:
        print(benching.HEAD, flush=True)
    show = (lambda _: None) if given["as_json"] else (lambda result: print(benching.line(result), flush=True))
    found = benching.bench(maker, concurrencies, Timing(given["warm"], given["seconds"]), show)
    if given["as_json"]:
        print(json.dumps([benching.as_object(result) for result in found], indent=2))
    return 1 if any(result.errors or not result.requests for result in found) else 0


@click.command(
    epilog="Example: ei sweep ./model --accelerators none,ml.eia2.medium --html sweep.html --price host=0.05 --price eia=0.12"
)
@click.argument("model", type=PATH)
@click.option("--cores", default="", help="Host sizes, in cores [1, and as many as there are less one].")
@click.option("--accelerators", default="none,ml.eia2.medium", help="Types, and `none` [none,ml.eia2.medium].")
@click.option("--batch", default="1", help="Rows of a request [1].")
@click.option("--concurrency", default="1,8", help="Requests at a time [1,8].")
@click.option("--shape", "given", multiple=True, metavar="NAME=N,N", help=SHAPE_HELP)
@click.option("--payload", "file", type=FILE, help="The file of a request's body [inputs made for the model].")
@click.option("--content-type", default="", help="Its content type [by the file's name].")
@click.option("--seconds", default=5.0, type=click.FloatRange(0.1), help="Of each measurement [5].")
@click.option("--warm", default=2.0, type=click.FloatRange(0), help="Seconds before each that are not counted [2].")
@click.option("--p99", default=0.0, type=click.FloatRange(0), help="Recommend only what answers 99 of 100 within so many ms.")
@click.option(
    "--price", "given_prices", multiple=True, metavar="WHAT=N", help="An hour of a core (host), or of a type (its name, eia)."
)
@click.option("--prices", type=FILE, help="A JSON file of such prices.")
@click.option(
    "--state", type=FILE, default=Path("ei-sweep.jsonl"), help="What is done so far; the next start goes on [ei-sweep.jsonl]."
)
@click.option("--html", type=FILE, help="Write the report to this file.")
@click.option("--json", "as_json", is_flag=True, help="An object with all rows, for a program.")
def sweep(model: Path, **given: Any) -> int:
    """Measure MODEL, a model directory or archive, in every configuration of host size, accelerator, batch and concurrency.

    Ctrl-C stops it; the same command goes on. Exit 1 where no configuration answered every request.
    """
    from container.sweep import choice, payload, plan, report, sweeping
    from container.sweep.load import Timing

    sizes = numbers(given["cores"], "--cores") if given["cores"] else sorted({1, max(1, len(plan.usable_cores()) - 1)})
    batches, concurrencies = (numbers(given[name], f"--{name}") for name in ("batch", "concurrency"))
    body = payload.of_file(given["file"], given["content_type"]) if given["file"] else None
    if body and batches != [1]:
        raise click.UsageError("--payload and --batch: the file has the rows that it has")
    axes = plan.Axes(sizes, plan.accelerators(given["accelerators"]), batches, concurrencies)
    prices = plan.prices(given["prices"], given["given_prices"])
    job = sweeping.Job(model, axes, Timing(given["warm"], given["seconds"]), shapes(given["given"]), body)
    rows = progressing(job, given["state"])
    chosen = choice.choose(rows, prices, given["p99"])
    shown = report.Sweep(model, rows, prices, chosen, sweeping.machine())
    if given["html"]:
        given["html"].write_text(report.page(shown))
        commands.say(f"report: {given['html']}")
    if given["as_json"]:
        best = chosen.row.as_object(prices) if chosen.row else None
        told = {"rows": [row.as_object(prices) for row in rows], "recommended": best, "reason": chosen.reason}
        print(json.dumps(told, indent=2))
    else:
        print(report.table(shown))
    return 0 if any(row.is_good for row in rows) else 1


def progressing(job: Any, path: Path) -> Any:
    """The rows of a sweep, with a bar on stderr; Ctrl-C says how to go on."""
    import sys

    from container.sweep import sweeping

    known = sweeping.state(job, path)
    total = len(job.axes.configurations())
    with click.progressbar(length=total, label="sweeping", file=sys.stderr, item_show_func=lambda text: text) as bar:
        try:
            return sweeping.sweep(
                job, known, lambda row: bar.update(1, f"{row.configuration.label}, batch {row.configuration.batch}")
            )
        except KeyboardInterrupt:
            commands.say(f"\nstopped; the same command goes on from {path}")
            raise click.Abort from None
