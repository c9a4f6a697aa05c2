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

-- All that two requests have in common is laid out once: the generator shares the machine with what it measures.
local function layOutGateway(host, query, body)
  names = {}
  for i = 1, keys do names[i] = base64(string.format("%s%08d", prefix, i - 1)) end
  local function layOut(path, fields)
    local length = #'{"key":""' + #names[1] + #fields
    local head = "POST " .. path .. " HTTP/1.1\r\n" .. host .. "Content-Type: application/json\r\nContent-Length: "
    return head .. length .. '\r\n\r\n{"key":"', '"' .. fields
  end
  getHead, get = layOut("/v3/kv/range", query .. "}")
  putHead, put = layOut("/v3/kv/put", ',"value":"' .. base64(body) .. '"}')
end

local function layOutDistkv(host, query, body)
  getHead, putHead = "GET /v1/kv/" .. prefix, "PUT /v1/kv/" .. prefix
  get = query .. " HTTP/1.1\r\n" .. host .. "\r\n"
  put = " HTTP/1.1\r\n" .. host .. "Content-Type: application/octet-stream\r\nContent-Length: " .. #body .. "\r\n\r\n" ..
    body
end

function init()
  math.randomseed(seed)
  keys = tonumber(os.getenv("BENCH_KEYS"))
  prefix = os.getenv("BENCH_PREFIX")
  reads = tonumber(os.getenv("BENCH_READS"))
  local layOut = os.getenv("BENCH_SPEAKS") == "gateway" and layOutGateway or layOutDistkv
  local host = "Host: " .. wrk.host .. ":" .. wrk.port .. "\r\n"
  layOut(host, os.getenv("BENCH_QUERY"), string.rep("x", tonumber(os.getenv("BENCH_VALUE_BYTES"))))
end

function request()
  local key = math.random(1, keys)
  local name = names and names[key] or string.format("%08d", key - 1)
  if reads > 0 and math.random() < reads then return getHead .. name .. get end
  return putHead .. name .. put
end

-- How often each time was measured. wrk adds to its histogram before it hands it out ("correction of coordinated
-- omission"): with e for the mean time of a call, it lets each time n from 2e on count at n - e, n - 2e, ... as well,
-- as far as that is above e. Nobody else here does so. To undo it: what is counted at m > e is what was measured there,
-- and what is counted at m + e. wrk's own way to ask for the counts walks the histogram again for each of them, so
-- they are read where it keeps them.
local ffi = require("ffi")
ffi.cdef("typedef struct { uint64_t count, limit, min, max, data[]; } bench_latencies;")

local function measuredTimes(summary, latency)
  local counted = ffi.cast("bench_latencies **", latency)[0]
  local least, most = tonumber(counted.min), tonumber(counted.max)
  if summary.requests == 0 then return function() return 0 end, 0, -1 end
  if least ~= latency.min or most ~= latency.max then error("the histogram of this wrk is laid out in another way") end
  local perClient = math.floor(summary.requests / tonumber(os.getenv("BENCH_CONNECTIONS")))
  local mean = perClient > 0 and math.floor(summary.duration / perClient) or most
  local function at(m)
    local count = counted.data[m]
    if m > mean and m + mean <= most then count = count - counted.data[m + mean] end
    return tonumber(count)
  end
  return at, least, most
end

-- Quantiles of the times as they were measured, in milliseconds. There have to be as many as there were replies.
local function percentilesOf(summary, latency, parts)
  local at, least, most = measuredTimes(summary, latency)
  local replies = summary.requests - summary.errors.timeout -- of those that took too long there is no time
  local found, next, sum = {}, 1, 0
  for m = least, most do
    sum = sum + at(m)
    while next <= #parts and sum >= math.ceil(parts[next] * replies) do
      found[next] = m / 1e3
      next = next + 1
    end
  end
  if sum ~= replies then error(string.format("%d replies, but %d times", replies, sum)) end
  for part = next, #parts do found[part] = 0 end
  return found
end

function done(summary, latency)
  local cpu = os.clock() -- of the whole process so far
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  local p = percentilesOf(summary, latency, { 0.5, 0.9, 0.99, 0.999, 1 })
  io.write(string.format(
    'RESULT {"operations":%d,"errors":%d,"seconds":%f,"generatorSeconds":%f,"latency":{"p50":%f,"p90":%f,"p99":%f,"p999":%f,"max":%f}}\n',
    summary.requests - errors.status - errors.timeout, failed, summary.duration / 1e6, cpu, p[1], p[2], p[3], p[4], p[5]))
end
