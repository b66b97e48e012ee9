from uuid import uuid4

import pytest

from providers.errors import Final, Retryable
from providers.screening import Hit
from providers.screening.complyadvantage import ComplyAdvantage
from tests.providers.conftest import CREDENTIALS, Simulators


@pytest.fixture
def screening(simulators: Simulators) -> ComplyAdvantage:
    return ComplyAdvantage(f"{simulators.url}/screening", CREDENTIALS.complyadvantage_key)


def test_a_clean_name_is_clear_against_all_four_lists(screening: ComplyAdvantage):
    result = screening.screen(uuid4().hex, ["Coppergate Joinery Ltd", "Aisha Mahmood"])
    assert result.clear
    assert result.hits == ()
    assert [each.split("@")[0] for each in result.lists] == ["UKSL", "OFAC", "EU", "UN"]
    assert result.provider_ref.count(",") == 1


def test_one_hit_per_list(screening: ComplyAdvantage):
    result = screening.screen(uuid4().hex, ["Aisha Mahmood", "SANCTIONED Trading Ltd", "Lord PEP of York"])
    assert not result.clear
    assert [(hit.list, hit.name) for hit in result.hits] == [
        ("OFAC", "SANCTIONED Trading Ltd"),
        ("UKSL", "SANCTIONED Trading Ltd"),
        ("PEP", "Lord PEP of York"),
    ]


def test_pepper_is_not_a_politician(screening: ComplyAdvantage):
    assert screening.screen(uuid4().hex, ["PEPPER & Sons Ltd", "Pep Guardia"]).clear


def test_a_repeated_key_is_the_same_search(screening: ComplyAdvantage):
    key = uuid4().hex
    assert screening.screen(key, ["SANCTIONED Ltd"]) == screening.screen(key, ["SANCTIONED Ltd"])


def test_a_key_cannot_clear_another_name(screening: ComplyAdvantage):
    key = uuid4().hex
    screening.screen(key, ["Aisha Mahmood"])
    with pytest.raises(Final, match="key_reused"):
        screening.screen(key, ["SANCTIONED Ltd"])


def test_a_name_listed_later_shows_with_a_new_key_only(screening: ComplyAdvantage, simulators: Simulators):
    name, before = f"Harbour {uuid4().hex} Ltd", uuid4().hex
    assert screening.screen(before, [name]).clear
    simulators.control("/screening/control/names", name=name, list="EU")
    assert screening.screen(before, [name]).clear
    assert screening.screen(uuid4().hex, [name]).hits == (Hit("EU", name, 1.7),)


def test_a_published_version_is_reported(screening: ComplyAdvantage, simulators: Simulators):
    simulators.control("/screening/control/lists", name="UKSL", version="2026-07-01")
    assert "UKSL@2026-07-01" in screening.list_version()
    assert "UKSL@2026-07-01" in screening.screen(uuid4().hex, ["Aisha Mahmood"]).lists


def test_an_outage_is_never_a_clear(screening: ComplyAdvantage, simulators: Simulators):
    simulators.control("/screening/control/outage")
    try:
        with pytest.raises(Retryable, match="unavailable"):
            screening.screen(uuid4().hex, ["Aisha Mahmood"])
    finally:
        simulators.control("/screening/control/outage", on=False)


@pytest.mark.parametrize("names", [[], [""], ["Aisha", "  "]])
def test_nothing_to_screen_is_not_clear(screening: ComplyAdvantage, names: list[str]):
    with pytest.raises(Final, match="no_name"):
        screening.screen("k", names)


def test_a_wrong_key_is_final(simulators: Simulators):
    with pytest.raises(Final, match="unauthorised"):
        ComplyAdvantage(f"{simulators.url}/screening", "guess").screen("k", ["Aisha Mahmood"])
