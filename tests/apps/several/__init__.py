"""Applications of five frameworks that one server has side by side (torana.toml)."""
