"""The loopback hub, and Python processes for which it is the only host."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from loopback import serve

from hub.repositories import HUB
from hub.server import Hub, Repository

ROOT = Path(__file__).parents[2]

# Runs in every Python process of a client when it starts: writes down whom it tries to reach.
SITECUSTOMIZE = """
import sys

def note(event, args):
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event == "socket.connect" and isinstance(args[1], tuple):
        host = args[1][0]
    else:
        return
    with open({log!r}, "a") as log:
        log.write(f"{{host}}\\n")

sys.addaudithook(note)
"""


@dataclass(frozen=True)
class Client:
    """A user with an empty cache, whose hub is the loopback hub."""

    home: Path
    environment: dict[str, str]

    def start(
        self, *arguments: str, cwd: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments to its end."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def run(self, code: str, **environment: str) -> str:
        """What `code` prints."""
        process = self.start("-c", code, **environment)
        assert process.returncode == 0, process.stderr
        return process.stdout.strip()

    def error(self, code: str, **environment: str) -> str:
        """The last line of the traceback that `code` ends in."""
        process = self.start("-c", code, **environment)
        assert process.returncode == 1, process.stdout
        return process.stderr.strip().splitlines()[-1]

    @property
    def hosts(self) -> set[str]:
        """Whom its processes tried to reach."""
        return set((self.home / "hosts").read_text().split())


@pytest.fixture(scope="session")
def repositories() -> dict[str, Repository]:
    """Everything that the loopback hub can serve, by id."""
    return {id: build() for id, build in HUB.items()}


@pytest.fixture
def hub(repositories: dict[str, Repository]) -> Hub:
    return Hub(repositories)


@pytest.fixture
def client(hub: Hub, tmp_path: Path) -> Iterator[Client]:
    (tmp_path / "sitecustomize.py").write_text(SITECUSTOMIZE.format(log=str(tmp_path / "hosts")))
    settings = ("HF_", "HUGGING_FACE_", "TRANSFORMERS_")
    inherited = {name: os.environ[name] for name in os.environ if not name.startswith(settings)}
    with serve(hub) as url:
        yield Client(
            tmp_path,
            inherited
            | {
                "HF_ENDPOINT": url,
                "HF_HOME": str(tmp_path / "hf"),
                "NO_PROXY": "127.0.0.1",
                "OMP_NUM_THREADS": "1",
                "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]),
            },
        )
