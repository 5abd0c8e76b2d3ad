"""The product on one machine: embedded PostgreSQL, the local Telegram, and the processes of `carousel up`."""
