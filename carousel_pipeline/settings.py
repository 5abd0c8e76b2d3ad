"""One flat settings object per process, read once, lazily (C5, C9, M20).

Importing this module reads nothing. A secret has no default, and one that is short, well known or copied from the example stops
the start with the setting's name (M23): the predecessor shipped `change-me`.
"""

import re
from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from carousel_pipeline.errors import ConfigurationError
from carousel_pipeline.networks import networks
from carousel_pipeline.providers.usage import parse_price

_PLACEHOLDERS = (
    "changeme",
    "change-me",
    "change_me",
    "password",
    "secret",
    "example",
    "your-",
    "placeholder",
    "xxxxxxxx",
)
_MIN_SECRET = 16
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_LISTEN = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:]+):\d{1,5}")
_IDS = re.compile(r"\s*\d{1,19}(\s*[,;\s]\s*\d{1,19})*\s*")


class Settings(BaseSettings):
    """Everything the environment or `.env` can say. Field names are the settings' names in lower case; empty is unset."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", frozen=True
    )

    telegram_bot_token: SecretStr | None = None
    telegram_api_url: str | None = None
    telegram_webhook_url: str | None = None
    telegram_webhook_secret: SecretStr | None = None
    telegram_webhook_listen: str = "127.0.0.1:8443"

    anthropic_api_key: SecretStr | None = None
    anthropic_base_url: str | None = None
    anthropic_model: str = "claude-haiku-5-5"
    anthropic_fallback_model: str | None = None
    anthropic_price: str | None = None

    gemini_api_key: SecretStr | None = None
    gemini_base_url: str | None = None
    gemini_api_version: str | None = None
    gemini_image_model: str = "gemini-nano-banana-2.1"
    gemini_price: str | None = None

    provider_calls_per_request: int = Field(default=60, ge=1)
    provider_usd_per_day: float = Field(default=25.0, gt=0)

    stars_subscriptions: bool = False
    support_contact: str | None = None
    yookassa_shop_id: str | None = None
    yookassa_secret_key: SecretStr | None = None
    yookassa_api_url: str | None = None
    yookassa_tax_system: int | None = Field(default=None, ge=1, le=6)
    yookassa_vat_code: int = Field(default=1, ge=1, le=12)
    yookassa_trusted_proxies: str | None = None

    database_url: SecretStr | None = None
    dagster_database_url: SecretStr | None = None
    dagster_graphql_url: str | None = None
    carousel_broker_url: SecretStr | None = None

    artifacts_url: str | None = None
    s3_endpoint_url: str | None = None
    aws_region: str | None = None
    aws_access_key_id: str | None = None
    aws_secret_access_key: SecretStr | None = None

    carousel_home: Path = Field(default_factory=lambda: Path.home() / ".carousel")
    carousel_allow_demo_providers: bool = False
    carousel_admin_ids: str | None = None
    carousel_health_listen: str | None = None
    carousel_log_format: Literal["text", "json"] = "text"

    @model_validator(mode="after")
    def _prices_are_prices(self) -> Self:
        for price in filter(None, (self.anthropic_price, self.gemini_price)):
            parse_price(price)
        return self

    @model_validator(mode="after")
    def _secrets_are_real(self) -> Self:
        for name in (
            "telegram_bot_token",
            "telegram_webhook_secret",
            "anthropic_api_key",
            "gemini_api_key",
            "aws_secret_access_key",
        ):
            secret: SecretStr | None = getattr(self, name)
            if secret is not None:
                _refuse_weak(name.upper(), secret.get_secret_value())
        if (self.aws_access_key_id is None) != (self.aws_secret_access_key is None):
            raise ValueError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together: set both or none")
        if self.telegram_webhook_url and self.telegram_webhook_secret is None:
            raise ValueError("TELEGRAM_WEBHOOK_SECRET is needed with TELEGRAM_WEBHOOK_URL")
        if self.telegram_webhook_secret and not _SECRET.fullmatch(self.telegram_webhook_secret.get_secret_value()):
            raise ValueError(
                "TELEGRAM_WEBHOOK_SECRET may hold letters, digits, _ and - only, at most 256: Telegram's rule"
            )
        if not _LISTEN.fullmatch(self.telegram_webhook_listen):
            raise ValueError("TELEGRAM_WEBHOOK_LISTEN is an address and a port, such as 127.0.0.1:8443")
        if self.carousel_health_listen and not _LISTEN.fullmatch(self.carousel_health_listen):
            raise ValueError("CAROUSEL_HEALTH_LISTEN is an address and a port, such as 127.0.0.1:8090")
        if self.carousel_admin_ids and not _IDS.fullmatch(self.carousel_admin_ids):
            raise ValueError("CAROUSEL_ADMIN_IDS is a list of Telegram user ids, such as 123456789,987654321")
        return self

    @property
    def admin_ids(self) -> frozenset[int]:
        """Telegram ids of those who may decide from the chat."""
        return frozenset(int(number) for number in re.findall(r"\d+", self.carousel_admin_ids or ""))

    @property
    def webhook_address(self) -> tuple[str, int]:
        """Where the webhook's server listens: host and port."""
        return _address(self.telegram_webhook_listen)

    @property
    def health_address(self) -> tuple[str, int] | None:
        """Where the bot answers /healthz, /readyz and /metrics, if it is to."""
        return _address(self.carousel_health_listen) if self.carousel_health_listen else None

    @model_validator(mode="after")
    def _rubles_are_on_or_off(self) -> Self:
        if (self.yookassa_shop_id is None) != (self.yookassa_secret_key is None):
            raise ValueError("YOOKASSA_SHOP_ID and YOOKASSA_SECRET_KEY belong together: set both or none")
        if self.yookassa_secret_key is not None:
            _refuse_weak("YOOKASSA_SECRET_KEY", self.yookassa_secret_key.get_secret_value())
        try:
            networks(self.yookassa_trusted_proxies or "")
        except ValueError:
            raise ValueError("YOOKASSA_TRUSTED_PROXIES is a list of addresses or blocks, such as 10.0.0.0/8") from None
        return self

    @property
    def real_telegram(self) -> bool:
        """Whether messages reach people outside this machine."""
        return self.telegram_bot_token is not None and self.telegram_api_url is None

    @property
    def demo_providers(self) -> tuple[str, ...]:
        """Names of the providers that have no key and are therefore played offline."""
        keys = {"ANTHROPIC_API_KEY": self.anthropic_api_key, "GEMINI_API_KEY": self.gemini_api_key}
        return tuple(name for name, key in keys.items() if key is None)

    def refuse_demo_for_real_users(self) -> None:
        """Raise `ConfigurationError` when a real bot would serve offline providers without being told to."""
        if self.real_telegram and self.demo_providers and not self.carousel_allow_demo_providers:
            missing = " and ".join(self.demo_providers)
            raise ConfigurationError(
                f"TELEGRAM_BOT_TOKEN is set but {missing} is not: real users would get demo carousels. "
                f"Set {missing}, or CAROUSEL_ALLOW_DEMO_PROVIDERS=1 if that is what you want."
            )


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def _refuse_weak(name: str, value: str) -> None:
    if len(value) < _MIN_SECRET:
        raise ValueError(f"{name} is too short to be a real secret (at least {_MIN_SECRET} characters)")
    if any(word in value.lower() for word in _PLACEHOLDERS):
        raise ValueError(f"{name} still holds a placeholder; put the real value there")


@cache
def get_settings() -> Settings:
    """Return this process's settings.

    Raises:
        ConfigurationError: a setting is wrong; names it, never shows its value.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']).upper() or 'settings'}: {item['msg']}"
            for item in error.errors()
        )
        raise ConfigurationError(f"settings: {problems}") from None
