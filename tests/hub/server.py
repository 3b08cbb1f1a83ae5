"""As much of the Hugging Face Hub as `huggingface_hub`, `transformers` and `datasets` ask for.

Answers follow https://huggingface.co/docs/hub/api: descriptions, listings and files of repositories
under each revision, error codes in headers, downloads that can be resumed. Every repository has one
commit, and what a test needs to go wrong is set on the hub.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha1
from http.server import BaseHTTPRequestHandler
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

from loopback import send

COMMIT = "c" * 40
TOKEN = "hf_loopback"

API = re.compile(
    r"/api/(?P<kind>model|dataset)s/(?P<id>[^/]+/[^/]+)"
    r"(/(?P<what>revision|tree|paths-info)/(?P<revision>[^/]+)(/(?P<path>.+))?)?"
)
FILE = re.compile(
    r"/(?P<dataset>datasets/)?(?P<id>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)"
)


@dataclass(frozen=True)
class Repository:
    """Files by path, under one branch (and its commit).

    A gated repository shows its description to all and its files to who has a token; a private one
    shows nothing without a token.
    """

    kind: Literal["model", "dataset"]
    files: Mapping[str, bytes]
    branch: str = "main"
    access: Literal["public", "gated", "private"] = "public"


class RefusalError(Exception):
    """What the hub answers instead of what was asked for."""

    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        self.status = status
        self.headers = {"X-Error-Code": code, "X-Error-Message": message}


class Hub:
    """Repositories by id, what was asked of them, and what goes wrong.

    Attributes:
        errors: what the next requests get instead, by a pattern that "GET /path" must match.
        breaks: how many of the next downloads of a file break off half-way.
        asked: (id, revision) of each description.
        downloads: (id, path) of each download of a file.
    """

    def __init__(self, repositories: Mapping[str, Repository] | None = None) -> None:
        self.repositories = dict(repositories or {})
        self.errors: dict[str, Iterator[RefusalError]] = {}
        self.breaks: Counter[str] = Counter()
        self.asked: list[tuple[str, str]] = []
        self.downloads: list[tuple[str, str]] = []

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        try:
            self._route(handler)
        except RefusalError as refusal:
            send(handler, b"{}", status=refusal.status, headers=refusal.headers)

    def _route(self, handler: BaseHTTPRequestHandler) -> None:
        path = urlsplit(handler.path).path
        if path == "/":
            return send(handler, b"hub")
        self._fail(f"{handler.command} {path}")
        if match := API.fullmatch(path):
            return self._describe(handler, **_unquoted(match))
        if match := FILE.fullmatch(path):
            return self._send_file(handler, **_unquoted(match))
        raise RefusalError(404)

    def _fail(self, request: str) -> None:
        for pattern, errors in self.errors.items():
            if re.search(pattern, request) and (error := next(errors, None)):
                raise error

    def _describe(
        self,
        handler: BaseHTTPRequestHandler,
        kind: str,
        id: str,
        what: str,
        revision: str,
        path: str,
    ) -> None:
        repository = self._find(handler, kind, id, revision)
        if what == "tree":
            reply = _listing(repository.files, path)
        elif what == "paths-info":
            form = handler.rfile.read(int(handler.headers["Content-Length"])).decode()
            reply = _entries(repository.files, parse_qs(form)["paths"])
        else:
            self.asked.append((id, revision))
            siblings = [{"rfilename": path} for path in repository.files]
            reply = {"id": id, "sha": COMMIT, "siblings": siblings}
        send(handler, json.dumps(reply).encode(), "application/json")

    def _send_file(
        self, handler: BaseHTTPRequestHandler, dataset: str, id: str, revision: str, path: str
    ) -> None:
        repository = self._find(handler, "dataset" if dataset else "model", id, revision)
        if repository.access == "gated" and not _token(handler):
            raise RefusalError(401, "GatedRepo")
        if path not in repository.files:
            raise RefusalError(404, "EntryNotFound")
        content = repository.files[path]
        may_pass = len(content)
        if handler.command == "GET":
            self.downloads.append((id, path))
            if self.breaks[path] > 0:
                self.breaks[path] -= 1
                may_pass //= 2
        _send_from(handler, content, may_pass)

    def _find(
        self, handler: BaseHTTPRequestHandler, kind: str, id: str, revision: str
    ) -> Repository:
        """The repository, if it is there for who asks; an absent one looks like a private one."""
        token = _token(handler)
        repository = self.repositories.get(id)
        is_hidden = repository and repository.access == "private" and not token
        if not repository or repository.kind != kind or is_hidden:
            raise RefusalError(404 if token else 401, "RepoNotFound")
        if revision not in ("", repository.branch, COMMIT):
            raise RefusalError(404, "RevisionNotFound")
        return repository


def _unquoted(match: re.Match[str]) -> dict[str, str]:
    return {name: unquote(value or "") for name, value in match.groupdict().items()}


def _token(handler: BaseHTTPRequestHandler) -> str | None:
    """The visitor's token; a wrong one is refused."""
    token = handler.headers.get("Authorization", "").removeprefix("Bearer ")
    if token not in ("", TOKEN):
        raise RefusalError(401, message="Invalid credentials in Authorization header")
    return token or None


def _send_from(handler: BaseHTTPRequestHandler, content: bytes, may_pass: int) -> None:
    """Send `content` from where the client wants it; after `may_pass` bytes the line breaks."""
    headers = {"ETag": f'"{_etag(content)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
    begin = re.match(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    start = int(begin[1]) if begin else 0
    if begin:
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
    status = 206 if begin else 200
    length = len(content) - start
    send(handler, content[start:may_pass], status=status, length=length, headers=headers)


def _listing(files: Mapping[str, bytes], folder: str) -> list[dict[str, object]]:
    """All files and folders in `folder`, and in theirs."""
    inside = [path for path in files if path.startswith(f"{folder}/" if folder else "")]
    folders = {
        "/".join(path.split("/")[:n]) for path in inside for n in range(1, path.count("/") + 1)
    }
    return _entries(files, [*sorted(folders - {folder}), *inside])


def _entries(files: Mapping[str, bytes], paths: Iterable[str]) -> list[dict[str, object]]:
    return [_entry(files, path) for path in paths if _exists(files, path)]


def _entry(files: Mapping[str, bytes], path: str) -> dict[str, object]:
    if path not in files:
        return {"type": "directory", "path": path, "oid": _etag(path.encode())}
    return {"type": "file", "path": path, "size": len(files[path]), "oid": _etag(files[path])}


def _exists(files: Mapping[str, bytes], path: str) -> bool:
    return path in files or any(file.startswith(f"{path}/") for file in files)


def _etag(content: bytes) -> str:
    return sha1(content).hexdigest()
