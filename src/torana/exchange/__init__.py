"""Floor 2: one request and its one answer, whatever the HTTP version. Message-body rules live here, once."""
