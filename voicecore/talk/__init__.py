"""Talking to a host from a terminal: a client that knows it by its wire only.

    microphone → Ends → Ears (echo cancelled, 20 ms frames) → Outgoing → host
    speaker ← Ends ← Playout ← sound ─┐
    screen ← Dialogue ← messages ─────┴── host

``playout``, ``echo``, ``ears``, ``reply``, ``dialogue``, ``status`` and ``keyboard.LineEditor`` are
plain synchronous classes; ``sound``, ``connection`` and ``conversation`` hold the tasks;
``portaudio`` is the only module that knows a sound library.
"""
