"""What each threat is called and what Torana owes it, by number; the numbers never change.

Never here: how it is shown (the tests claim numbers by their marks).
"""

from __future__ import annotations

from typing import NamedTuple


class Threat(NamedTuple):
    """One line of the catalogue; ``waits_for``: the part of Torana that has to exist first."""

    id: str
    title: str
    answer: str
    waits_for: str = ""


SECTIONS: dict[str, list[Threat]] = {
    "HTTP/1.1: where a message ends": [
        Threat("G-001", "Content-Length and Transfer-Encoding together", "400 and the end of the connection, before the application is called"),
        Threat("G-002", "A chunked body with a Content-Length that says otherwise", "400 and the end of the connection"),
        Threat("G-003", "Two lengths that differ", "400 and the end of the connection"),
        Threat("G-004", "The same length twice, or in a list", "400 and the end of the connection: nobody needs it"),
        Threat("G-005", "Lengths that only some readers take for numbers", "digits only; all else is 400"),
        Threat("G-006", "Lengths beyond any integer", "400 before they are converted; 413 above the limit, before the body is read"),
        Threat("G-007", "Disguised transfer codings", "exactly `chunked`; other known codings 501, everything else 400"),
        Threat("G-008", "Names that almost are Content-Length or Transfer-Encoding", "a field name is a token with a colon right behind it; else 400"),
        Threat("G-009", "Transfer-Encoding repeated", "400 and the end of the connection"),
        Threat("G-010", "Transfer-Encoding in HTTP/1.0", "400 and the end of the connection"),
        Threat("G-011", "Chunk sizes that only some readers take for numbers", "1 to 16 hexadecimal digits; else 400"),
        Threat("G-012", "Chunk sizes that wrap around", "400, or 413 beyond the limit of the body; never a smaller number"),
        Threat("G-013", "Chunk lines that do not end in CRLF", "400 and the end of the connection"),
        Threat("G-014", "Chunk extensions, malformed or in floods", "the grammar holds, lines and their sum are bounded; discarded"),
        Threat("G-015", "More data than the chunk said", "400 and the end of the connection"),
        Threat("G-016", "A chunked body that stops", "the application hears of a disconnect, never of an end"),
        Threat("G-017", "Bodies of the smallest chunks", "400 when framing outweighs content; pieces are joined before they are handed over"),
        Threat("G-018", "Trailer fields that pretend to be header fields", "same rules as the header section, never merged into it; forbidden names are 400"),
        Threat("G-019", "Folded lines", "400 and the end of the connection"),
        Threat("G-020", "Lines that end in LF alone", "400 and the end of the connection"),
        Threat("G-021", "CR where no LF follows", "400 and the end of the connection"),
        Threat("G-022", "NUL and other control bytes", "400; a tab is allowed within values only"),
        Threat("G-023", "Bytes that Python takes for white space or digits", "kept as they are, or refused; never stripped"),
        Threat("G-024", "Lines without a name or a colon", "400; the list of fields is never cut short"),
        Threat("G-025", "Request lines in almost the right form", "two single spaces, versions 1.0 and 1.1 (else 505), one empty line before it at most"),
        Threat("G-026", "Request targets in the wrong form for their method", "400; escapes are kept raw and decoded once"),
        Threat("G-027", "Host missing, doubled, malformed, or against the target", "400; one value for everybody"),
        Threat("G-028", "Bodies where methods seldom have one", "framing follows the fields alone, for every method and every answer"),
        Threat("G-029", "100-continue with a body that comes, does not come, or is another request", "100 when the application reads; a final answer before that ends the connection; unknown expectations are 417"),
        Threat("G-030", "An answer while the body is still coming", "the answer arrives whole, then the connection ends"),
        Threat("G-031", "Requests piled up on one connection", "answered in order, one at a time; reading pauses; nothing behind an error or a close is read"),
        Threat("G-032", "Connection naming fields that matter", "400 if it names framing or Host"),
        Threat("G-033", "Upgrades that are none", "HTTP/1.1 goes on, or 400 and 426; bytes behind are never taken for another protocol"),
        Threat("G-034", "Builds, reads and protocols that judge differently", "the same verdict always"),
    ],
    "What the application can make us send": [
        Threat("G-035", "Line ends in response fields", "500 before anything is sent, or the end of the connection; the worker lives"),
        Threat("G-036", "Applications that lie about the length", "no byte too many; too few end the connection visibly"),
        Threat("G-037", "Failure in the middle of an answer", "500 before the head, visible truncation after it; `close()` once"),
        Threat("G-038", "Error pages that echo", "fixed texts, no byte of the request, nosniff"),
    ],
    "HTTP/2": [
        Threat("G-039", "Rapid reset", "a cancelled request keeps its place until its work has ended; resets are rationed"),
        Threat("G-040", "Resets that we are made to send", "the same ration"),
        Threat("G-041", "CONTINUATION without end", "few frames, few bytes, then GOAWAY"),
        Threat("G-042", "Header sections that unfold", "decoding stops at the limit; 431 a little beyond it, GOAWAY far beyond it"),
        Threat("G-043", "Crumbs by the thousand behind a closed window", "fields are counted; answers that do not advance are reset"),
        Threat("G-044", "Malformed HPACK integers and strings", "GOAWAY with COMPRESSION_ERROR, in linear time"),
        Threat("G-045", "Header tables that drift apart", "every block is decoded to its end, or the connection ends"),
        Threat("G-046", "SETTINGS without end", "bounded entries and frames; the error codes of RFC 9113 section 6.5"),
        Threat("G-047", "PING, WINDOW_UPDATE, PRIORITY and unknown frames without end", "rationed; what waits to be sent is bounded"),
        Threat("G-048", "Empty and tiny frames", "rationed; honest small frames pass"),
        Threat("G-049", "Windows that stay closed", "the application waits, then the stream is reset; nobody else suffers"),
        Threat("G-050", "Windows that leak", "what is discarded is given back, once"),
        Threat("G-051", "Frames in the wrong state", "the error code of RFC 9113"),
        Threat("G-052", "Pseudo-header fields and names against the rules", "PROTOCOL_ERROR for the stream; the application is not called"),
        Threat("G-053", "content-length against DATA", "PROTOCOL_ERROR as soon as it is known"),
        Threat("G-054", "HTTP/1.1 hidden in HTTP/2 fields", "refused before anything is made of it"),
        Threat("G-055", "Connections that never end", "GOAWAY twice; what was accepted is served, later streams may be repeated"),
        Threat("G-056", "Extended CONNECT against the rules", "the rules of RFC 8441; plain CONNECT is refused"),
    ],
    "WebSocket": [
        Threat("G-057", "Malformed handshakes", "400 or 426; odd extension offers are declined"),
        Threat("G-058", "Pages of other origins", "403 before the application is called, unless allowed"),
        Threat("G-059", "Frames against the rules", "1002, 1007 or 1009, then the end"),
        Threat("G-060", "Huge frames, declared or dribbled", "1009 at the head; memory bounded for all sockets together"),
        Threat("G-061", "Fragments without end", "fragments and empty frames are rationed"),
        Threat("G-062", "Messages that unfold", "inflated step by step, ended at the limit"),
        Threat("G-063", "Pings, slow readers, closes that nobody answers", "one pong at most waits; buffers are bounded; the end comes in time"),
    ],
    "Slow clients and exhaustion": [
        Threat("G-064", "Heads that never end, connections that never speak", "a deadline for the whole head; 408, or a silent close if nothing came"),
        Threat("G-065", "Bodies that stall", "408; no thread waits for a body"),
        Threat("G-066", "Answers that nobody reads", "a bounded buffer, then the end; slow but steady readers get all of it"),
        Threat("G-067", "More connections than descriptors", "those that wait longest give way; accepting never spins"),
        Threat("G-068", "TLS handshakes that stall or repeat", "a deadline; no renegotiation; plain HTTP gets one clear 400"),
        Threat("G-069", "Bodies that fill the memory", "limits on what arrives; disk instead of memory; 413"),
        Threat("G-070", "Compressed bodies", "passed on as they are: the server unpacks nothing"),
        Threat("G-071", "Inputs that cost more than they are long", "linear time everywhere"),
        Threat("G-072", "Log lines made by clients", "escaped, cut, and few"),
    ],
    "Identity, files, proxying, caching, TLS": [
        Threat("G-073", "Forwarding fields of strangers", "removed unless the hop is trusted; the rightmost stranger is the client"),
        Threat("G-074", "PROXY headers", "from trusted peers on listeners that expect them only; malformed ones end the connection"),
        Threat("G-075", "Names that differ in `-` and `_`", "dropped before they can be mistaken"),
        Threat("G-076", "Paths that rules and handlers read differently", "one canonical path", "the edge"),
        Threat("G-077", "Paths out of the folder", "404", "the edge"),
        Threat("G-078", "Symbolic links, special and hidden files", "404", "the edge"),
        Threat("G-079", "Ranges by the thousand", "few, or ignored", "the edge"),
        Threat("G-080", "Requests that choose the upstream", "never", "the edge"),
        Threat("G-081", "Hostile upstreams", "502, or visible truncation", "the edge"),
        Threat("G-082", "Upstream TLS", "verified", "the edge"),
        Threat("G-083", "Cache poisoning", "everything that matters is in the key", "the edge"),
        Threat("G-084", "Cache deception", "the answer decides, not the path", "the edge"),
        Threat("G-085", "Storing what is private", "RFC 9111", "the edge"),
        Threat("G-086", "Stampedes and stuck entries", "one fetch a key; locks end with their holder", "the edge"),
        Threat("G-087", "TLS identities mixed up", "sessions are bound to their name and client certificate; bad files keep the old ones"),
        Threat("G-088", "Control and health channels", "a socket for its owner, bounded messages"),
    ],
    "Process, kernel and upstream faults": [
        Threat("G-089", "Workers killed", "only their own connections suffer; replaced at once"),
        Threat("G-090", "Workers that crash", "the same, with the cause in the log"),
        Threat("G-091", "Out of memory", "500 for that request; the kernel's kill is named in the log"),
        Threat("G-092", "Workers that hang", "stacks in the log, then replaced; long requests are no hang"),
        Threat("G-093", "Applications that do not start", "exit code 3, or growing pauses; the old generation stays"),
        Threat("G-094", "No new processes or threads", "the supervisor goes on and tries again"),
        Threat("G-095", "The supervisor dies", "workers finish and go; nothing stays behind"),
        Threat("G-096", "Errors of system calls", "one connection suffers, never the worker"),
        Threat("G-097", "Logs that cannot be written", "serving goes on; lines are dropped and counted"),
        Threat("G-098", "Spools that cannot be written", "that request fails, nobody else"),
        Threat("G-099", "Clocks that jump", "no timeout notices"),
        Threat("G-100", "Reload under load", "no request is lost"),
        Threat("G-101", "Reload of something broken", "the old generation stays untouched"),
        Threat("G-102", "Stop, by any signal, at any time", "what runs is finished within the time; the second one ends at once"),
        Threat("G-103", "Workers renewed", "the replacement first; one at a time; nothing lost"),
        Threat("G-104", "Upstreams that die", "retried where that is safe", "the edge"),
        Threat("G-105", "Upstreams that are late", "never another one's answer", "the edge"),
        Threat("G-106", "Clients that half-close, reset, vanish", "a half-closed client gets its answer; the application hears of the others once"),
        Threat("G-107", "State shared with the dead", "nobody waits for them"),
        Threat("G-108", "State shared by birth", "fresh randomness, no foreign descriptors, privileges gone for good"),
    ],
}  # fmt: skip
BY_ID = {threat.id: threat for threats in SECTIONS.values() for threat in threats}
