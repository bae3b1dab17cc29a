-- Notes the last use of a token. KEYS: account. ARGV: fencing number that the token was got under, age of the use in ms.
if redis.call('HGET', KEYS[1], 'of') ~= ARGV[1] then
    return 0
end
local time = redis.call('TIME')
local used = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[2])
if used > tonumber(redis.call('HGET', KEYS[1], 'used') or '0') then
    redis.call('HSET', KEYS[1], 'used', used)
end
return 1
