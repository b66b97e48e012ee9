"""The audit log that is the event store: append, load, follow, verify, and the personal-data vault."""
