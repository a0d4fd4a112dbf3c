from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent import futures

import pytest

pytest.importorskip("apache_beam")
import grpc
from apache_beam.portability.api import (
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
)
from google.protobuf import json_format

from beam_pipelines import worker


class Engine(beam_provision_api_pb2_grpc.ProvisionServiceServicer):
    """Tells its workers what a job is."""

    def __init__(self) -> None:
        self.workers: list[str] = []

    def GetProvisionInfo(self, request, context):  # type: ignore[no-untyped-def] # gRPC's name
        self.workers += [v for k, v in context.invocation_metadata() if k == "worker_id"]
        info = beam_provision_api_pb2.ProvisionInfo(runner_capabilities=["a", "b"])
        info.logging_endpoint.url = "localhost:2"
        json_format.ParseDict({"beam:option:runner:v1": "FlinkRunner"}, info.pipeline_options)
        return beam_provision_api_pb2.GetProvisionInfoResponse(info=info)


@pytest.fixture
def engine() -> Iterator[tuple[Engine, str]]:
    served = Engine()
    server = grpc.server(futures.ThreadPoolExecutor(1))
    beam_provision_api_pb2_grpc.add_ProvisionServiceServicer_to_server(served, server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    yield served, f"localhost:{port}"
    server.stop(None)


def test_a_worker_asks_its_engine_what_the_job_is(engine: tuple[Engine, str]) -> None:
    served, address = engine
    info = worker._provision_info("1-1", address)
    found = worker.worker_environment("1-1", info, control_endpoint="localhost:1")
    assert served.workers == ["1-1"]
    assert found["WORKER_ID"] == "1-1"
    assert found["RUNNER_CAPABILITIES"] == "a b"
    assert json.loads(found["PIPELINE_OPTIONS"]) == {"beam:option:runner:v1": "FlinkRunner"}
    assert found["CONTROL_API_SERVICE_DESCRIPTOR"] == 'url: "localhost:1"'
    assert found["LOGGING_API_SERVICE_DESCRIPTOR"] == 'url: "localhost:2"'
    assert "STATUS_API_SERVICE_DESCRIPTOR" not in found


def test_started_by_hand_it_says_who_starts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_PROVISION_SECONDS", 0.2)
    with pytest.raises(SystemExit, match="--environment_type=PROCESS"):
        worker.main(["--id=1", "--provision_endpoint=localhost:1"])
