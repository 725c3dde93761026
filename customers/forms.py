"""What ids look like where they are documented. What does not look like one is nobody's: it identifies no person.

Sources: ITU-T E.164; Meta, "Business-scoped user IDs": two letters of a country, a dot, up to 128 letters and digits,
and for a parent id ENT after the country. Letters and digits are those of ASCII; upper and lower case differ.
"""

from __future__ import annotations

import re

_FORMS = {
    "phone": re.compile(r"\+[1-9][0-9]{3,14}"),
    "bsuid": re.compile(r"[A-Z]{2}\.[A-Za-z0-9]{1,128}"),
    "parent_bsuid": re.compile(r"[A-Z]{2}\.ENT\.[A-Za-z0-9]{1,128}"),
}
#: What programs write where they know no value: many people would share it.
_NO_VALUES = frozenset(("-1", "-", "_", "null", "none", "nil", "undefined", "nan", "unknown", "anonymous", "n/a", "na"))
#: A messenger's id of somebody: no blanks, no control characters, and not as long as a text.
_ID = re.compile(r"[\x21-\x7e]{1,256}")


def is_id(value: str) -> bool:
    """Return whether this may be a messenger's id of one person."""
    return bool(_ID.fullmatch(value)) and not _is_no_value(value)


def is_alias(type_: str, value: str) -> bool:
    """Return whether this is an id of that type in its documented form. A type that is not documented: any id."""
    form = _FORMS.get(type_)
    return is_id(value) and (form is None or bool(form.fullmatch(value)))


def _is_no_value(value: str) -> bool:
    """Also as the last part of an id that was put together: US.null, whatsapp:+undefined."""
    last = re.split(r"[.:+]", value)[-1]
    return last.strip("0") == "" or last.casefold() in _NO_VALUES
