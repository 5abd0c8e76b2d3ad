"""The hourly audit: green in the Dagster UI while the ledger is right, red when a row was corrected by hand."""

import dagster as dg
import pytest

from carousel_pipeline.database import connect

from .conftest import Pipeline


def audit(pipeline: Pipeline) -> dg.ExecuteInProcessResult:
    from carousel_pipeline.definitions import defs

    return defs.resolve_job_def("audit").execute_in_process(instance=pipeline.instance)


@pytest.mark.finding("M18")
def test_an_audit_is_green_until_somebody_corrects_a_row_by_hand(pipeline: Pipeline, database_url: str) -> None:
    [sound] = audit(pipeline).get_asset_check_evaluations()
    assert sound.passed
    with connect(database_url, None) as superuser:
        superuser.execute("set session_replication_role = replica")
        superuser.execute("update ledger.wallet set available = available + 1 where available > 0")
    [broken] = audit(pipeline).get_asset_check_evaluations()
    assert not broken.passed
    assert broken.metadata["violations"].value == 1
