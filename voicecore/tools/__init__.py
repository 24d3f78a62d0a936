"""What a character can do: tools, where they are found, and the calls at work."""
