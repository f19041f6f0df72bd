-- Applies the writes of one commit.
-- KEYS: own, then what is written. ARGV: epoch, nonce, seq, then for each call its command, the place of its key
-- in KEYS, the count of its further arguments, and these.
-- Answers OK, FENCED, or the stored seq where the commit before this one is missing.
local own = redis.call('HMGET', KEYS[1], 'epoch', 'nonce', 'seq')
if own[1] ~= ARGV[1] or own[2] ~= ARGV[2] then return redis.status_reply('FENCED') end

local stored, seq = tonumber(own[3]), tonumber(ARGV[3])
if seq <= stored then
  -- There already. Written again all the same: WAIT promises only what its own connection wrote.
  redis.call('HSET', KEYS[1], 'seq', own[3])
  return redis.status_reply('OK')
end
if seq ~= stored + 1 then return stored end

local at = 4
while at <= #ARGV do
  local last = at + 2 + ARGV[at + 2]
  redis.call(ARGV[at], KEYS[tonumber(ARGV[at + 1])], unpack(ARGV, at + 3, last))
  at = last + 1
end
redis.call('HSET', KEYS[1], 'seq', ARGV[3])
return redis.status_reply('OK')
