"""A package index on this machine, for the real pip."""

import http.server
import io
import threading
import zipfile

from loopback import send


class PackageIndex:
    """A package index (PEP 503) with one project, and the downloads it served."""

    FILE = "toy_wheel-1.0-py3-none-any.whl"

    def __init__(self) -> None:
        self.wheel: bytes | None = None
        self.downloads = 0
        self.breaks_off = False
        self.may_finish = threading.Event()
        self.may_finish.set()

    def publish(self, files: dict[str, bytes]) -> bytes:
        """Offer `toy-wheel==1.0` with these files and return the wheel."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for path, content in (files | _metadata("toy_wheel")).items():
                archive.writestr(path, content)
        self.wheel = buffer.getvalue()
        return self.wheel

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        if self.wheel and handler.path == "/simple/toy-wheel/":
            send(handler, f'<a href="/files/{self.FILE}">{self.FILE}</a>'.encode(), "text/html")
        elif self.wheel and handler.path == f"/files/{self.FILE}":
            self._send_wheel(handler)
        else:
            handler.send_error(404)

    def _send_wheel(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """Send one half, wait until `may_finish`, then send the other or break off."""
        self.downloads += 1
        half = len(self.wheel) // 2
        send(handler, self.wheel[:half], length=len(self.wheel))
        self.may_finish.wait(60)
        if not self.breaks_off:
            handler.wfile.write(self.wheel[half:])


def _metadata(project: str) -> dict[str, bytes]:
    folder = f"{project}-1.0.dist-info"
    return {
        f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n".encode(),
        f"{folder}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{folder}/RECORD": b"",
    }
