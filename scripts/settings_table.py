"""README's table of settings, from the types: `python -m scripts.settings_table` writes it in place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bootstrap import Production, Sandbox, documented
from bootstrap.production import defaults, secrets_in, variable

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- settings: from bootstrap/settings.py -->", "<!-- /settings -->"


def markdown() -> str:
    """One row a setting: what a sandbox takes when it is left out, whether production asks for it, what it means."""
    return "\n".join(["| variable | sandbox | production | meaning |", "|---|---|---|---|", *_rows()])


def _rows() -> Iterator[str]:
    sandbox, production = documented(Sandbox), documented(Production)
    names = [*Sandbox.__struct_fields__, *(name for name in Production.__struct_fields__ if name not in sandbox)]
    for name in sorted(names, key=_place):
        told = production.get(name) or sandbox[name]
        more = sandbox[name].partition("Without it: ")[2] if name in sandbox else ""
        cells = (f"`{variable(name)}`", more.rstrip(".") or _default(name), _asked(name),
                 told.partition(" Without it:")[0])
        yield f"| {' | '.join(cells)} |"


def _place(name: str) -> tuple[bool, int]:
    """As production lists them; what only a sandbox has comes last."""
    fields = Production.__struct_fields__
    return name not in fields, fields.index(name) if name in fields else Sandbox.__struct_fields__.index(name)


def _default(name: str) -> str:
    value = defaults(Sandbox).get(name)
    if name not in Sandbox.__struct_fields__ or value in (None, ""):
        return "–"
    return "the simulator's" if variable(name) in secrets_in({variable(name): str(value)}) else f"`{value}`"


def _asked(name: str) -> str:
    if name not in Production.__struct_fields__:
        return "refused"
    return "as in a sandbox" if name in defaults(Production) else "required"


def main() -> None:
    before, _, rest = README.read_text().partition(BEGIN)
    README.write_text(f"{before}{BEGIN}\n{markdown()}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
