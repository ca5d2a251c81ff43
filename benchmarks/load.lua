-- Posts eight bodies in turn, so that no server gains by remembering an answer; ends with one line of JSON.
-- BODIES is a pattern of paths with one %d, CONTENT_TYPE what they are.

local count = 8
local posts = {}
local at = 0

function init(args)
  wrk.headers["Content-Type"] = os.getenv("CONTENT_TYPE")
  wrk.headers["Accept"] = "application/json"
  for number = 0, count - 1 do
    local file = assert(io.open(string.format(os.getenv("BODIES"), number), "rb"))
    posts[number] = wrk.format("POST", nil, nil, file:read("*all"))
    file:close()
  end
end

function request()
  at = (at + 1) % count
  return posts[at]
end

function done(summary, latency, requests)
  local errors = summary.errors
  local sockets = errors.connect + errors.read + errors.write + errors.timeout
  local line = '{"requests": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "max_ms": %.4f, '
    .. '"bad_statuses": %d, "socket_errors": %d}\n'
  io.write(string.format(line, summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, latency.max / 1e3, errors.status, sockets))
end
