"""From what a person shows to what a model can take: pictures and files.

`container` takes a picture file apart without decoding it, `picture` makes a small, clean JPEG of
it; `text` and `pdf` find the words in a file; `attachment` decides what a file is and puts
documents into a prompt. They are blocking code without Trio, for the threads of `see`.
"""
