"""A project of two small notebooks, for tests of the batch run."""

import nbformat

SETUP = """import pandas as pd
from tempo_lib.provenance import start_run"""
SAVE = 'print(start_run("{name}", preset=preset).save(None, pd.DataFrame({{"value": [{value}]}})))'


def write_notebook(folder, name, *code, parameters='preset: str = "tiny"  # the preset', **facts):
    """A notebook with a parameters cell, these code cells and ``facts`` in its metadata."""
    cells = [nbformat.v4.new_code_cell(text) for text in (parameters, *code)]
    cells[0].metadata["tags"] = ["parameters"]
    path = folder / "notebooks" / f"{name}.ipynb"
    path.parent.mkdir(exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"tempo": facts}), path)
    return path


def write_project(folder):
    """Notebooks 01_first, which makes ``first``, and 10_tablex_long, which makes ``tablex``."""
    for name, result in (("01_first", "first"), ("10_tablex_long", "tablex")):
        write_notebook(folder, name, SETUP, SAVE.format(name=result, value=1), tables=[result])
    return folder
