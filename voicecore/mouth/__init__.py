"""From words to sound.

`phrase` cuts a reply into phrases, `speakable` says how each is spoken (`english`, `quantities` and
`numbers` its English), a voice synthesises it, and `upsample` brings the sound to 48 kHz.
"""
