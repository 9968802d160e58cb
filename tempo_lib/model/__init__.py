"""Compressor, projector, decoder: what Tempo is."""
