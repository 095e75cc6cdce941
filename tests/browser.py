"""Opens runs in TensorBoard as a user would: python -m tests.browser [--logdir=runs] [--output=pictures].

A script to run by hand; pytest does not collect it. It opens each tab in headless Chromium, waits until the tab shows
the expected texts, and takes a picture. Without --logdir it trains three small runs first. It needs Chromium and its
chromedriver. Exit status: 0 all tabs show the expected texts, 1 a tab does not.
"""

import contextlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

from absl import flags

from charrnn import command
from charrnn.errors import UserError
from tests import webdriver

FLAGS = flags.FlagValues()
flags.DEFINE_string("logdir", None, "A folder of runs, as the README's commands make them.", flag_values=FLAGS)
flags.DEFINE_string("output", "pictures", "Where the pictures go.", flag_values=FLAGS)
flags.DEFINE_float("seconds", 60, "How long to wait for each tab.", flag_values=FLAGS)

_MUST_SHOW = {
    "timeseries": ["train", "validation", "bits_per_char"],
    "scalars": ["bits_per_char", "chars_per_sec", "nats_per_char"],
    "custom_scalars": ["Loss", "nats per character", "own inputs: probability and share", "Open loop", "Matches ("],
    "images": ["open loop/curves"],
    "histograms": ["gradients/readout/kernel", "weights/readout/kernel"],
    "text": ["samples/line break/temperature 0.5", "charrnn.export --run_dir="],
    "projector": ["embedding", "character", "Points: "],
    "hparams": ["Trial ID", "trainer", "optimizer.learning_rate", "bits_per_char"],
}
_TINY = "--experiment=quickstart model.units=32 --steps=60 loop.log_every=5 loop.evaluate_every=20".split()
_RUNS = {
    "plain": ["loop.histograms_every=20", "model.embedding_size=16"],
    "fast": ["loop.histograms_every=20", "optimizer.learning_rate=0.02"],
    "open_loop": ["--trainer=scheduled_sampling", "trainer.half_step=30"],
}
_ALL_TEXT = """
    const found = [];
    const walk = node => {
        if (node.nodeType == Node.TEXT_NODE) found.push(node.textContent);
        if (node.contentDocument) walk(node.contentDocument.body);
        if (node.shadowRoot) node.shadowRoot.childNodes.forEach(walk);
        node.childNodes.forEach(walk);
    };
    walk(document.body);
    return found.join("\\n");
"""


def main(beside: list[str]) -> int:
    """Checks each tab. Returns the exit status."""
    if webdriver.MISSING:
        raise UserError("This needs chromium and chromedriver on the path: apt-get install chromium chromium-driver.")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        if not FLAGS.logdir:
            _make_runs(os.path.join(folder, "runs"))
        url = stack.enter_context(tensorboard(FLAGS.logdir or os.path.join(folder, "runs")))
        browser = stack.enter_context(webdriver.browser(pathlib.Path(folder), 1600, 2000))
        os.makedirs(FLAGS.output, exist_ok=True)
        missing = {tab: _look(browser, url, tab, phrases) for tab, phrases in _MUST_SHOW.items()}
    return 1 if any(missing.values()) else command.DONE


@contextlib.contextmanager
def tensorboard(logdir: str):
    """Runs TensorBoard during the body. Yields its address."""
    start = [sys.executable, "-m", "tensorboard.main", f"--logdir={logdir}", "--host=127.0.0.1", "--port=0"]
    with subprocess.Popen([*start, "--load_fast=false"], stderr=subprocess.PIPE, text=True) as process:
        try:
            yield next(found[0] for line in process.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
        finally:
            process.terminate()


def _make_runs(folder: str) -> None:
    for name, settings in _RUNS.items():
        run_dir = f"--run_dir={os.path.join(folder, name)}"
        subprocess.run([sys.executable, "-m", "trainers.run", *_TINY, run_dir, *settings], check=True)
    small = ["--num_rollouts=4", "--num_chars=300"]
    subprocess.run([sys.executable, "-m", "trainers.evaluate", run_dir, *small], check=True)


def _look(browser, url: str, tab: str, phrases: list[str]) -> list[str]:
    """Opens a tab and takes a picture of it. Returns the phrases that it does not show."""
    browser.open("about:blank")
    browser.open(f"{url}/#{tab}")
    end, missing = time.monotonic() + FLAGS.seconds, phrases
    while missing and time.monotonic() < end:
        time.sleep(0.5)
        text = browser.run(_ALL_TEXT)
        missing = [phrase for phrase in phrases if phrase not in text]
    time.sleep(2)  # until the tab is drawn
    browser.picture(pathlib.Path(FLAGS.output, f"{tab}.png"))
    print(f"FAILED  {tab} does not show {', '.join(missing)}" if missing else f"ok      {tab}", flush=True)
    return missing


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
