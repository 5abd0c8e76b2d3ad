"""`python -m bot`: the Telegram bot as a process of its own."""

import asyncio
import logging
import sys

from bot.app import serve
from bot.logs import configure_logging
from carousel_pipeline.errors import CarouselError
from carousel_pipeline.settings import get_settings


def main() -> None:
    """Run the bot; an error of ours is one clear line and exit code 2, anything else is logged without its words and is 1."""
    configure_logging()
    try:
        settings = get_settings()
        configure_logging(settings.carousel_log_format)
        asyncio.run(serve(settings))
    except CarouselError as error:
        sys.stderr.write(f"carousel bot: {error}\n")
        sys.exit(2)
    except Exception:
        logging.getLogger("bot").exception("the bot stops")
        sys.exit(1)


if __name__ == "__main__":
    main()
