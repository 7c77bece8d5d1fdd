"""What the toolkit is measured against: `python -m benchmarks`."""
