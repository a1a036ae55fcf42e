"""The applications under attack: each notes every call it gets, so that a request nobody sent is seen."""
