"""A package index and a model hub on this machine, for the real pip and the real hub client."""

import http.server
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1
from urllib.parse import unquote, urlsplit

COMMIT = "c" * 40


class PackageIndex:
    """A package index (PEP 503), and the files that were downloaded from it."""

    def __init__(self) -> None:
        self.wheels: dict[str, bytes] = {}
        self.downloaded: list[str] = []
        self.breaks_off = False
        self.may_finish = threading.Event()
        self.may_finish.set()

    @property
    def downloads(self) -> int:
        return len(self.downloaded)

    def publish(
        self, files: dict[str, bytes], project: str = "toy_wheel", tag: str = "py3-none-any"
    ) -> bytes:
        """Offer version 1.0 of a project with these files and return the wheel."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for path, content in (files | _metadata(project, tag)).items():
                archive.writestr(zipfile.ZipInfo(path), content)  # without today's date
        self.wheels[f"{project}-1.0-{tag}.whl"] = buffer.getvalue()
        return buffer.getvalue()

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        _, folder, name, *_ = handler.path.split("/")
        if folder == "files" and name in self.wheels:
            self._send_wheel(handler, name)
        elif links := self._links(name):
            _send(handler, links.encode(), "text/html")
        else:
            handler.send_error(404)

    def _links(self, project: str) -> str:
        prefix = f"{project.replace('-', '_')}-"
        files = (file for file in self.wheels if file.startswith(prefix))
        return "".join(f'<a href="/files/{file}">{file}</a>' for file in files)

    def _send_wheel(self, handler: http.server.BaseHTTPRequestHandler, name: str) -> None:
        """Send one half, wait until `may_finish`, then send the other or break off."""
        self.downloaded.append(name)
        wheel = self.wheels[name]
        half = len(wheel) // 2
        _send(handler, wheel[:half], length=len(wheel))
        self.may_finish.wait(60)
        if not self.breaks_off:
            handler.wfile.write(wheel[half:])


class ModelHub:
    """The part of the hub's API that a snapshot needs; `error` is what it answers instead."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, bytes]] = {}
        self.revisions: list[str] = []
        self.downloads: list[str] = []
        self.error: tuple[int, dict[str, str]] | None = None

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(handler.path).path)
        if path == "/":
            _send(handler, b"hub")
        elif self.error:
            status, headers = self.error
            _send(handler, b"{}", status=status, headers=headers)
        elif path.startswith("/api/"):
            self._describe(handler, path.removeprefix("/api/"))
        else:
            self._send_file(handler, path.removeprefix("/").removeprefix("datasets/"))

    def _describe(self, handler: http.server.BaseHTTPRequestHandler, path: str) -> None:
        """Answer for "models/owner/name/revision/main" and "models/owner/name/tree/commit"."""
        _, owner, name, what, revision = path.split("/", 4)
        files = self.repos[f"{owner}/{name}"]
        if what == "tree":
            tree = [
                {"type": "file", "path": path, "size": len(content), "oid": _etag(content)}
                for path, content in files.items()
            ]
            _send(handler, json.dumps(tree).encode(), "application/json")
        else:
            self.revisions.append(revision)
            siblings = [{"rfilename": path} for path in files]
            info = {"id": f"{owner}/{name}", "sha": COMMIT, "siblings": siblings}
            _send(handler, json.dumps(info).encode(), "application/json")

    def _send_file(self, handler: http.server.BaseHTTPRequestHandler, path: str) -> None:
        repo, _, file = path.partition(f"/resolve/{COMMIT}/")
        content = self.repos[repo][file]
        if handler.command == "GET":
            self.downloads.append(file)
        headers = {"ETag": f'"{_etag(content)}"', "X-Repo-Commit": COMMIT}
        _send(handler, content, headers=headers)


@contextmanager
def serve(site: PackageIndex | ModelHub) -> Iterator[str]:
    """The address of a server on the loopback interface that answers with `site`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.answer(self)

        def do_HEAD(self) -> None:
            site.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _send(
    handler: http.server.BaseHTTPRequestHandler,
    content: bytes,
    kind: str = "application/octet-stream",
    *,
    status: int = 200,
    length: int | None = None,
    headers: dict[str, str] | None = None,
) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(length or len(content)))
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command == "GET":
        handler.wfile.write(content)


def _etag(content: bytes) -> str:
    return sha1(content).hexdigest()


def _metadata(project: str, tag: str) -> dict[str, bytes]:
    folder = f"{project}-1.0.dist-info"
    return {
        f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n".encode(),
        f"{folder}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
        f"{folder}/RECORD": b"",
    }
