-- Reads the rows of a sorted set that stand before or behind a (score, member), which need not be in it.
-- KEYS: the sorted set. ARGV: score, member, the most rows, 'behind' or 'before'.
-- Answers members and scores in ascending order, whichever way.

-- By bytes, as the set is sorted: Lua's own comparison follows the server's locale.
local function less(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

local key, score, member, most = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local there = redis.call('ZSCORE', key, member)
there = there and tonumber(there) == tonumber(score)

-- The place of the first row that is not less.
local place
if there then
  place = redis.call('ZRANK', key, member)
else
  local low = redis.call('ZCOUNT', key, '-inf', '(' .. score)
  local high = redis.call('ZCOUNT', key, '-inf', score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if less(redis.call('ZRANGE', key, middle, middle)[1], member) then low = middle + 1 else high = middle end
  end
  place = low
end

if ARGV[4] == 'before' then
  if place == 0 then return {} end
  return redis.call('ZRANGE', key, math.max(0, place - most), place - 1, 'WITHSCORES')
end
if there then place = place + 1 end
return redis.call('ZRANGE', key, place, place + most - 1, 'WITHSCORES')
