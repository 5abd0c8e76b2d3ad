"""How runs start fast: a code server that forks warm run processes, pooled storage, a coordinator that launches at once."""
