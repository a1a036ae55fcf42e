"""Applications for the room: what each path of them does needs a call of its own."""
