"""Checkpoint folders, the released layout, and conversion between the two."""
