"""The assets of a carousel and of the house, one file each, nothing but adapters: read, call the room that knows, report."""

from carousel_pipeline.assets.copy import copy
from carousel_pipeline.assets.daily_usage import daily_usage, usage_checks
from carousel_pipeline.assets.delivery_receipt import delivery_receipt
from carousel_pipeline.assets.images import images
from carousel_pipeline.assets.ledger_audit import ledger_audit
from carousel_pipeline.assets.rendered_slides import rendered_slides
from carousel_pipeline.assets.star_payments import star_payments
from carousel_pipeline.assets.usage_report import usage_report

__all__ = [
    "copy",
    "daily_usage",
    "delivery_receipt",
    "images",
    "ledger_audit",
    "rendered_slides",
    "star_payments",
    "usage_checks",
    "usage_report",
]
