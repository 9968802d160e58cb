"""Scores to token counts, and counts to kept memory tokens. Pure functions, no model."""
