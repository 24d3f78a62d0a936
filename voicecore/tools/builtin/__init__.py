"""The tools that come with voicecore: each is local, small, and without side effects elsewhere."""
