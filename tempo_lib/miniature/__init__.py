"""The procedural video world and the small models trained on it."""
