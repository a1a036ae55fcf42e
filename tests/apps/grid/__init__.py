"""Real applications, each through the same checks: what ``make apps`` runs and ``docs/apps.md`` shows."""
