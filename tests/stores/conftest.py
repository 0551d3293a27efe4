"""An S3 server over HTTP on this machine, and buckets in memory."""

import logging
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

_ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="session")
def _s3() -> Iterator[str]:
    """A bucket on a server of moto's; the environment names it, for this process and those it starts."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    before = {name: os.environ.get(name) for name in (*_ENVIRONMENT, "AWS_ENDPOINT_URL")}
    os.environ.update(_ENVIRONMENT | {"AWS_ENDPOINT_URL": f"http://{host}:{port}"})
    import s3fs

    s3fs.S3FileSystem(use_listings_cache=False).mkdir("studies")
    yield "s3://studies"
    os.environ.update({name: value for name, value in before.items() if value is not None})
    for name in [name for name, value in before.items() if value is None]:
        del os.environ[name]
    server.stop()


@pytest.fixture
def s3(_s3: str) -> str:
    """An empty prefix of a bucket over HTTP."""
    return f"{_s3}/{uuid.uuid4().hex[:8]}"


@pytest.fixture
def memory() -> str:
    """An empty bucket in memory."""
    return f"memory://b{uuid.uuid4().hex[:8]}/prefix"


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where buckets have their scratch folders in this test."""
    monkeypatch.setenv("IDENTITY_EM_SCRATCH", str(tmp_path / "scratch"))
    return tmp_path / "scratch"
