"""Object storage behind one interface: finished objects under keys that never change their content."""

from carousel_pipeline.artifacts.address import open_store
from carousel_pipeline.artifacts.store import ArtifactStore, LocalStore, StoredObject, content_key

__all__ = ["ArtifactStore", "LocalStore", "StoredObject", "content_key", "open_store"]
