"""Tables behind the figures: what was measured, put into rows; drawing is next door."""
