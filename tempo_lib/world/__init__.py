"""The miniature's universe: scenes, their language, rendered clips, questions and corpora."""
