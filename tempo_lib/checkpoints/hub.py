"""Which models of the Hugging Face hub are on this disk already."""

from huggingface_hub import try_to_load_from_cache

from tempo_lib.checkpoints.loading import PathOrId


def fetch_command(path_or_hub_id: PathOrId) -> str | None:
    """The command that downloads a hub id; None for a folder, and where the cache has it."""
    name = str(path_or_hub_id)
    if not isinstance(path_or_hub_id, str) or name.count("/") != 1 or name.startswith((".", "/")):
        return None
    is_here = isinstance(try_to_load_from_cache(name, "config.json"), str)
    return None if is_here else f"hf download {name}"
