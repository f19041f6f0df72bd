-- Fixes the number of partitions where none is fixed yet, and answers what is fixed.
-- KEYS: the number. ARGV: what it is to be where it is missing.
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
