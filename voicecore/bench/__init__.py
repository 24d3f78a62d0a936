"""The benchmark suite: a simulated person talks to any host that speaks one of the two wires.

The flow is that of a run: `material` makes what is said, `script` says when, `person` says it in
real time and keeps what arrives, `figures` are read off the kept events, `report` shows them.
"""
