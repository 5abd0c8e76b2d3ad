"""What rubles need is asked for at the start, by name."""

from typing import Any

import pytest
from pydantic import ValidationError

from carousel_pipeline.settings import Settings

from .yookassa_server import SECRET, SHOP


@pytest.mark.finding("M23")
@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"yookassa_shop_id": SHOP}, "YOOKASSA_SECRET_KEY"),
        ({"yookassa_secret_key": SECRET}, "YOOKASSA_SHOP_ID"),
        ({"yookassa_shop_id": SHOP, "yookassa_secret_key": "short"}, "YOOKASSA_SECRET_KEY is too short"),
        ({"yookassa_shop_id": SHOP, "yookassa_secret_key": "changeme-changeme-changeme"}, "YOOKASSA_SECRET_KEY still"),
        ({"yookassa_trusted_proxies": "10.0.0.0/8, somewhere"}, "YOOKASSA_TRUSTED_PROXIES"),
        ({"yookassa_tax_system": 7}, "yookassa_tax_system"),
    ],
)
def test_half_a_shop_stops_the_start_by_name(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate(wrong)
    assert named in str(refused.value)
