-- Frees a partition; the epoch and the seq stay.
-- KEYS: own. ARGV: epoch, nonce.
local own = redis.call('HMGET', KEYS[1], 'epoch', 'nonce')
if own[1] == ARGV[1] and own[2] == ARGV[2] then
  redis.call('HDEL', KEYS[1], 'nonce', 'holder', 'expiresAt')
end
return redis.status_reply('OK')
