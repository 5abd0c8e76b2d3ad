"""Asset values as JSON objects. No pickle: whoever can write the bucket must not be able to run code in a worker."""

from typing import Any

import dagster as dg
from pydantic import BaseModel, ValidationError

from carousel_pipeline.artifacts import open_store
from carousel_pipeline.errors import PermanentError


class JsonIOManager(dg.ConfigurableIOManager):
    """Stores a pydantic model per asset and partition under `requests/<request>/<asset>.json`."""

    url: str

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Store one asset's value."""
        if not isinstance(obj, BaseModel):
            raise PermanentError(
                f"asset {context.asset_key.to_user_string()} must return a pydantic model, not {type(obj)}"
            )
        data = obj.model_dump_json(indent=1).encode()
        open_store(self.url).put(_key(context), data, content_type="application/json")

    def load_input(self, context: dg.InputContext) -> Any:
        """Load an upstream asset's value into the type that the asset's parameter names."""
        model = context.dagster_type.typing_type
        data = open_store(self.url).get(_key(context))
        try:
            return model.model_validate_json(data)
        except ValidationError as error:
            raise PermanentError(
                f"{_key(context)} does not hold a {model.__name__}: {error.error_count()} errors"
            ) from None


def _key(context: dg.InputContext | dg.OutputContext) -> str:
    return f"requests/{context.asset_partition_key}/{context.asset_key.path[-1]}.json"
