-- Reads and writes random keys, each wrk thread at its own of the given nodes, and ends with one line of JSON.
-- BENCH_SPEAKS is distkv or gateway (etcd's JSON over HTTP).
local addresses = {}
local threads = 0

function setup(thread)
  if #addresses == 0 then
    for host, port in os.getenv("BENCH_ADDRESSES"):gmatch("([^:,]+):(%d+)") do
      addresses[#addresses + 1] = wrk.lookup(host, port)[1]
    end
  end
  thread.addr = addresses[threads % #addresses + 1]
  thread:set("seed", os.time() * 31 + threads)
  threads = threads + 1
end

local letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(text)
  local out = {}
  for i = 1, #text, 3 do
    local a, b, c = text:byte(i, i + 2)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    for shift, there in ipairs({ true, true, b ~= nil, c ~= nil }) do
      local at = math.floor(n / 64 ^ (4 - shift)) % 64 + 1
      out[#out + 1] = there and letters:sub(at, at) or "="
    end
  end
  return table.concat(out)
end

function init()
  math.randomseed(seed)
  keys = tonumber(os.getenv("BENCH_KEYS"))
  reads = tonumber(os.getenv("BENCH_READS"))
  query = os.getenv("BENCH_QUERY")
  gateway = os.getenv("BENCH_SPEAKS") == "gateway"
  body = string.rep("x", tonumber(os.getenv("BENCH_VALUE_BYTES")))
  encoded = gateway and base64(body) or nil
  -- The method and the headers are laid out once: the generator shares the machine with what it measures.
  local host = "Host: " .. wrk.host .. ":" .. wrk.port .. "\r\n"
  get = " HTTP/1.1\r\n" .. host .. "\r\n"
  put = " HTTP/1.1\r\n" .. host .. "Content-Type: application/octet-stream\r\nContent-Length: " .. #body .. "\r\n\r\n" ..
    body
end

function request()
  local key = string.format("key-%08d", math.random(0, keys - 1))
  local reading = reads > 0 and math.random() < reads
  if gateway then
    local fields = '{"key":"' .. base64(key) .. '"'
    if reading then return wrk.format("POST", "/v3/kv/range", {}, fields .. query .. "}") end
    return wrk.format("POST", "/v3/kv/put", {}, fields .. ',"value":"' .. encoded .. '"}')
  end
  if reading then return "GET /v1/kv/" .. key .. query .. get end
  return "PUT /v1/kv/" .. key .. put
end

function done(summary, latency)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status +
    summary.errors.timeout
  io.write(string.format(
    'RESULT {"operations":%d,"errors":%d,"seconds":%f,"latency":{"p50":%f,"p90":%f,"p99":%f,"p999":%f,"max":%f}}\n',
    summary.requests - summary.errors.status, failed, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(90) / 1e3, latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3, latency.max / 1e3))
end
