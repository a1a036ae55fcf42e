"""HTTP/2 connections: their storeys, and the streams that each are the channel of one exchange."""
