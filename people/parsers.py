"""How the API reads JSON: what nobody could have meant is refused, not an error of ours."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser as LibrarysParser

from people.typed import is_storable


class JSONParser(LibrarysParser):
    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            read = super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("The JSON is nested too deeply to be meant.") from None
        if not is_storable(read):
            raise ParseError("The JSON holds a character that no text has: U+0000, or half of a surrogate pair.")
        return read
