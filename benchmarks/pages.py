"""Tables on a page of docs/, between two marks that name the command which makes them: no figure is typed by hand."""

import re

from charrnn.errors import UserError


def put(path: str, maker: str, text: str) -> None:
    """Puts `text` in the place of what stands between the maker's marks.

    Raises:
        UserError: the page has no such marks.
    """
    begin, end = f"<!-- made by {maker}: begin -->", f"<!-- made by {maker}: end -->"
    with open(path, encoding="utf-8") as file:
        page = file.read()
    between = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
    if not between.search(page):
        raise UserError(f"{path} lacks the two marks {begin} and {end}.")
    with open(path, "w", encoding="utf-8") as file:
        file.write(between.sub(lambda _: f"{begin}\n{text}\n{end}", page))
