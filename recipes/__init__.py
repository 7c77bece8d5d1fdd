"""Recipes: importable modules above `toolkit`, one situation each, with the result it gave."""
