-- Prolongs permits that are held. KEYS: permits. ARGV: life of one in ms, 1 to add those that are missing, then the
-- permits. One that was given back a moment ago must not come back, so only those of an emptied store are added.
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
for index = 3, #ARGV do
    if ARGV[2] == '1' then
        redis.call('ZADD', KEYS[1], ends, ARGV[index])
    else
        redis.call('ZADD', KEYS[1], 'XX', ends, ARGV[index])
    end
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
