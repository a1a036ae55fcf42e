"""Products that are started rather than called: what each needs to be served like any application."""
