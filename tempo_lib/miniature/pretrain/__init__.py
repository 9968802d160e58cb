"""The two base models of the miniature and its reranker."""
