"""The command: flags as those of `tensorflow_model_server`; serves until it is told to stop."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import text_format


def main() -> None:
    """Load, listen, say so, wait."""
    flags = parse(sys.argv[1:])
    folders = listed(flags)
    from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

    from tests.tf_serving_server.models import Models
    from tests.tf_serving_server.services import Predictions, Statuses

    models = Models(folders)
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)])
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Predictions(models), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Statuses(models), server)
    server.add_insecure_port(f"127.0.0.1:{flags.port}")
    server.start()
    print(f"Running gRPC ModelServer at 127.0.0.1:{flags.port}: a stand-in of the tests", file=sys.stderr, flush=True)
    if flags.rest_api_port:
        rest = ThreadingHTTPServer(("127.0.0.1", flags.rest_api_port), statuses(models))
        threading.Thread(target=rest.serve_forever, daemon=True).start()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    stop.wait()
    server.stop(0).wait()


def parse(arguments: list[str]) -> argparse.Namespace:
    """The flags; one that TF Serving has not ends the process, as there."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("port", "rest_api_port", "max_num_load_retries"):
        parser.add_argument(f"--{name}", type=int, default=0)
    for name in ("tensorflow_intra_op_parallelism", "tensorflow_inter_op_parallelism"):
        parser.add_argument(f"--{name}", type=int, default=0)
    parser.add_argument("--model_name", default="default")
    parser.add_argument("--model_base_path", default="")
    parser.add_argument("--model_config_file", default="")
    parser.add_argument("--enable_batching", choices=["true", "false"], default="false")
    parser.add_argument("--batching_parameters_file", default="")
    parser.add_argument("--per_process_gpu_memory_fraction", type=float, default=0)
    return parser.parse_args(arguments)


def listed(flags: argparse.Namespace) -> dict[str, dict[int, Path]]:
    """Name -> version -> folder of what the flags say is to be served."""
    from tensorflow_serving.config import model_server_config_pb2

    from tests.tf_serving_server.models import numbered

    if not flags.model_config_file:
        return {flags.model_name: numbered(Path(flags.model_base_path))}
    config = text_format.Parse(Path(flags.model_config_file).read_text(), model_server_config_pb2.ModelServerConfig())
    found = {}
    for model in config.model_config_list.config:
        versions, wanted = numbered(Path(model.base_path)), set(model.model_version_policy.specific.versions)
        found[model.name] = {number: folder for number, folder in versions.items() if number in wanted}
    return found


def statuses(models: Any) -> type[BaseHTTPRequestHandler]:
    """The handler of the REST port: GET /v1/models/NAME alone."""

    class Handler(BaseHTTPRequestHandler):
        """Tells which versions are there."""

        def do_GET(self) -> None:
            """The status of a model."""
            numbers = models.versions.get(self.path.removeprefix("/v1/models/"), {})
            states = [{"version": str(n), "state": "AVAILABLE", "status": {"error_code": "OK"}} for n in numbers]
            body = json.dumps({"model_version_status": states} if states else {"error": "not found"}).encode()
            self.send_response(200 if states else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler


if __name__ == "__main__":
    main()
