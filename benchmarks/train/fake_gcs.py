"""A bucket of Google Cloud Storage played from a local folder, as slow as one that is far.

    python -m benchmarks.train.fake_gcs FOLDER [--latency_ms=50] [--stream_mb_per_s=0]

TensorFlow's client of gs:// has Google's addresses built in, and takes from the environment what
libcurl takes: a proxy, and the certificates to trust. This is that proxy: whatever is to go to
Google ends here, under a certificate made for the occasion, and is answered from FOLDER, whatever
the bucket's name. The two requests of reading are understood, metadata and ranges of an object.

It prints one line of JSON, the environment variables that lead a process here, and serves until
its standard input ends.
"""

from __future__ import annotations

import argparse
import json
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HOSTS = ("www.googleapis.com", "storage.googleapis.com")

_METADATA = "/storage/v1/b/"
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Distance:
    """How far a bucket is.

    Attributes:
      latency: seconds from a request to the first byte of its answer.
      bytes_per_second: of one answer; 0 for no limit.
    """

    latency: float = 0.0
    bytes_per_second: float = 0.0

    def __post_init__(self) -> None:
        if self.latency < 0 or self.bytes_per_second < 0:
            raise ValueError(f"a distance is not negative: {self}")


class Server(ThreadingHTTPServer):
    """The proxy and, behind it, the bucket."""

    daemon_threads = True

    def __init__(self, folder: Path, distance: Distance, certificate: Path) -> None:
        super().__init__(("localhost", 0), _Handler)
        self.folder = folder.resolve()
        self.distance = distance
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of a client that hung up, as one that was killed does."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_CONNECT(self) -> None:
        """Takes the connection for the host that it was to reach, over TLS."""
        self.send_response(HTTPStatus.OK)
        self.end_headers()
        self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)

    def do_GET(self) -> None:
        time.sleep(self.server.distance.latency)
        path = self._file()
        if path is None or not path.is_file():
            self._answer(HTTPStatus.NOT_FOUND, b"{}")
        elif self.path.startswith(_METADATA):
            self._answer(HTTPStatus.OK, _metadata(path))
        else:
            self._send_range(path)

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing of requests."""

    def _file(self) -> Path | None:
        """Returns the file of the object that is asked for; None for a question about many."""
        asked = urllib.parse.urlsplit(self.path).path
        if asked.startswith(_METADATA):
            _, _, name = asked.removeprefix(_METADATA).partition("/o/")
        else:
            _, _, name = asked.lstrip("/").partition("/")
        found = (self.server.folder / urllib.parse.unquote(name)).resolve()
        return found if name and found.is_relative_to(self.server.folder) else None

    def _send_range(self, path: Path) -> None:
        size = path.stat().st_size
        first, last = _range(self.headers.get("Range", ""), size)
        if first >= size:
            self._answer(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, b"")
            return
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        with path.open("rb") as file:
            file.seek(first)
            self._send_paced(file.read(last - first + 1))

    def _send_paced(self, data: bytes) -> None:
        rate, began = self.server.distance.bytes_per_second, time.monotonic()
        for start in range(0, len(data), _BLOCK):
            self.wfile.write(data[start : start + _BLOCK])
            if rate:
                time.sleep(max(0.0, began + start / rate - time.monotonic()))

    def _answer(self, status: HTTPStatus, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _metadata(path: Path) -> bytes:
    """Returns what TensorFlow asks of an object; its numbers are strings, as Google's are."""
    fields = {
        "size": str(path.stat().st_size),
        "generation": "1",
        "updated": "2024-01-01T00:00:00.000Z",
    }
    return json.dumps(fields).encode()


def _range(header: str, size: int) -> tuple[int, int]:
    """Returns (first, last) byte of "bytes=a-b"; the whole file for anything else."""
    first, _, last = header.removeprefix("bytes=").partition("-")
    if not first.isdecimal():
        return 0, size - 1
    return int(first), min(size - 1, int(last)) if last.isdecimal() else size - 1


def _make_certificate(folder: Path) -> Path:
    """Writes a key and a certificate of it for Google's hosts, good for a day, to one file."""
    key, certificate, both = (folder / f"{name}.pem" for name in ("key", "certificate", "both"))
    names = ",".join(f"DNS:{host}" for host in HOSTS)
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
            "-subj", "/CN=bucket", "-addext", f"subjectAltName={names}",
            "-keyout", str(key), "-out", str(certificate),
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return both


@contextmanager
def serving(folder: Path, distance: Distance = Distance()) -> Iterator[Mapping[str, str]]:
    """Serves a folder; gives the environment in which gs://any-bucket/ leads to it."""
    with tempfile.TemporaryDirectory() as kept:
        server = Server(folder, distance, _make_certificate(Path(kept)))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield {
                "https_proxy": f"http://localhost:{server.server_port}",
                "no_proxy": "",
                "CURL_CA_BUNDLE": str(Path(kept) / "certificate.pem"),
                "NO_GCE_CHECK": "true",  # Asks nobody for a name to go by.
                "GOOGLE_APPLICATION_CREDENTIALS": "",
            }
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency_ms", type=float, default=50.0)
    parser.add_argument("--stream_mb_per_s", type=float, default=0.0)
    given = parser.parse_args(argv)
    distance = Distance(given.latency_ms / 1e3, given.stream_mb_per_s * 1e6)
    with serving(given.folder, distance) as environment:
        print(json.dumps(dict(environment)), flush=True)
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
