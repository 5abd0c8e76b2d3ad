"""The three jobs of a request. In-process: one warm process runs all assets, no interpreter is started per step."""

import dagster as dg

outline = dg.define_asset_job(
    "outline",
    selection=dg.AssetSelection.assets("copy"),
    executor_def=dg.in_process_executor,
    description="Writes the slides' copy of one request. Free for the user; the bot shows it and asks.",
)

carousel = dg.define_asset_job(
    "carousel",
    selection=dg.AssetSelection.assets("images", "rendered_slides", "delivery_receipt"),
    executor_def=dg.in_process_executor,
    description="Paints, draws and delivers one confirmed request, on the credits held for it.",
)

edit = dg.define_asset_job(
    "edit",
    selection=dg.AssetSelection.assets("copy", "images", "rendered_slides", "delivery_receipt"),
    executor_def=dg.in_process_executor,
    description="Makes a change of a carousel, or an outline that was changed by hand: takes over what is stored, delivers.",
)
