"""What the chain's operations cost stays at or under the reference."""

from scripts.benches.gas import REFERENCE, measure_gas

THOUSAND = 1_000  # the reference is given in thousands


def test_no_operation_costs_more_gas_than_the_reference(fresh_world):
    fresh_world.chain.deploy()
    measured = measure_gas(fresh_world.chain)
    assert measured.keys() == REFERENCE.keys()
    dearer = {row: gas for row, gas in measured.items() if gas // THOUSAND * THOUSAND > REFERENCE[row]}
    assert dearer == {}
