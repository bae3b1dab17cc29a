-- Puts back an account that the store has lost. KEYS: account, fleet, changes. ARGV: fence, account, ages of the token
-- and of its last use in ms, life of a lease in ms, then fields and values. Gives 1, or 0 if the store knows a state as
-- new as this, or a token that somebody got since, or if somebody is about to get one; 2 for a store that nobody has
-- looked at since it was emptied.
local known = redis.call('HMGET', KEYS[1], 'fence', 'token', 'holder', 'ends')
if tonumber(known[1] or '0') >= tonumber(ARGV[1]) or known[2] then
    return 0
end
if redis.call('HEXISTS', KEYS[2], 'seal') == 0 then
    return 2
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local left = (known[4] and tonumber(known[4]) or 0) - now
if known[3] and left > 0 and left <= tonumber(ARGV[5]) then
    return 0
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'got', now - tonumber(ARGV[3]), 'used', now - tonumber(ARGV[4]))
for index = 6, #ARGV, 2 do
    if ARGV[index + 1] ~= '' then
        redis.call('HSET', KEYS[1], ARGV[index], ARGV[index + 1])
    end
end
redis.call('ZADD', KEYS[3], redis.call('HINCRBY', KEYS[2], 'version', 1), ARGV[2])
return 1
