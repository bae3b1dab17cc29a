-- Reads a part of a list. KEYS: list. ARGV: first, last.
return redis.call('LRANGE', KEYS[1], ARGV[1], ARGV[2])
