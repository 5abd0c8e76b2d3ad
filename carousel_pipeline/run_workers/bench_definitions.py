"""Four assets that do nothing, in the shape of ours: what `carousel bench dispatch` runs. Whatever a run costs is Dagster's."""

import dagster as dg

STEPS = ("written", "painted", "drawn", "delivered")
bench_partitions = dg.DynamicPartitionsDefinition(name="bench")


def work(step: str) -> dict[str, str]:
    """Do what each asset does; called without Dagster it is the `direct` row of the benchmark."""
    return {"step": step}


@dg.asset(partitions_def=bench_partitions)
def written() -> dg.MaterializeResult[None]:
    """First."""
    return dg.MaterializeResult(metadata=work("written"))


@dg.asset(partitions_def=bench_partitions, deps=[written])
def painted() -> dg.MaterializeResult[None]:
    """Second."""
    return dg.MaterializeResult(metadata=work("painted"))


@dg.asset(partitions_def=bench_partitions, deps=[painted])
def drawn() -> dg.MaterializeResult[None]:
    """Third."""
    return dg.MaterializeResult(metadata=work("drawn"))


@dg.asset(partitions_def=bench_partitions, deps=[drawn])
def delivered() -> dg.MaterializeResult[None]:
    """Last."""
    return dg.MaterializeResult(metadata=work("delivered"))


_all = dg.AssetSelection.assets(*STEPS)

defs = dg.Definitions(
    assets=[written, painted, drawn, delivered],
    jobs=[
        dg.define_asset_job("in_process", _all, executor_def=dg.in_process_executor),
        dg.define_asset_job("multiprocess", _all, executor_def=dg.multiprocess_executor),
    ],
)
