"""A package index on this machine, for the real pip."""

import http.server
import io
import threading
import zipfile
from pathlib import Path

from loopback import send

from utils.assets.catalog import Wheel


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

    def copy(self, wheel: Wheel, folder: Path) -> Path:
        """What `download` does, without pip."""
        prefix = f"{wheel.name.replace('-', '_')}-"
        (name,) = (file for file in self.wheels if file.startswith(prefix))
        self.downloaded.append(name)
        (folder / name).write_bytes(self.wheels[name])
        return folder / name

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        _, folder, name, *_ = handler.path.split("/")
        if folder == "files" and name in self.wheels:
            self._send_wheel(handler, name)
        elif links := self._links(name):
            send(handler, links.encode(), "text/html")
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
        send(handler, wheel[:half], length=len(wheel))
        self.may_finish.wait(60)
        if not self.breaks_off:
            handler.wfile.write(wheel[half:])


def _metadata(project: str, tag: str) -> dict[str, bytes]:
    folder = f"{project}-1.0.dist-info"
    return {
        f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n".encode(),
        f"{folder}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
        f"{folder}/RECORD": b"",
    }
