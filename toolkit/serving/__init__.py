"""Bundles on disk, the SavedModel inside them, and its check."""
