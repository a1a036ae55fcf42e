"""Sessions that stay with one worker: which worker a request belongs to, and how it gets there."""
