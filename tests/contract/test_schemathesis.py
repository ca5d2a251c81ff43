"""Generated requests against the OpenAPI description: whatever fits it, or just misses it, is answered as it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS, load_all_checks

DESCRIPTION = Path(__file__).parent.parent.parent / "docs" / "openapi.yaml"
SEED = 20240401
EXAMPLES = 60
RAW_TYPES = (
    "application/jsonlines", "text/csv", "application/x-npy", "application/x-npz", "application/x-recordio-protobuf", "application/x-image",
)  # fmt: skip

pytestmark = pytest.mark.contract

load_all_checks()
# A description of any model cannot know what this one takes: numbers of the wrong shape fit it and are a 400 all the same,
# and what breaks it (a row of a scalar's fields, say) may by chance be right.
EXCLUDED = [CHECKS.get_one(name) for name in ("positive_data_acceptance", "negative_data_rejection", "missing_required_header")]


@schemathesis.serializer(*RAW_TYPES)
def raw(ctx: Any, value: Any) -> bytes:
    """Bodies of these types are generated as strings or bytes, and sent as they are."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


class Server(Protocol):
    """What these tests need of a server."""

    @property
    def url(self) -> str:
        """Its address."""


def described() -> Any:
    """The description, with a fixed seed for what is made from it."""
    config = schemathesis.Config(seed=SEED)
    return schemathesis.openapi.from_path(DESCRIPTION, config=config)


schema = described()


@pytest.mark.parametrize("placement", ["inline", "pool"])
@schema.parametrize()  # type: ignore[untyped-decorator]
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_operation(case: Any, server: Callable[[str, str], Server], placement: str) -> None:
    """Every answer is one that the description has: its status, its content type, its schema; never a server error."""
    case.call_and_validate(base_url=server("mlp", placement).url, excluded_checks=EXCLUDED)
