"""The four stages: Table A as data, samples, batches and one loop."""
