"""A report on a text."""

from typing import TYPE_CHECKING

from charrnn import lazy

if TYPE_CHECKING:
    from charrnn.first_look.report import first_look

__all__ = ["first_look"]
__getattr__ = lazy.attributes(__name__, first_look="report")
