"""voicecore: a host for spoken conversation, on Trio.

The folders are the data flow: ``ears`` (sound to words), ``engines`` (native code and the threads
that own it), ``mind`` (words to words), ``mouth`` (words to sound), ``wire`` (the two protocols and
the socket). ``session.py`` is the whole graph of one conversation; ``server.py`` hosts many.
"""

__version__ = "0.1.0"
