"""From bytes to words: the sound a client sends becomes frames, utterances, text.

`clip` decodes recorded messages, `ingest` makes 20 ms frames of any sound, `segment` finds where a
person begins and ends to speak, and `transcribe` has it recognised.
"""
