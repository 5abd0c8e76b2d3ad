"""A text becomes an image carousel: the Dagster pipeline, its ledger, its renderer and the stack for one machine."""
