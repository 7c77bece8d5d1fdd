"""Normalization, backbone and head as one Keras model; freezing; features and their cache."""
