"""Object storage for the assets."""

import dagster as dg

from carousel_pipeline.artifacts import ArtifactStore, open_store


class Artifacts(dg.ConfigurableResource[None]):
    """Opens the store at `url`."""

    url: str

    def store(self) -> ArtifactStore:
        """Return the store."""
        return open_store(self.url)
