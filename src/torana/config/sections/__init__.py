"""The settings, one file a section. Declarations only."""
