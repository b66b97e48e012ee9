"""How a JSON body becomes a request's struct: strictly, once, for every route.

Litestar converts leniently (`"1"` for 1, `1` for true, `1.0` for an integer), because query strings are all text. A
body says its types, so it is taken at its word here; what the framework then gets is the finished struct.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec
from litestar import Request

from api.errors import MOST_SHOWN, BadRequest, shown
from domain.forms import NotInForm, choices_of, composed, hidden, in_words, unseen
from eventstore.foreign import UNREADABLE, doubled_name

T = TypeVar("T")


class StrictRequest(Request[Any, Any, Any]):
    async def json(self) -> Any:
        field = self.route_handler.parsed_data_field
        assert field is not None, "only a handler that takes `data` reads JSON"
        return read(await self.body(), field.annotation)


def read(body: bytes, struct: type[T]) -> T:
    """The body as a struct, its texts in NFC. BadRequest for what is no JSON or says one thing twice, NotInForm with
    where it differs.
    """
    try:
        decoded = msgspec.json.decode(body)
    except UNREADABLE as error:
        raise BadRequest("malformed_json", f"the body is not JSON in UTF-8: {error}") from None
    plain = _texts(decoded, "")
    if (path := doubled_name(body, decoded)) is not None:
        raise BadRequest("malformed_json", f"the field `{path[-1]}` comes twice; send it once",
                         pointer="/" + "/".join(path))
    try:
        return msgspec.convert(plain, struct)
    except msgspec.ValidationError as error:
        raise malformed(str(error), struct) from None


def _texts(value: Any, pointer: str) -> Any:
    """The same value with every text in NFC; refuses a text that carries what nobody sees."""
    match value:
        case str():
            if (letter := unseen(value)) is not None:
                raise NotInForm("this text carries a hidden character, or too many accents on one letter: "
                                f"U+{ord(letter):04X}", pointer=pointer)
            return composed(value)
        case dict():
            return {_name(key, pointer): _texts(inner, f"{pointer}/{key}") for key, inner in value.items()}
        case list():
            return [_texts(inner, f"{pointer}/{index}") for index, inner in enumerate(value)]
        case _:
            return value


def _name(name: str, pointer: str) -> str:
    """A field's name, which answers repeat: so it is short, and nothing in it is hidden."""
    if (letter := hidden(name)) is not None:
        raise NotInForm(f"the name of a field carries a hidden character, U+{ord(letter):04X}", pointer=pointer or "/")
    if len(name) > MOST_SHOWN:
        raise NotInForm("no field has so long a name", pointer=f"{pointer}/{shown(name)}")
    return name


_WHERE = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?\Z", re.DOTALL)
_FIELD = re.compile(r"field `([^`]*)`")


def malformed(message: str, struct: Any) -> NotInForm:
    """The refusal for what msgspec says, which names the place as `$.a[0].b`."""
    found = _WHERE.match(message)
    what, path = (found["what"], found["path"] or "") if found else (message, "")
    pointer = re.sub(r"\.|\[", "/", path.replace("]", ""))
    choices = choices_of(struct, pointer)
    if named := _FIELD.search(what):  # a field that is missing, or one too many
        pointer += f"/{named[1]}"
    return NotInForm(in_words(what, choices), pointer=pointer or "/")
