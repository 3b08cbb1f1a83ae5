"""The loopback hub, in this process and for Python processes whose only host it is."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from loopback import serve

from hub.server import Hub

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

    def start(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments to its end."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=1_200,
        )

    def run(self, code: str) -> str:
        """What `code` prints."""
        process = self.start("-c", code)
        assert process.returncode == 0, process.stderr
        return process.stdout.strip()

    @property
    def hosts(self) -> set[str]:
        """Whom its processes tried to reach."""
        return set((self.home / "hosts").read_text().split())


@contextmanager
def visitor(hub: Hub, home: Path) -> Iterator[Client]:
    """A client of `hub`, which is served meanwhile."""
    (home / "sitecustomize.py").write_text(SITECUSTOMIZE.format(log=str(home / "hosts")))
    settings = ("HF_", "HUGGING_FACE_", "TRANSFORMERS_")
    inherited = {name: os.environ[name] for name in os.environ if not name.startswith(settings)}
    with serve(hub) as url:
        yield Client(
            home,
            inherited
            | {
                "HF_ENDPOINT": url,
                "HF_HOME": str(home / "hf"),
                "NO_PROXY": "127.0.0.1",
                "OMP_NUM_THREADS": "1",
                "PYTHONPATH": os.pathsep.join([str(home), str(ROOT)]),
            },
        )


def set_endpoint(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """What HF_ENDPOINT does to the hub client when it is imported."""
    template = f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub client, which may use the network and has no token."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")
    for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / "hub"


@pytest.fixture
def hub(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty hub, as the client in this process knows it; it waits for no second try."""
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    hub = Hub()
    with serve(hub) as url:
        set_endpoint(monkeypatch, url)
        yield hub
