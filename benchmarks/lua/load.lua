-- Arguments: METHOD BODY_BYTES. The request is built once, so Lua costs nothing per request.
-- The body is the bytes 0..255 repeated; benchmarks/works.py sends the same in its check.
function init(args)
  if args[1] then
    wrk.method = args[1]
    local size = tonumber(args[2])
    if size > 0 then
      local letters = {}
      for i = 0, 255 do letters[#letters + 1] = string.char(i) end
      wrk.body = string.rep(table.concat(letters), size / 256)
      wrk.headers["Content-Type"] = "application/octet-stream"
    end
  end
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "duration_us": %d, "bytes": %d, "connect": %d, "read": %d, "write": %d, ' ..
    '"status": %d, "timeout": %d, "p50_us": %d, "p99_us": %d, "max_us": %d}\n',
    summary.requests, summary.duration, summary.bytes, e.connect, e.read, e.write,
    e.status, e.timeout, latency:percentile(50), latency:percentile(99), latency.max))
end
