"""Words to words: what a person said becomes what the host says.

`converse` takes turns, `generate` asks the language model, and `strip` takes whatever the model
wrote as a tool call out of its answer before anyone sees or hears it.
"""
