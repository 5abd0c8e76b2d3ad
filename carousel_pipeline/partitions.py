"""The one partitions definition: a key is a request's id, made by the database and never typed by hand.

Keys show in the UI, logs, tags and object paths, so they carry no personal data. Keep fewer than 20,000 live: reading an asset's
status costs time in proportion to all keys.
"""

import dagster as dg

REQUESTS = "requests"
request_partitions = dg.DynamicPartitionsDefinition(name=REQUESTS)
