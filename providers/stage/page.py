"""Plain HTML for people who operate the simulators. Everything that is not `Html` is escaped."""

from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1c2430}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #d9dee6;vertical-align:top}
th{font-weight:600;color:#556}td.wide{word-break:break-all}form{margin:.6rem 0}label{margin-right:.8rem}
input,select{font:inherit;padding:.2rem .4rem}button{font:inherit;padding:.25rem .8rem;cursor:pointer}
.note{background:#fff6d9;padding:.6rem .9rem;border-left:4px solid #e0b400}.off{color:#a33}.on{color:#2a7a3f}
pre{white-space:pre-wrap;background:#f5f7fa;padding:1rem}
iframe{width:100%;height:28rem;border:1px solid #d9dee6}
"""


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def text(value: object) -> Html:
    return value if isinstance(value, Html) else Html(escape("" if value is None else str(value)))


def join(parts: Iterable[object]) -> Html:
    return Html("".join(text(part) for part in parts))


def element(name: str, *parts: object, **attributes: str) -> Html:
    given = "".join(f' {key.rstrip("_")}="{escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{given}>{join(parts)}</{name}>")


def link(href: str, label: object) -> Html:
    return element("a", label, href=href)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Html:
    head = element("tr", *(element("th", heading) for heading in headings))
    body = [element("tr", *(element("td", cell, class_="wide") for cell in row)) for row in rows]
    return element("table", head, *body) if body else element("p", "Nothing yet.")


def form(action: str, button: str, **fields: str) -> Html:
    """One line of labelled inputs; a field whose name starts with `_` is sent but not shown."""
    inputs = [
        Html(f'<input type="hidden" name="{escape(name[1:])}" value="{escape(value)}">')
        if name.startswith("_")
        else element(
            "label",
            name.replace("_", " "),
            " ",
            Html(f'<input name="{escape(name)}" value="{escape(value)}">'),
        )
        for name, value in fields.items()
    ]
    return element("form", *inputs, element("button", button), method="post", action=action)


def page(title: str, *parts: object) -> str:
    head = element(
        "head", Html('<meta charset="utf-8">'), element("title", title), element("style", Html(STYLE))
    )
    body = element("body", element("p", link("/", "All simulators")), element("h1", title), *parts)
    return f'<!doctype html><html lang="en">{head}{body}</html>'


def pounds(pence: int) -> str:
    return f"£{pence / 100:,.2f}"
