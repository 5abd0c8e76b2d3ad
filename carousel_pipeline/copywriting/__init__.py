"""From a source text to a deck: one interface, several writers."""

from carousel_pipeline.copywriting.interface import Brief, Copywriter, Usage, Written

__all__ = ["Brief", "Copywriter", "Usage", "Written"]
