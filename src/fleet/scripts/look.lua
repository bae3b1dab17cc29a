-- Looks at the mark of the fleet, and changes nothing.
-- KEYS: fleet. Gives the seal, or an empty text.
return redis.call('HGET', KEYS[1], 'seal') or ''
