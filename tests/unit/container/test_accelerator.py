"""`ei accelerator`: types, certificates, tokens, what attaching exports."""

from __future__ import annotations

import json
import os
import shlex
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from container import cli
from container.accelerator import attaching, certificates
from container.accelerator.attaching import Attachment
from container.accelerator.cli import accelerator
from container.errors import ContainerError
from tests.integration.faults.server import free_port


def ei(*words: str) -> int:
    """The exit status of a command line."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["accelerator", *words])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_types_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Each type has both TFLOPS and its memory, and it is said that the figures are AWS's and what is enforced."""
    assert ei("types") == 0
    told = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[1:] for line in told.splitlines() if line.startswith("ml.")}
    assert rows["ml.eia2.xlarge"] == ["4", "32", "8", "GiB"]
    assert rows["ml.eia1.medium"] == ["1", "8", "1", "GiB"]
    assert len(rows) == 6
    assert "AWS's figures" in told
    assert "enforced" in told


def test_types_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` is a list of objects with numbers."""
    assert ei("types", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert {"type": "ml.eia2.medium", "fp32_tflops": 1, "fp16_tflops": 8, "memory_bytes": 2 << 30} in found


@pytest.mark.parametrize("command", [name for name in accelerator.commands if name != "serve"])
def test_help_has_an_example(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """Every command's help shows how it is used."""
    assert ei(command, "--help") == 0
    assert f"ei accelerator {command}" in capsys.readouterr().out


def test_serve_is_the_servers_own() -> None:
    """What is behind `serve` is the server's to read, its help included."""
    command = [sys.executable, "-m", "container.cli", "accelerator", "serve"]
    helped = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    assert "--metrics-port" in helped.stdout
    refused = subprocess.run([*command, "--type", "ml.eia2.huge"], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "ml.eia2.large" in refused.stderr


@pytest.mark.parametrize(("host", "named"), [("accelerator.example", "DNS"), ("10.1.2.3", "IP Address")])
def test_certificate(capsys: pytest.CaptureFixture[str], tmp_path: Path, host: str, named: str) -> None:
    """The certificate names the host and this machine, the authority's is what trusts it, and keys are closed to others."""
    assert ei("certificate", host, "--output", str(tmp_path)) == 0
    ca, certificate, key = (Path(line) for line in capsys.readouterr().out.splitlines())
    found = ssl._ssl._test_decode_cert(str(certificate))  # type: ignore[attr-defined]
    assert (named, host) in found["subjectAltName"]
    assert ("IP Address", "127.0.0.1") in found["subjectAltName"]
    subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", str(ca), str(certificate)], check=True, capture_output=True)
    assert {file.stat().st_mode & 0o777 for file in (key, ca.with_suffix(".key"))} == {0o600}
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)


def test_one_authority(tmp_path: Path) -> None:
    """A second certificate in the folder is signed by the authority that is there, whose file does not change."""
    first = certificates.make("one.example", tmp_path)
    authority = first.ca.read_bytes()
    second = certificates.make("two.example", tmp_path)
    assert second.ca.read_bytes() == authority
    verify = ["openssl", "verify", "-CAfile", str(second.ca), str(first.certificate), str(second.certificate)]
    subprocess.run(verify, check=True, capture_output=True)


@pytest.mark.parametrize("name", ["", "a/b", "a b", "a,DNS:b"])
def test_no_hosts_name(tmp_path: Path, name: str) -> None:
    """A name that no host has is refused before anything is written."""
    with pytest.raises(ContainerError, match="no host's name"):
        certificates.make(name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_no_openssl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without openssl it is said what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ContainerError, match="apt-get install openssl"):
        certificates.make("one.example", tmp_path)


def test_token(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A token is printed, or kept in a file that its owner alone reads and that is written once."""
    assert ei("token") == 0
    printed = capsys.readouterr().out.strip()
    assert len(printed) >= 40
    file = tmp_path / "secrets" / "token"
    assert ei("token", "--output", str(file)) == 0
    kept = file.read_text()
    assert ei("token", "--output", str(file)) == 0
    assert file.read_text() == kept != printed
    assert file.stat().st_mode & 0o777 == 0o600


def test_exported_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell that evaluates the lines has every variable, the token out of its file, and keeps what its path had."""
    monkeypatch.setenv("PYTHONPATH", "/mine")
    token = tmp_path / "the token"
    token.write_text("secret\n")
    wanted = Attachment(("a:1", "b:2"), token, str(tmp_path / "ca.pem"), "a.example")
    assert "secret" not in wanted.lines()
    script = f"{wanted.lines()}\nenv"
    told = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.splitlines()
    found = dict(line.partition("=")[::2] for line in told)
    due = wanted.variables()
    assert {name: found[name] for name in due} == due
    assert due["EI_ACCELERATORS"] == "a:1,b:2"
    assert due["EI_ACCELERATOR_TOKEN"] == "secret"
    assert due["SAGEMAKER_INFERENCE_ACCELERATOR_PRESENT"] == "true"
    assert due["PYTHONPATH"] == f"{attaching.SITE}:/mine"


def test_the_environment_says_what_arguments_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses, token and authority come from the environment where no argument names them."""
    monkeypatch.setenv("EI_ACCELERATORS", "here:9")
    monkeypatch.setenv("EI_ACCELERATOR_TOKEN", "known")
    settings = Attachment().settings()
    assert (settings.accelerators, settings.accelerator_token) == (("here:9",), "known")
    assert Attachment(("there:8",)).settings().accelerators == ("there:8",)


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody answers nothing is printed to export: two lines say so with the known phrase and how to start one."""
    address = f"127.0.0.1:{free_port()}"
    assert ei("attach", address) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "Failed to detect any accelerator" in err
    assert "ei accelerator serve" in err
    assert len(err.strip().splitlines()) == 2


@pytest.mark.parametrize("words", [["--run"], ["--", "python"]], ids=["no command", "no --run"])
def test_run_takes_a_command(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    """`--run` and a command behind `--` belong together."""
    assert ei("attach", *words) == 2
    assert shlex.join(["--run", "--", "python", "script.py"]) in capsys.readouterr().err


def test_token_file_that_is_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A token's file that cannot be read is told, not traced."""
    assert ei("attach", "--token-file", str(tmp_path / "none")) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_secrets_are_not_in_the_way(tmp_path: Path) -> None:
    """A key is written to a file that was closed to others before anything was in it."""
    file = tmp_path / "key"
    file.write_text("old")
    os.chmod(file, 0o644)
    certificates.write_private(file, "new")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o600)
