"""The CodeArtifact index: ARNs, credentials, and a signature that a service of our own checks as AWS does."""

from __future__ import annotations

import datetime
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from serving import codeartifact
from serving.codeartifact import Credentials, credentials, index_url, sign
from serving.errors import ModelError

ARN = "arn:aws:codeartifact:eu-west-1:123456789012:repository/my-domain/my_repo.1"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "session"}


class Service(ThreadingHTTPServer):
    """A service that keeps what it was asked and answers what a test set."""

    status, answer = 200, b"{}"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Answers every method alike."""

    server: Service

    def answer(self) -> None:
        """Keep the request, send the answer."""
        self.server.asked.append((self.command, self.path, {key.lower(): value for key, value in self.headers.items()}))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    do_GET = do_POST = answer

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    """A service that listens on a port of its own."""
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_index_with_a_token(service: Service) -> None:
    """A token becomes the index URL's password; the call is signed with the role's session token."""
    service.answer = json.dumps({"authorizationToken": "a/b+c"}).encode()
    url = index_url(ARN, service.url, KEYS)
    assert url == "https://aws:a%2Fb%2Bc@my-domain-123456789012.d.codeartifact.eu-west-1.amazonaws.com/pypi/my_repo.1/simple/"
    ((method, path, headers),) = service.asked
    assert (method, path) == ("POST", "/v1/authorization-token?domain=my-domain&domain-owner=123456789012")
    now = datetime.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
    keys = Credentials("AKIDEXAMPLE", "secret", "session")
    assert headers["authorization"] == sign("POST", service.url + path, "eu-west-1", keys, now)["Authorization"]


def test_china() -> None:
    """Another partition has its own domain, which the missing credentials' message comes before any call to."""
    with pytest.raises(ModelError, match="no AWS credentials in the environment"):
        index_url(ARN.replace("arn:aws:", "arn:aws-cn:"), env={})


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "my-repo",
        ARN.replace("repository/", ""),
        ARN.replace("123456789012", "12"),
        ARN + "/more",
        ARN.replace("codeartifact", "s3"),
        ARN + "@evil",
    ],
)
def test_arns_that_are_none(arn: str) -> None:
    """What is no repository's ARN is refused with the form that was expected."""
    with pytest.raises(ModelError, match="expected arn:aws:codeartifact:REGION:ACCOUNT:repository/DOMAIN/REPOSITORY"):
        index_url(arn, env=KEYS)


@pytest.mark.parametrize(
    ("status", "answer"), [(403, b"not authorized to perform"), (200, b"{}"), (200, b"nonsense"), (200, b"[]")]
)
def test_calls_that_fail(service: Service, status: int, answer: bytes) -> None:
    """A refusal or an answer without a token names the permissions to give."""
    service.status, service.answer = status, answer
    with pytest.raises(ModelError, match="gave no token .* the role needs codeartifact:GetAuthorizationToken"):
        index_url(ARN, service.url, KEYS)


def test_credentials_of_the_container(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A role's credentials come from the endpoint that AWS gives containers, by its path or its whole address."""
    service.answer = json.dumps({"AccessKeyId": "k", "SecretAccessKey": "s", "Token": "t"}).encode()
    env = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{service.url}/role", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "let-me"}
    assert credentials(env) == Credentials("k", "s", "t")
    monkeypatch.setattr(codeartifact, "CONTAINER_HOST", service.url)
    assert credentials({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/id"}) == Credentials("k", "s", "t")
    assert [(path, headers.get("authorization")) for _, path, headers in service.asked] == [
        ("/role", "let-me"),
        ("/v2/credentials/id", None),
    ]


def test_environment_wins() -> None:
    """Keys in the environment are used without asking anybody."""
    assert credentials(KEYS) == Credentials("AKIDEXAMPLE", "secret", "session")


def test_signature_covers_what_is_sent() -> None:
    """The signature changes with the method, the host, the path, the query, the time, the secret and the session token."""
    now = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    keys = Credentials("AKID", "secret", "")
    base: list[Any] = ["POST", "https://host/v1/token?a=1", "eu-west-1", keys, now]
    others: list[tuple[int, Any]] = [
        (0, "GET"), (1, "https://other/v1/token?a=1"), (1, "https://host/v2?a=1"), (1, "https://host/v1/token?a=2"),
        (2, "us-east-1"), (3, Credentials("AKID", "other", "")), (3, Credentials("AKID", "secret", "t")),
        (4, now + datetime.timedelta(seconds=1)),
    ]  # fmt: skip
    signatures = {sign(*base)["Authorization"]}
    for at, value in others:
        signatures.add(sign(*[value if slot == at else base[slot] for slot in range(5)])["Authorization"])
    assert len(signatures) == len(others) + 1
    assert sign(*base)["Authorization"].startswith(
        "AWS4-HMAC-SHA256 Credential=AKID/20260102/eu-west-1/codeartifact/aws4_request, SignedHeaders=host;x-amz-date, Signature="
    )
