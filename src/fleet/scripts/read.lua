-- Reads an account. KEYS: account. Gives fence, token, history, and the ages in ms of the token and of its last use.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local fields = redis.call('HMGET', KEYS[1], 'fence', 'token', 'history', 'got', 'used')
local function age(time)
    return time and math.max(0, now - tonumber(time)) or 0
end
return { tonumber(fields[1] or '0'), fields[2] or '', fields[3] or '', age(fields[4]), age(fields[5]) }
