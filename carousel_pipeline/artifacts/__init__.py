"""Object storage behind one interface: finished objects under keys that never change their content."""

from carousel_pipeline.artifacts.store import ArtifactStore, LocalStore, content_key, open_store

__all__ = ["ArtifactStore", "LocalStore", "content_key", "open_store"]
