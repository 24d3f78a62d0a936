"""The two protocols, and the only two tasks that touch a socket."""
