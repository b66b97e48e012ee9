"""ComplyAdvantage: one search per name, found again by its `client_ref`.

Follows docs.complyadvantage.com/api-docs: Authentication, Create a new search, List previous searches,
Retrieve full search results. The list versions have no published endpoint; `GET /lists` stands for the
data-coverage feed that is agreed by contract, and only `list_version` would change.

The vendor has no idempotency key. The adapter looks for its own `client_ref` first, so that a repeated key
finds the first search; two calls with one key at the very same moment may leave two searches, which costs a
fee and changes nothing.
"""

import hashlib
from urllib.parse import quote

import httpx
import msgspec

from providers.errors import Final
from providers.http import Wire
from providers.screening import LISTS, Hit, ScreeningResult

FUZZINESS = 0.6
TYPES = ("sanction", "warning", "fitness-probity", "pep")

_SOURCES = (("uk-sanctions-list", "UKSL"), ("ofac", "OFAC"), ("eu-", "EU"), ("un-", "UN"))


class _Entity(msgspec.Struct):
    name: str
    types: list[str] = []
    sources: list[str] = []


class _Hit(msgspec.Struct):
    doc: _Entity
    score: float = 0.0


class _Search(msgspec.Struct):
    ref: str
    submitted_term: str = ""
    hits: list[_Hit] = []


class _One(msgspec.Struct):
    data: _Search


class _Many(msgspec.Struct):
    data: list[_Search]


class _SearchAnswer(msgspec.Struct):
    content: _One


class _SearchesAnswer(msgspec.Struct):
    content: _Many


class _ListVersion(msgspec.Struct):
    name: str
    version: str


class _Lists(msgspec.Struct):
    data: list[_ListVersion]


class _ListsAnswer(msgspec.Struct):
    content: _Lists


class ComplyAdvantage:
    def __init__(self, base_url: str, api_key: str) -> None:
        self._wire = Wire("ComplyAdvantage", base_url)
        self._headers = {"Authorization": f"Token {api_key}"}

    def screen(self, key: str, names: list[str]) -> ScreeningResult:
        if not names or not all(name.strip() for name in names):
            raise Final("no_name", "every name to screen must have text")
        versions = self.list_version()
        hits: list[Hit] = []
        refs: list[str] = []
        payload = hashlib.sha256()
        for index, name in enumerate(names):
            ref = self._search(f"{key}:{index}", name)
            answer = self._call("GET", f"/searches/{quote(ref, safe='')}/details")
            found = self._wire.read(answer, _SearchAnswer).content.data
            hits.extend(hit for each in found.hits for hit in _hits(each))
            refs.append(ref)
            payload.update(hashlib.sha256(answer.content).digest())
        return ScreeningResult(not hits, tuple(hits), versions, ",".join(refs), payload.hexdigest())

    def list_version(self) -> tuple[str, ...]:
        lists = self._wire.read(self._call("GET", "/lists"), _ListsAnswer).content.data
        versions = {each.name: each.version for each in lists}
        missing = [name for name in LISTS if name not in versions]
        if missing:
            raise Final("list_missing", f"not screened against {', '.join(missing)}")
        return tuple(f"{name}@{versions[name]}" for name in LISTS)

    def _search(self, client_ref: str, name: str) -> str:
        past = self._call("GET", f"/searches?client_ref={quote(client_ref, safe='')}&per_page=1")
        known = self._wire.read(past, _SearchesAnswer).content.data
        if known:
            if known[0].submitted_term != name:
                raise Final("key_reused", "the key belongs to a search for another name")
            return known[0].ref
        body = msgspec.json.encode(
            {
                "search_term": name,
                "client_ref": client_ref,
                "fuzziness": FUZZINESS,
                "filters": {"types": TYPES},
            }
        )
        return self._wire.read(self._call("POST", "/searches", body), _SearchAnswer).content.data.ref

    def _call(self, method: str, path: str, body: bytes | None = None) -> httpx.Response:
        return self._wire.call(method, path, body=body, headers=self._headers)


def _hits(found: _Hit) -> list[Hit]:
    """One hit per list the entity stands on; an entity without a source is named by its type, never
    dropped.
    """
    names = {_list_name(source) for source in found.doc.sources}
    if any(kind.startswith("pep") for kind in found.doc.types):
        names.add("PEP")
    return [
        Hit(name, found.doc.name, found.score)
        for name in sorted(names or {",".join(found.doc.types) or "UNKNOWN"})
    ]


def _list_name(source: str) -> str:
    return next((name for prefix, name in _SOURCES if source.startswith(prefix)), source)
