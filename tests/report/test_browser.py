"""The page in headless Chromium: accessible in light and dark, printable, and asking for nothing outside itself."""

import html
import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import synthetic

from identity_em import report
from identity_em.analysis import table

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
AXE = importlib.util.find_spec("axe_core_python")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium")
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
         "--disable-component-update", "--no-first-run", "--disable-extensions")  # fmt: skip
LOOKS = {"light": "1", "dark": "0"}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    frame = synthetic.frame(items=6, prompts=("default", "empty"))
    frame.loc[frame["metric"] == "harm", "answer"] = "A text of a model that is long enough to be <b>shown</b>."
    table.write(frame, synthetic.meta(), folder / "t.parquet")
    return report.build(folder / "t.parquet", folder / "out")


def chromium(*arguments: str) -> str:
    assert BROWSER is not None
    done = subprocess.run([BROWSER, *QUIET, *arguments], capture_output=True, text=True, timeout=120, check=False)
    return done.stdout


@pytest.mark.skipif(AXE is None, reason="axe-core-python is not installed")
@pytest.mark.parametrize("look", list(LOOKS))
def test_the_page_passes_the_accessibility_rules(page: Path, tmp_path: Path, look: str) -> None:
    assert AXE is not None
    assert AXE.origin is not None
    text = page.read_text(encoding="utf-8")
    # The page's own policy forbids every script, this one too; the copy that is examined goes without it.
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    rules = (Path(AXE.origin).parent / "axe.min.js").read_text(encoding="utf-8")
    run = (
        "document.querySelectorAll('details').forEach(d => d.open = true);"
        "axe.run().then(r => { const p = document.createElement('pre'); p.id = 'found';"
        "p.textContent = JSON.stringify({dark: matchMedia('(prefers-color-scheme: dark)').matches,"
        "passes: r.passes.length, found: r.violations.map(v => [v.id, v.nodes.length, v.nodes[0].html])});"
        "document.body.append(p); });"
    )
    copy = tmp_path / "page.html"
    copy.write_text(text.replace("</body>", f"<script>{rules}</script><script>{run}</script></body>"), encoding="utf-8")
    scheme = f"--blink-settings=preferredColorScheme={LOOKS[look]}"
    dom = chromium(scheme, "--virtual-time-budget=60000", "--dump-dom", copy.as_uri())
    told = re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
    assert told is not None
    found = json.loads(html.unescape(told[1]))
    assert found["dark"] is (look == "dark")
    assert found["passes"] > 15
    assert found["found"] == []


def test_the_page_asks_for_nothing_outside_itself(page: Path, tmp_path: Path) -> None:
    log = tmp_path / "net.json"
    chromium(f"--log-net-log={log}", "--virtual-time-budget=5000", "--dump-dom", page.as_uri())
    urls = set(re.findall(r'"url":"(\w+:[^"]*)"', log.read_text(encoding="utf-8", errors="replace")))
    # What the browser asks for by itself (it looks for updates) is of its own making, not the page's.
    own = re.compile(r"https?://([\w-]+\.)*(google|googleapis|gstatic)\.com[:/]")
    assert [url for url in urls if url.startswith(("http", "ws", "ftp")) and not own.match(url)] == []


def test_the_page_prints(page: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.pdf"
    chromium(f"--print-to-pdf={out}", "--no-pdf-header-footer", page.as_uri())
    content = out.read_bytes()
    assert content.startswith(b"%PDF")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 40
