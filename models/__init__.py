"""Classifiers that stand beside the rules; each is a `screening.types.Detector` handed to the screener by `api.wiring`."""
