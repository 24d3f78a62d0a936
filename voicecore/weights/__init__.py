"""Model files: what is known, where it lies, whether it is intact, and how it is fetched."""
