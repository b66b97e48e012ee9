"""Everything outside the house: one folder per port, and a simulator for each.

A port (`providers/<port>/__init__.py`) is a Protocol and its frozen structs. An adapter speaks a vendor's
wire format. A simulator answers in the same format, so that the adapter in use cannot tell the difference,
and a person can operate it in a browser (`python -m providers.simulators`).

Rules for every port:

- A call that causes something outside takes its idempotency `key` first. The same key returns the same result
and causes one effect, however often and from however many processes it is sent.
- Every failure is `Retryable` or `Final` (`providers.errors`), decided by the adapter and by nobody else.
Adapters never retry: who calls knows how long it may wait.
- Money is integer pence; times are aware UTC datetimes; sort codes are six digits, account numbers eight.
- Secrets come in as constructor arguments and are never logged, nor shown in an error.
"""
