-- Writes an account for the holder of its lease, and for nobody else. KEYS: account, fleet, changes.
-- ARGV: holder, fence, life of the lease from now in ms (0 gives it back), account, ages of the token and of its last
-- use in ms, then fields and values; an empty value takes the field away. Gives 1, or 0 if the lease has another
-- holder by now.
local lease = redis.call('HMGET', KEYS[1], 'fence', 'holder')
if lease[1] ~= ARGV[2] or lease[2] ~= ARGV[1] then
    return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[3] == '0' then
    redis.call('HDEL', KEYS[1], 'holder', 'ends')
else
    redis.call('HSET', KEYS[1], 'ends', now + tonumber(ARGV[3]))
end
for index = 7, #ARGV, 2 do
    if ARGV[index] == 'token' then
        redis.call('HSET', KEYS[1], 'got', now - tonumber(ARGV[5]), 'used', now - tonumber(ARGV[6]))
    end
    if ARGV[index + 1] == '' then
        redis.call('HDEL', KEYS[1], ARGV[index])
    else
        redis.call('HSET', KEYS[1], ARGV[index], ARGV[index + 1])
    end
end
if #ARGV > 6 then
    redis.call('ZADD', KEYS[3], redis.call('HINCRBY', KEYS[2], 'version', 1), ARGV[4])
end
return 1
