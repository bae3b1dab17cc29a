-- Takes the lease of an account, if it is free. KEYS: account, fleet.
-- ARGV: holder, fence that the new one must exceed, life of the lease in ms, time for which a new store must settle.
-- Gives the fence, or 0 and the time in ms after which it is worth another try.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local marked = redis.call('HGET', KEYS[2], 'marked')
-- In a store that was emptied, the members first put back what they know.
local settling = (marked and tonumber(marked) or now) + tonumber(ARGV[4]) - now
-- A time further ahead than it can be is one from before the clock stepped back.
if settling > 0 and settling <= tonumber(ARGV[4]) then
    return { 0, settling }
end
local lease = redis.call('HMGET', KEYS[1], 'fence', 'holder', 'ends')
local left = (lease[3] and tonumber(lease[3]) or 0) - now
if left > 0 and left <= tonumber(ARGV[3]) and lease[2] ~= ARGV[1] then
    return { 0, left }
end
-- A holder that asks again has lost the answer, or itself: it gets a new number, and the old one is of no use.
local fence = math.max(tonumber(lease[1] or '0'), tonumber(ARGV[2])) + 1
redis.call('HSET', KEYS[1], 'fence', fence, 'holder', ARGV[1], 'ends', now + tonumber(ARGV[3]))
return { fence, 0 }
