"""The procedural video world: stories, pictures, questions, corpora."""
