"""The web page as tests serve it, open it, and put files and questions to it."""

import os
import subprocess
import sys
from contextlib import contextmanager

from browsers import free_port, wait_for
from playwright.sync_api import expect

WAIT = 60_000  # milliseconds; machines are shared


@contextmanager
def page_served(folder, *options):
    """Address, process and temporary folder of ``tempo app``."""
    port, log = free_port(), folder / "log"
    command = [sys.executable, "-m", "tempo_lib.cli", "app", "--port", str(port), *options]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=stream, env={**os.environ, "TMPDIR": str(folder)}
        )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address, process, log)
        yield address, process, folder
    finally:
        process.terminate()
        process.wait(timeout=30)


def opened(browser, address, width, scheme):
    """A page that fails its test on any script error and any request to another machine."""
    made = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    made.set_default_timeout(WAIT)
    problems = []
    made.on("pageerror", lambda error: problems.append(str(error)))
    made.on("request", lambda request: outside(request.url) and problems.append(request.url))
    made.goto(f"{address}/?__theme={scheme}")
    made.get_by_label("Question", exact=True).wait_for()
    yield made
    made.close()
    assert not problems


def outside(url):
    return not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))


def status(page):
    return page.locator("#status textarea, #status input").first


def upload(page, path):
    page.locator("input[type=file]").first.set_input_files(path)
    expect(status(page)).to_have_value("The file is here: put a question.", timeout=WAIT)


def ask(page, question):
    page.get_by_label("Question", exact=True).fill(question)
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator("#answers .te-answer").first).to_contain_text(question, timeout=WAIT)
    expect(status(page)).to_have_value("Done.", timeout=WAIT)
