-- Puts back an account that the store has lost, or knows in an older state. KEYS: account, fleet, changes.
-- ARGV: fence, account, ages of the token and of its last use in ms, then fields and values. Gives 1, or 0 if the store knows
-- a state as new as this.
if tonumber(redis.call('HGET', KEYS[1], 'fence') or '0') >= tonumber(ARGV[1]) then
    return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'got', now - tonumber(ARGV[3]), 'used', now - tonumber(ARGV[4]))
for index = 5, #ARGV, 2 do
    if ARGV[index + 1] ~= '' then
        redis.call('HSET', KEYS[1], ARGV[index], ARGV[index + 1])
    end
end
redis.call('ZADD', KEYS[3], redis.call('HINCRBY', KEYS[2], 'version', 1), ARGV[2])
return 1
