"""A page in real headless Chromium, spoken to over its DevTools protocol: a page that fetches needs real time."""

import asyncio
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import aiohttp

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
          "--remote-debugging-port=0", "about:blank")  # fmt: skip


def text_of(url: str, wanted: str, profile: Path, *, seconds: float = 60) -> str:
    """The page's visible text once it holds `wanted`; what it holds in the end where it never does."""
    assert BROWSER is not None
    command = [BROWSER, f"--user-data-dir={profile}", *_FLAGS]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return asyncio.run(_text(_port(profile), url, wanted, time.monotonic() + seconds))
    finally:
        process.terminate()
        process.wait(20)


def _port(profile: Path) -> int:
    file = profile / "DevToolsActivePort"
    for _ in range(300):
        if file.is_file() and file.read_text().count("\n"):
            return int(file.read_text().splitlines()[0])
        time.sleep(0.1)
    raise AssertionError("Chromium did not start")


async def _text(port: int, url: str, wanted: str, until: float) -> str:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/json/list") as told:
            page = next(one for one in json.loads(await told.text()) if one["type"] == "page")
        async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            await _do(socket, "Page.navigate", url=url)
            found = ""
            while wanted not in found and time.monotonic() < until:
                await asyncio.sleep(0.5)
                done = await _do(socket, "Runtime.evaluate", expression="document.body.innerText", returnByValue=True)
                found = str(done["result"].get("value", ""))
            return found


async def _do(socket: aiohttp.ClientWebSocketResponse, method: str, **params: object) -> Any:
    await socket.send_json({"id": 1, "method": method, "params": params})
    while True:
        told = json.loads((await socket.receive()).data)
        if told.get("id") == 1:
            return told["result"]
