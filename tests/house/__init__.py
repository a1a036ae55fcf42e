"""The laws of the house (docs/design), each held by a test over the source tree; nothing here runs torana."""
