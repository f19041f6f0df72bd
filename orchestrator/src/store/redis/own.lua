-- Takes a partition, or renews the lease of its owner. Times are milliseconds of this server's clock.
-- KEYS: own. ARGV: holder, lease, nonce, epoch to renew ('' to take).
-- Answers {'OWNED', epoch, seq, restarted}, {'HELD', holder, expires in} or {'FENCED'}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local expires_at = string.format('%.0f', now + ARGV[2])
local own = redis.call('HMGET', KEYS[1], 'epoch', 'nonce', 'holder', 'expiresAt', 'seq', 'server', 'restarted',
  'toldAt')
local epoch, nonce, holder, held_until, seq, server, restarted, told_at = unpack(own)

if ARGV[4] ~= '' then
  if epoch ~= ARGV[4] or nonce ~= ARGV[3] then return { 'FENCED' } end
  redis.call('HSET', KEYS[1], 'expiresAt', expires_at)
  return { 'OWNED', epoch, seq, '0' }
end

-- The same take again: its answer was lost.
local again = nonce == ARGV[3]
if nonce and not again and tonumber(held_until) > now then
  return { 'HELD', holder, string.format('%.0f', held_until - now) }
end

local this_server = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
seq = seq or '0'
if server and server ~= this_server then
  restarted, told_at = '1', seq
elseif not again and told_at ~= seq then
  -- Whoever was told has committed since, so it is known.
  restarted = '0'
end
if not again then epoch = string.format('%.0f', (epoch or 0) + 1) end
redis.call('HSET', KEYS[1], 'epoch', epoch, 'nonce', ARGV[3], 'holder', ARGV[1], 'expiresAt', expires_at,
  'seq', seq, 'server', this_server, 'restarted', restarted or '0', 'toldAt', told_at or '')
return { 'OWNED', epoch, seq, restarted or '0' }
