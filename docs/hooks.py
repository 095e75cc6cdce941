"""Shows the notebook tutorial.ipynb as the page tutorial.md when mkdocs builds the site."""

import json
from pathlib import Path

from mkdocs.structure.files import File


def on_files(files, config):
    """Adds the page: the notebook's text, and its code in fences."""
    notebook = json.loads(Path(files.get_file_from_path("tutorial.ipynb").abs_src_path).read_text(encoding="utf-8"))
    content = "\n\n".join(map(_as_markdown, notebook["cells"]))
    files.append(File.generated(config, "tutorial.md", content=content))
    return files


def _as_markdown(cell: dict) -> str:
    text = "".join(cell["source"])
    return text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"
