"""The batch run: strict papermill and the Snakemake workflow."""
