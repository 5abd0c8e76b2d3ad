"""Usage analytics: facts of a day from the ledger, requests, calls and deliveries, as an analyst may see them.

`rollup` is pure (frames in, frames out), `build` moves frames between Postgres and it, `checks` judges what came out, `summary`,
`charts` and `page` show it. Nothing here is imported before it is needed: polars and the plotting library are heavy.
"""
