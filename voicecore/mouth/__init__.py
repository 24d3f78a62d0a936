"""From words to sound.

`phrase` cuts a reply into phrases, `speakable` says how each is spoken (`english`, `quantities` and
`numbers` its English), `synthesize` has a voice say it, `upsample` brings the sound to 48 kHz, and
`speak` holds the two tasks around them.
"""
