import { DEFER, HASH_HEADER } from './scripts.js';

/**
 * Fields of one hash, each by its own version: the step `setFields` of `FieldsProtocol`.
 *
 * ARGV: channel, head, synced, all or nothing, most fields, ttl, end of that life, the highest version given, the version of nothing; then name, version and text of each field.
 * Answers outcome, stamp or false, and the outcome of each field.
 *
 * The life of a field is in its text, and judged by the server's clock: that holds on every server. Where fields can expire by themselves (Redis 7.4), that frees their memory
 * at once; elsewhere they leave with the hash, or when it gets full.
 */
export const SET_FIELDS = `${HASH_HEADER}${DEFER}
local synced, atomic, most, ttl, expiry = ARGV[3] == '1', ARGV[4] == '1', tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local newest, base, FIRST, NEVER = ARGV[8], ARGV[9], 10, '0000000000000'
local found = kind == 'H' or kind == 'N'
if synced and kind == 'L' then return defer('refresh', newest) end
if synced and not found then
  if kind == 'T' and ver > newest then newest = ver end
  if kind == 'T' then mark('1T' .. newest .. string.sub(cur, 48)) end
  tell('refresh', newest)
  return { 'absent', newest, {} }
end

local now
local function field(name)
  local text = kind == 'H' and redis.call('HGET', key, name)
  return text and string.sub(text, 1, 1) == '1' and text
end
local function over(text)
  local ends = string.sub(text, 48, 60)
  if ends == NEVER then return false end
  if not now then
    local time = redis.call('TIME')
    now = string.format('%013.0f', time[1] * 1000 + math.floor(time[2] / 1000))
  end
  return ends <= now
end
local function outcomes(above, others)
  local list = {}
  for i = 1, #above do list[i] = above[i] == 'applied' and others or above[i] end
  return list
end

if kind ~= '' then base = ver end
local revision = kind == 'H' and tonumber(string.sub(cur, 61, 70)) or 0
local function stamp() return string.sub(base, 1, 35) .. string.format('%010.0f', revision) end
local told, written, added = {}, 0, 0
for i = FIRST, #ARGV, 3 do
  local text, version = field(ARGV[i]), ARGV[i + 1]
  local stands = text and not over(text) and string.sub(text, 3, 47) or base
  local outcome = version > stands and 'applied' or version == stands and 'duplicate' or 'stale'
  if outcome == 'applied' then
    written = written + 1
    if not text then added = added + 1 end
  end
  told[#told + 1] = outcome
end
if written == 0 or (atomic and written < #told) then
  tell('void', '-')
  return { 'unchanged', kind ~= '' and stamp() or false, outcomes(told, 'held') }
end

local many = added + (kind == 'H' and redis.call('HLEN', key) - 1 or 0)
if many > most and kind == 'H' then
  -- Those whose life is over count no more; one that is written anew is added.
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    if all[i] ~= '' and over(all[i + 1]) then redis.call('HDEL', key, all[i]) end
  end
  many = redis.call('HLEN', key) - 1
  for i = 1, #told do
    if told[i] == 'applied' and not field(ARGV[FIRST + (i - 1) * 3]) then many = many + 1 end
  end
end
if many > most then
  tell('void', '-')
  return { 'full', kind ~= '' and stamp() or false, {} }
end

if kind ~= '' and (synced or string.sub(cur, 48, 60) > expiry) then expiry = string.sub(cur, 48, 60) end
if not synced then ttl = math.max(ttl, redis.call('PTTL', key)) end
if not found then redis.call('DEL', key) end
revision = revision + 1
mark('1H' .. base .. expiry .. string.format('%010.0f', revision))
if not synced then redis.call('PEXPIRE', key, ttl) end
for i = 1, #told do
  local at = FIRST + (i - 1) * 3
  if told[i] == 'applied' then
    redis.call('HSET', key, ARGV[at], ARGV[at + 2])
    local ends = string.sub(ARGV[at + 2], 48, 60)
    if ends ~= NEVER and (redis.REDIS_VERSION_NUM or 0) >= 0x00070400 then
      -- Refused: it leaves later.
      redis.pcall('HPEXPIREAT', key, string.format('%.0f', tonumber(ends)), 'FIELDS', 1, ARGV[at])
    end
  end
end
if found then tell('refresh', stamp()) else tell('evict', '-') end
return { found and 'applied' or 'created', stamp(), told }
`;
