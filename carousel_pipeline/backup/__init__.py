"""Copies of everything that cannot be made again, and the way back, which is tried before it is needed."""

from carousel_pipeline.backup.copies import Checked, Manifest, back_up, drill, restore

__all__ = ["Checked", "Manifest", "back_up", "drill", "restore"]
