"""Image files to batches. With `serving`, the only place that uses tensorflow itself."""
