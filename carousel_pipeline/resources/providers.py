"""The writer and the painter of this installation, real where a key is present, offline where not; the record of their calls."""

import dagster as dg

from carousel_pipeline.copywriting import Copywriter
from carousel_pipeline.imagery import Painter
from carousel_pipeline.providers.calls import Step
from carousel_pipeline.records import RequestRecord
from carousel_pipeline.records.attempts import AttemptLog, Limits
from carousel_pipeline.sessions import Session


class Providers(dg.ConfigurableResource[None]):
    """Makes the providers that the settings ask for."""

    def writer(self) -> Copywriter:
        """Return the copywriter."""
        from carousel_pipeline.copywriting.choose import choose_writer  # noqa: PLC0415 - writers import their SDKs and data
        from carousel_pipeline.settings import get_settings  # noqa: PLC0415 - read in the run process, never at import

        return choose_writer(get_settings())

    def painter(self) -> Painter:
        """Return the painter."""
        from carousel_pipeline.imagery.choose import choose_painter  # noqa: PLC0415 - as in writer
        from carousel_pipeline.settings import get_settings  # noqa: PLC0415 - as in writer

        return choose_painter(get_settings())

    def calls(
        self,
        context: dg.AssetExecutionContext,
        session: Session,
        request: RequestRecord,
        step: Step = "copy",
    ) -> AttemptLog:
        """Return the record of this run's calls for a request, within the limits that the settings set."""
        from carousel_pipeline.settings import get_settings  # noqa: PLC0415 - as in writer

        settings = get_settings()
        limits = Limits(settings.provider_calls_per_request, settings.provider_usd_per_day)
        return AttemptLog(session, request.id, context.run.run_id, limits, tries=context.retry_number, step=step)
