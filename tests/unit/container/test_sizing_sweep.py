"""What a sweep plans, remembers, recommends and shows."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from container.errors import ContainerError
from container.sweep import choice, plan, report, svg
from container.sweep.plan import Axes, Configuration, Prices
from container.sweep.states import Row, State

ONE = Configuration(1, "none", 1, 1)
BIG = Configuration(2, "ml.eia2.large", 4, 8)


def row(configuration: Configuration, rate: float = 100.0, p99: float = 10.0, **more: object) -> Row:
    """A row without errors."""
    return Row(configuration, "", rate, {"p50": p99 / 2, "p90": p99, "p99": p99}, 100, **more)  # type: ignore[arg-type]


def test_every_combination_is_tried_and_those_of_a_place_together() -> None:
    """So that each pair is started once."""
    found = Axes([1, 2], ["none", "ml.eia2.medium"], [1, 4], [1, 8]).configurations()
    assert len(found) == len(set(found)) == 16
    places = [one.place for one in found]
    assert sum(a != b for a, b in zip(places, places[1:], strict=False)) == 3


def test_types_are_checked_before_anything_starts() -> None:
    """A misspelt one is refused with the like one."""
    assert plan.accelerators("none,eia2.medium") == ["none", "ml.eia2.medium"]
    with pytest.raises(ContainerError, match="ml.eia2.medium"):
        plan.accelerators("ml.eia2.medum")


def test_an_hour_costs_cores_and_type() -> None:
    """By core, or by the host's size where that has a price; by the type's own price before the general one."""
    prices = Prices({"host": 0.1, "host:4": 0.3, "eia": 0.2, "ml.eia2.large": 0.5})
    assert prices.of(ONE) == pytest.approx(0.1)
    assert prices.of(BIG) == pytest.approx(0.7)
    assert prices.of(replace(BIG, cores=4)) == pytest.approx(0.8)
    assert prices.of(replace(BIG, accelerator="ml.eia2.medium")) == pytest.approx(0.4)


def test_a_million_rows_cost_the_hours_that_they_take() -> None:
    """A million at 100 a second take 2.78 hours."""
    assert Prices({"host": 0.36}).per_million(ONE, 100.0) == pytest.approx(1.0)
    assert Prices({"host": 0.36}).per_million(ONE, 0.0) is None
    assert Prices({"host": 0.36}).per_million(BIG, 100.0) is None
    assert Prices().per_million(ONE, 100.0) is None


def test_prices_come_from_a_file_and_over_it_from_options(tmp_path: Path) -> None:
    """What is no price is refused."""
    (tmp_path / "prices.json").write_text('{"host": 1, "eia2.medium": 2}')
    found = plan.prices(tmp_path / "prices.json", ["host=3 eia=4"])
    assert found.hourly == {"host": 3.0, "ml.eia2.medium": 2.0, "eia": 4.0}
    for wrong in ("host", "host=cheap", "gpu=1", "host=-1"):
        with pytest.raises(ContainerError):
            plan.prices(None, [wrong])


def test_a_changed_model_has_another_digest(tmp_path: Path) -> None:
    """Every file counts, and its name."""
    (tmp_path / "a").write_text("1")
    first = plan.digest(tmp_path)
    (tmp_path / "a").write_text("2")
    second = plan.digest(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert len({first, second, plan.digest(tmp_path)}) == 3


def test_what_is_done_is_found_again(tmp_path: Path) -> None:
    """By a new start, of the same model only; an error is tried again."""
    path = tmp_path / "state.jsonl"
    state = State(path, "model")
    state.put(row(ONE, 7.0))
    state.put(Row(BIG, "it did not start"))
    again = State(path, "model")
    assert again.find(ONE) == row(ONE, 7.0)
    assert again.find(BIG) is None
    assert State(path, "other").find(ONE) is None


def test_a_line_that_was_cut_off_costs_only_itself(tmp_path: Path) -> None:
    """As a kill in the middle of a write leaves it: what comes after is whole."""
    path = tmp_path / "state.jsonl"
    State(path, "model").put(row(ONE))
    with path.open("a") as file:
        file.write('{"key": "abc", "row": {"conf')
    State(path, "model").put(row(BIG))
    again = State(path, "model")
    assert again.find(ONE) == row(ONE)
    assert again.find(BIG) == row(BIG)


def test_with_prices_the_cheapest_is_recommended() -> None:
    """Though another is faster; the reason has the cost."""
    rows = [row(ONE, 100.0), row(BIG, 200.0)]
    found = choice.choose(rows, Prices({"host": 0.1, "eia": 5.0}))
    assert found.row is rows[0]
    assert "cheapest" in found.reason
    found = choice.choose(rows, Prices({"host": 0.1, "eia": 0.001}))
    assert found.row is rows[1]  # 800 rows a second


def test_without_prices_the_smallest_of_the_fastest_is() -> None:
    """What is within a tenth of the best needs no accelerator, if it can do without."""
    rows = [row(ONE, 750.0), row(BIG, 200.0)]
    assert choice.choose(rows, Prices()).row is rows[0]
    rows = [row(ONE, 500.0), row(BIG, 200.0)]
    assert choice.choose(rows, Prices()).row is rows[1]


def test_a_limit_of_the_p99_rules_out() -> None:
    """And where none keeps it, the nearest is named and nothing recommended."""
    rows = [row(ONE, 100.0, 5.0), row(BIG, 900.0, 50.0)]
    assert choice.choose(rows, Prices(), 10.0).row is rows[0]
    none = choice.choose(rows, Prices(), 1.0)
    assert none.row is None
    assert "5.0 ms" in none.reason


def test_what_had_errors_is_never_recommended() -> None:
    """However fast it is."""
    assert choice.choose([row(ONE, 9e9, errors=1), Row(BIG, "no")], Prices()).row is None


class Page(HTMLParser):
    """Tags that are open, and everything that a page would load from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what is opened."""
        self.tags.append(tag)
        if tag not in ("meta", "line", "br"):
            self.open.append(tag)
        self.loads += [str(value) for name, value in attrs if name in ("src", "href", "xlink:href", "data")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """What closes itself."""
        self.tags.append(tag)
        self.loads += [str(value) for name, value in attrs if name in ("src", "href", "xlink:href", "data")]

    def handle_endtag(self, tag: str) -> None:
        """Closed in order."""
        assert self.open.pop() == tag


def shown(tmp_path: Path, prices: Prices) -> report.Sweep:
    """A sweep of three rows, one of them an error with characters that a page must not take for tags."""
    rows = [row(ONE), row(BIG, 50.0, accelerator_memory=300_000_000), Row(replace(BIG, batch=9), "<script>alert(1)</script>")]
    return report.Sweep(tmp_path / "<b>model", rows, prices, choice.choose(rows, prices), "a machine")


def test_the_page_is_whole_and_needs_nothing_else(tmp_path: Path) -> None:
    """Every tag is closed, nothing is loaded, nothing runs; there are plots of latency, memory and cost."""
    text = report.page(shown(tmp_path, Prices({"host": 0.1, "eia": 0.1})))
    page = Page()
    page.feed(text)
    assert page.open == page.loads == []
    assert "script" not in page.tags
    assert page.tags.count("svg") == 3
    assert "url(" not in text
    assert "&lt;script&gt;" in text
    assert 'class="best"' in text


def test_a_page_without_prices_has_no_costs(tmp_path: Path) -> None:
    """Latency and memory are plotted all the same."""
    page = Page()
    page.feed(report.page(shown(tmp_path, Prices())))
    assert page.tags.count("svg") == 2


def test_the_table_says_what_failed(tmp_path: Path) -> None:
    """One line a configuration, the recommendation below."""
    lines = report.table(shown(tmp_path, Prices())).splitlines()
    assert len(lines) == 6
    assert lines[3].endswith("<script>alert(1)</script>")
    assert lines[-1].startswith("recommended: ")


@pytest.mark.parametrize(
    ("most", "step", "end"), [(9.0, 2, 10), (0.04, 0.01, 0.04), (1.0, 0.2, 1.0), (730, 200, 800), (0, None, None)]
)
def test_axes_have_round_ticks(most: float, step: float | None, end: float | None) -> None:
    """And end at or beyond the largest value."""
    axis = svg.Axis("x", most)
    assert axis.end >= most
    assert 2 <= len(axis.ticks) <= 7
    if step is not None:
        assert (axis.step, axis.end) == (pytest.approx(step), pytest.approx(end))


def test_points_lie_where_their_values_are() -> None:
    """The largest of both axes is up and right, the origin down and left."""
    drawn = svg.lines({"a": [svg.Point(0, 0, "low"), svg.Point(10, 5, "high")]}, "x", "y")
    low, high = ((float(x), float(y)) for x, y in re.findall(r'<circle cx="([0-9.]+)" cy="([0-9.]+)"', drawn))
    assert low == (svg.LEFT, svg.HEIGHT - svg.BOTTOM)
    assert high == (svg.WIDTH - svg.RIGHT, svg.TOP)


def test_rows_are_plain_json() -> None:
    """With rows a second and the cost."""
    found = json.loads(json.dumps(row(BIG, 10.0).as_object(Prices({"host": 1, "eia": 1}))))
    assert (found["rows"], found["accelerator"], found["batch"]) == (40.0, "ml.eia2.large", 4)
    assert found["per_million"] == pytest.approx(3e6 / 3600 / 40)
