"""The package index behind `CA_REPOSITORY_ARN`: an AWS CodeArtifact repository, with a token of this container's role.

    arn -> credentials (environment, or the container's endpoint) -> one signed request -> token -> index URL

One call of one service: signed here (Signature Version 4) rather than by an SDK of 80 MB in every image.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from serving import settings as environment
from serving.errors import ModelError

ARN = re.compile(
    r"arn:(?P<partition>aws[\w-]*):codeartifact:(?P<region>[a-z0-9-]+):(?P<owner>\d{12}):"
    r"repository/(?P<domain>[a-z][a-z0-9-]*[a-z0-9])/(?P<repository>[A-Za-z0-9][\w.-]*)"
)
FORM = "arn:aws:codeartifact:REGION:ACCOUNT:repository/DOMAIN/REPOSITORY"
CONTAINER_HOST = "http://169.254.170.2"
TIMEOUT = 10.0


class Credentials(NamedTuple):
    """An AWS key, its secret, and the session token of a role (empty for a user's key)."""

    key: str
    secret: str
    token: str


def index_url(arn: str, endpoint: str = "", env: Mapping[str, str] | None = None) -> str:
    """The repository's index, with a fresh token in it: a secret, never for an argument list or a log.

    `endpoint` replaces the service's own URL (a VPC endpoint). ModelError where the ARN, the credentials or the call fail.
    """
    match = ARN.fullmatch(arn.strip())
    if match is None:
        raise ModelError(f"CA_REPOSITORY_ARN={arn!r} is no CodeArtifact repository: expected {FORM}")
    env = environment.environment() if env is None else env
    region, domain, owner = match["region"], match["domain"], match["owner"]
    suffix = "amazonaws.com.cn" if match["partition"] == "aws-cn" else "amazonaws.com"
    endpoint = endpoint or f"https://codeartifact.{region}.{suffix}"
    url = f"{endpoint}/v1/authorization-token?{urlencode({'domain': domain, 'domain-owner': owner})}"
    try:
        headers = sign("POST", url, region, credentials(env), datetime.datetime.now(datetime.UTC))
        token = json.loads(_fetch(urllib.request.Request(url, data=b"", headers=headers, method="POST")))["authorizationToken"]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"CodeArtifact gave no token for {arn}: {_reason(error)}; the role needs codeartifact:GetAuthorizationToken and "
            "sts:GetServiceBearerToken, and the network a way there (or put the packages into code/lib)"
        ) from None
    host = f"{domain}-{owner}.d.codeartifact.{region}.{suffix}"
    return f"https://aws:{quote(str(token), safe='')}@{host}/pypi/{match['repository']}/simple/"


def credentials(env: Mapping[str, str]) -> Credentials:
    """Credentials of the environment, else of the endpoint that AWS gives containers; OSError where neither answers."""
    if env.get("AWS_ACCESS_KEY_ID") and env.get("AWS_SECRET_ACCESS_KEY"):
        return Credentials(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env.get("AWS_SESSION_TOKEN", ""))
    relative = env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "")
    url = CONTAINER_HOST + relative if relative else env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
    if not url:
        raise OSError("there are no AWS credentials in the environment, and no container endpoint for them")
    authorization = env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
    found = json.loads(_fetch(urllib.request.Request(url, headers={"Authorization": authorization} if authorization else {})))
    return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found.get("Token", ""))


def sign(method: str, url: str, region: str, keys: Credentials, now: datetime.datetime) -> dict[str, str]:
    """Headers of a request without a body, signed for CodeArtifact (AWS Signature Version 4); the query must be sorted."""
    parts, stamp = urlsplit(url), now.strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": parts.netloc, "x-amz-date": stamp}
    if keys.token:
        headers["x-amz-security-token"] = keys.token
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = "\n".join([method, parts.path, parts.query, lines, names, hashlib.sha256(b"").hexdigest()])
    scope = f"{stamp[:8]}/{region}/codeartifact/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    secret = f"AWS4{keys.secret}".encode()
    for part in scope.split("/"):
        secret = hmac.digest(secret, part.encode(), "sha256")
    signature = hmac.digest(secret, text.encode(), "sha256").hex()
    proof = f"AWS4-HMAC-SHA256 Credential={keys.key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**headers, "Authorization": proof}


def _fetch(request: urllib.request.Request) -> bytes:
    """An answer's body, without the proxies of the environment for the container's own endpoint."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    opener = direct if request.full_url.startswith(CONTAINER_HOST) else urllib.request.build_opener()
    with opener.open(request, timeout=TIMEOUT) as answer:
        body: bytes = answer.read(1 << 20)
        return body


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.code} {error.reason}: {error.read(200).decode(errors='replace')}"
    return str(getattr(error, "reason", "") or error)
