-- Writes random keys, each wrk thread to its own of the given nodes, and ends with one line of JSON.
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

function init()
  math.randomseed(seed)
  keys = tonumber(os.getenv("BENCH_KEYS"))
  body = string.rep("x", tonumber(os.getenv("BENCH_VALUE_BYTES")))
  headers = { ["Content-Type"] = "application/octet-stream" }
end

function request()
  return wrk.format("PUT", string.format("/v1/kv/key-%08d", math.random(0, keys - 1)), headers, body)
end

function done(summary, latency)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status +
    summary.errors.timeout
  io.write(string.format(
    'RESULT {"operations":%d,"errors":%d,"seconds":%f,"latency":{"p50":%f,"p90":%f,"p99":%f,"p999":%f,"max":%f}}\n',
    summary.requests - summary.errors.status, failed, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(90) / 1e3, latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3, latency.max / 1e3))
end
