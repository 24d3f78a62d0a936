"""From bytes to words: the sound a client sends becomes frames, utterances, text.

Recorded messages: `formats` tells what they are, `wav` and `container` decode them (`clip` any),
`stretches` cuts them at their pauses, `recording` does all this while they arrive.

The open microphone: `ingest` makes 20 ms frames of any sound, `segment` finds where a person begins
and ends to speak.

Both: `transcribe` has it recognised.
"""
