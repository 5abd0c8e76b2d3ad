"""psycopg calls of schema `carousel` for the pipeline: the request's content, its progress, what was stored for it."""

from carousel_pipeline.records.pipeline import AlbumItem, ArtifactRow, BrandRecord, RequestRecord, RequestRecords

__all__ = ["AlbumItem", "ArtifactRow", "BrandRecord", "RequestRecord", "RequestRecords"]
