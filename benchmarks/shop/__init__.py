"""The shop of the measurements: its receiver, and the yardstick."""
