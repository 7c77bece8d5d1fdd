"""Several classifiers' probabilities -> one better distribution; knows arrays, not models."""
