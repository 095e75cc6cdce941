"""Takes the pictures of an exported page: python -m tests.page_pictures --run_dir=runs/quickstart [--output=pictures].

A script to run by hand; pytest does not collect it. It opens the page in headless Chromium, selects a character, and
takes a picture of each view: page_write.png, page_read.png, page_units.png. With --narrow it also takes pictures at a
phone's width and in dark mode. It needs Chromium and its chromedriver.
"""

import pathlib
import sys
import tempfile

from absl import flags

from charrnn import command
from charrnn.errors import UserError

FLAGS = flags.FlagValues()
flags.DEFINE_string("run_dir", None, "The run directory of the model.", flag_values=FLAGS)
flags.DEFINE_string("output", "pictures", "Folder for the pictures.", flag_values=FLAGS)
flags.DEFINE_bool("narrow", False, "Also take pictures with a phone's width and in dark mode.", flag_values=FLAGS)

_DONE = {
    "write": "return !page.write.isRunning && page.write.writing.ids.length > 900",
    "read": "return page.read.trace && page.read.trace.isDone && byId('read-progress').textContent",
    "units": "return byId('units').children.length > 0",
}
_SURPRISING = """
    const early = Array.from(page.read.trace.surprisals.subarray(100, 250));
    page.read.view.choose(100 + early.indexOf(Math.max(...early)));
"""  # selects the most surprising character that the picture shows


def main(beside: list[str]) -> int:
    """Takes the pictures. Returns the exit status."""
    from charrnn.generation import loading
    from charrnn.generation.html_page import html_page
    from tests import webdriver

    if webdriver.MISSING:
        raise UserError(f"This needs {' and '.join(webdriver.MISSING)} on the path: apt-get install chromium-driver.")
    output = pathlib.Path(FLAGS.output)
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, webdriver.browser(pathlib.Path(folder)) as browser:
        path = pathlib.Path(folder) / "model.html"
        path.write_bytes(html_page(loading.load(FLAGS.run_dir)))
        sizes = {"": (1000, 760, False)}
        if FLAGS.narrow:
            sizes |= {"_narrow": (390, 844, False), "_dark": (1000, 760, True), "_narrow_dark": (390, 844, True)}
        for suffix, (width, height, dark) in sizes.items():
            browser.size(width, height)
            browser.dark(dark)
            browser.open(path.as_uri())
            for view, done in _DONE.items():
                browser.click(f"#tab-{view}")
                browser.wait(done)
                if view == "read":
                    browser.run(_SURPRISING)
                browser.picture(output / f"page_{view}{suffix}.png")
                print(output / f"page_{view}{suffix}.png")
    return command.DONE


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
