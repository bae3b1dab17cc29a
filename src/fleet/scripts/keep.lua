-- Keeps permits that are held. KEYS: permits. ARGV: life of one in ms, then the permits.
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
for index = 2, #ARGV do
    redis.call('ZADD', KEYS[1], ends, ARGV[index])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
