-- Adds values to a list that only grows, each once. KEYS: ids, list. ARGV: the most values, then ids and values.
-- Gives the length of the list.
for index = 2, #ARGV, 2 do
    if redis.call('LLEN', KEYS[2]) < tonumber(ARGV[1]) and redis.call('SADD', KEYS[1], ARGV[index]) == 1 then
        redis.call('RPUSH', KEYS[2], ARGV[index + 1])
    end
end
return redis.call('LLEN', KEYS[2])
