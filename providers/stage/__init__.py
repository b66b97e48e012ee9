"""What the simulators stand on: one sqlite file, one page style, and rooms with switches."""
