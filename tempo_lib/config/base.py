"""What every section of a preset is."""

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """A section of a preset: every field is known, and none changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)
