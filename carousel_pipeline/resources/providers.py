"""The writer and the painter of this installation: real where a key is present, offline where not."""

import dagster as dg

from carousel_pipeline.copywriting import Copywriter
from carousel_pipeline.imagery import Painter


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
