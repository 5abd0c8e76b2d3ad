"""From a picture brief to a picture: one interface, several painters."""

from carousel_pipeline.imagery.interface import Painter, Picture, PictureBrief

__all__ = ["Painter", "Picture", "PictureBrief"]
