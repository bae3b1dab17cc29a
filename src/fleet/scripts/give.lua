-- Gives permits back. KEYS: permits. ARGV: the permits.
return redis.call('ZREM', KEYS[1], unpack(ARGV))
