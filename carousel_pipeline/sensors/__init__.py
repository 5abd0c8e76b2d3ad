"""Sensors: gather facts, ask a pure function, apply its answer. None of them is the only guarantee of anything."""

from carousel_pipeline.sensors.dispatch_requests import dispatch_requests
from carousel_pipeline.sensors.fast_refund import fast_refund, fast_refund_canceled
from carousel_pipeline.sensors.settle_holds import settle_holds

__all__ = ["dispatch_requests", "fast_refund", "fast_refund_canceled", "settle_holds"]
