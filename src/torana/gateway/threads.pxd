# Compiled as it stands: what a thread does between two jobs is on the way of each request.
