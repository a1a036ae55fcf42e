"""The applications under attack: they keep no notes, so that what is measured is the server."""
