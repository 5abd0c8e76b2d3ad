"""From a source text to a deck: one interface, several writers."""

from carousel_pipeline.copywriting.interface import Allowance, Brief, Copywriter, TooLong, Usage, Written

__all__ = ["Allowance", "Brief", "Copywriter", "TooLong", "Usage", "Written"]
