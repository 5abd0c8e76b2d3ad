"""The Telegram front door. Imports neither dagster nor the pipeline's heavy rooms: its memory and start-up stay small."""
