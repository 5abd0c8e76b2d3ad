"""psycopg calls of schema `carousel` for the pipeline: the request's content, its progress, what was stored for it."""

from carousel_pipeline.records.pipeline import ArtifactRow, RequestRecord, RequestRecords

__all__ = ["ArtifactRow", "RequestRecord", "RequestRecords"]
