"""The four assets of a carousel, one file each, and nothing but adapters: read, call the room that knows, report."""

from carousel_pipeline.assets.copy import copy
from carousel_pipeline.assets.delivery_receipt import delivery_receipt
from carousel_pipeline.assets.images import images
from carousel_pipeline.assets.rendered_slides import rendered_slides
from carousel_pipeline.assets.star_payments import star_payments

__all__ = ["copy", "delivery_receipt", "images", "rendered_slides", "star_payments"]
