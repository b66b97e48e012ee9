"""The rules of FinToken X: pure functions over immutable structs. No I/O, no clock, no randomness."""
