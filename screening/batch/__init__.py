"""Scoring of archives: files in, Parquet datasets out, over all cores or a cluster, to be gone on with after any crash."""
