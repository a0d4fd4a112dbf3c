"""`evenshard-worker`: the process that an engine starts on a machine where evenshard is installed.

Flink and Spark run Python in workers of their own. With `--environment_type=PROCESS` they start
a command and pass it the endpoints below; Beam ships that command only inside its containers.
This one asks the engine for the job's options and becomes Beam's worker. It fetches no files:
code comes from the installation, pictures and shards from the shared file system.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tfrecords.cli import utf8

# A worker that cannot reach the engine that started it has nothing to live for.
_PROVISION_SECONDS = 60


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one worker until its engine closes the connection.

    Args:
      argv: the arguments of Beam's container contract; unknown ones are ignored, as the
        contract asks, for an engine may be newer than this.
    """
    if argv is None:
        utf8.restart_if_needed()
    parser = argparse.ArgumentParser(prog="evenshard-worker", description=_first_line(__doc__))
    parser.add_argument("--id", required=True, help="of the worker, chosen by the engine")
    parser.add_argument("--provision_endpoint", required=True, metavar="HOST:PORT")
    parser.add_argument("--control_endpoint", default="", metavar="HOST:PORT")
    parser.add_argument("--logging_endpoint", default="", metavar="HOST:PORT")
    flags, _ = parser.parse_known_args(argv)
    info = _provision_info(flags.id, flags.provision_endpoint)
    os.environ.update(
        worker_environment(flags.id, info, flags.control_endpoint, flags.logging_endpoint)
    )
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main([])
    return 0


def worker_environment(
    worker_id: str, info: Any, control_endpoint: str = "", logging_endpoint: str = ""
) -> Mapping[str, str]:
    """Returns the variables that Beam's `sdk_worker_main` reads.

    Args:
      worker_id: chosen by the engine.
      info: `ProvisionInfo`; its endpoints go before the ones of the command line.
      control_endpoint: host:port that sends work.
      logging_endpoint: host:port that takes messages, or "".
    """
    from apache_beam.portability.api import endpoints_pb2
    from google.protobuf import json_format, text_format

    def descriptor(offered: Any, url: str) -> str:
        chosen = offered if offered.url else endpoints_pb2.ApiServiceDescriptor(url=url)
        return text_format.MessageToString(chosen, as_one_line=True)

    variables = {
        "WORKER_ID": worker_id,
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
        "CONTROL_API_SERVICE_DESCRIPTOR": descriptor(info.control_endpoint, control_endpoint),
    }
    if info.logging_endpoint.url or logging_endpoint:
        variables["LOGGING_API_SERVICE_DESCRIPTOR"] = descriptor(
            info.logging_endpoint, logging_endpoint
        )
    if info.status_endpoint.url:
        variables["STATUS_API_SERVICE_DESCRIPTOR"] = descriptor(info.status_endpoint, "")
    return variables


def _provision_info(worker_id: str, endpoint: str) -> Any:
    import grpc
    from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc

    with grpc.insecure_channel(endpoint) as channel:
        stub = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        request = beam_provision_api_pb2.GetProvisionInfoRequest()
        try:
            # The contract: an engine tells its workers apart by this header.
            return stub.GetProvisionInfo(
                request,
                timeout=_PROVISION_SECONDS,
                wait_for_ready=True,
                metadata=[("worker_id", worker_id)],
            ).info
        except grpc.RpcError as error:
            raise SystemExit(
                f"evenshard-worker: no engine answers at --provision_endpoint={endpoint} "
                f"({error.code().name}). The engine starts this command itself: give it to "
                "--environment_type=PROCESS"
            ) from error


def _first_line(text: str | None) -> str:
    return (text or "").splitlines()[0]


if __name__ == "__main__":
    sys.exit(main())
