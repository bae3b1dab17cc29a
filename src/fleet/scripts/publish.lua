-- Adds values to a list that only grows, each once. KEYS: ids, list. ARGV: the most values, then ids and values.
-- Gives the number of values that found no room.
local without_room = 0
for index = 2, #ARGV, 2 do
    if redis.call('SISMEMBER', KEYS[1], ARGV[index]) == 0 then
        if redis.call('LLEN', KEYS[2]) < tonumber(ARGV[1]) then
            redis.call('SADD', KEYS[1], ARGV[index])
            redis.call('RPUSH', KEYS[2], ARGV[index + 1])
        else
            without_room = without_room + 1
        end
    end
end
return without_room
