"""Floor 6: one declaration a setting; flag, variable, file key, help and reference page come from it."""
