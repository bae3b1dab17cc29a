-- Counts one more under a rate (GCRA, the generic cell rate algorithm). KEYS: rate.
-- ARGV: time in microseconds that one takes, number at once. Gives 0, or the time to wait in microseconds.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local each = tonumber(ARGV[1])
local burst = each * tonumber(ARGV[2])
-- A time further ahead than the burst is one from before the clock stepped back.
local known = math.min(tonumber(redis.call('GET', KEYS[1]) or '0'), now + burst)
local free = math.max(now, known) + each
local wait = free - now - burst
if wait > 0 then
    return wait
end
redis.call('SET', KEYS[1], string.format('%.0f', free), 'PX', math.ceil((free - now) / 1000))
return 0
