"""The `ddr` command. Only `main` is public, and keras is imported inside commands."""
