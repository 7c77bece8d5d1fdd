"""Predictions -> numbers and pictures; knows arrays, not models.

`metrics.measure` gives the numbers of `metrics.json`; `pictures` draws what the numbers hide.
Nothing is imported here, so that the numbers don't wait for the drawing library.
"""
