"""See where the tokens of a video go, and share them out anew without a model."""
