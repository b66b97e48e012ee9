"""What the edge makes opaque: nothing can be read, foretold or guessed from it without the home's secret."""

from __future__ import annotations

import hashlib

import pytest

from api.opaque import Opaque

OURS = Opaque(b"\1" * 32, "tnt_fintokenx")
OTHERS = (Opaque(b"\2" * 32, "tnt_fintokenx"), Opaque(b"\1" * 32, "tnt_other"))


@pytest.mark.parametrize("position", [0, 1, 2, 1_000_000, 2**53, 2**62])
def test_a_place_is_its_position_for_us_alone(position: int) -> None:
    place = OURS.place(position)
    assert len(place) == 32 and place == OURS.place(position) and OURS.position(place) == position
    assert all(other.position(place) is None and other.place(position) != place for other in OTHERS)


def test_neighbours_have_nothing_in_common() -> None:
    places = [OURS.place(position) for position in range(1, 2_001)]
    assert len(set(places)) == 2_000 and places != sorted(places)
    assert max(sum(a == b for a, b in zip(one, two, strict=True)) for one, two in zip(places, places[1:], strict=False)
               ) < 12


def test_what_was_not_given_out_has_no_position() -> None:
    good = OURS.place(7)
    near = [good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1:] for at in range(32)]
    for wrong in (*near, good + "=", good + "\n", good[:-1], good * 2, "", "7", "é" * 32, "~" * 32):
        assert OURS.position(wrong) is None, wrong
    spelt = next(place for place in map(OURS.place, range(1, 100)) if "-" in place or "_" in place)
    assert OURS.position(spelt.replace("-", "+").replace("_", "/")) is None, "another spelling of the same bytes"


def test_a_key_shows_neither_who_nor_what() -> None:
    key = OURS.command_key("sub_1", "POST /v1/payments", "k")
    assert key == OURS.command_key("sub_1", "POST /v1/payments", "k")
    assert key.startswith("http:") and len(key) == 5 + 64
    others = {OURS.command_key(*parts) for parts in (
        ("sub_2", "POST /v1/payments", "k"), ("sub_1", "POST /v1/trades", "k"), ("sub_1", "POST /v1/payments", "l"),
        ("sub_", "1POST /v1/payments", "k"), ("sub_1", "POST /v1/payment", "sk"))}
    others |= {other.command_key("sub_1", "POST /v1/payments", "k") for other in OTHERS}
    assert len(others) == 7 and key not in others


def test_ids_cannot_be_foretold_from_what_the_log_shows() -> None:
    """The key stands in entries and bundles; the ids made with it do not follow from it."""
    key = OURS.command_key("anonymous-one.co.uk", "POST /v1/subjects", "k")
    seed = OURS.seed(key)
    assert seed == OURS.seed(key) and len(seed) == 64
    assert all(other.seed(key) != seed for other in OTHERS)
    assert seed not in (key[5:], hashlib.sha256(key.encode()).hexdigest(),
                        hashlib.sha256(bytes.fromhex(key[5:])).hexdigest())
