"""How the API reads JSON: what nobody could have meant is refused, not an error of ours."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser as LibrarysParser

from people.typed import HALVES, holds


class JSONParser(LibrarysParser):
    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            read = super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("The JSON is nested too deeply to be meant.") from None
        if holds(read, HALVES):
            raise ParseError("The JSON holds half of a surrogate pair, and with that no text.")
        return read
