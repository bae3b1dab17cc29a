-- Notes that a member lives, and tells what has changed.
-- KEYS: fleet, members, changes, values. ARGV: member, seal, life of a member in ms, last version seen.
-- Gives seal, time of the mark, version, members, accounts changed since, number of values.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HEXISTS', KEYS[1], 'seal') == 0 then
    -- The store is new, or was emptied.
    redis.call('HSET', KEYS[1], 'seal', ARGV[2], 'marked', now)
    redis.call('HSETNX', KEYS[1], 'version', 0)
end
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(ARGV[3]))
local mark = redis.call('HMGET', KEYS[1], 'seal', 'marked', 'version')
return {
    mark[1], mark[2], mark[3],
    redis.call('ZRANGE', KEYS[2], 0, 255),
    redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[4], '+inf', 'LIMIT', 0, 1000),
    redis.call('LLEN', KEYS[4]),
}
