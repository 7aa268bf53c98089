/**
 * The steps of `EntryProtocol` as scripts of the server: one key each, or keys of one slot, so that they run on every slot of a cluster. Versions are compared as text of one width:
 * a number of Lua is a double and cannot tell 2^53 from its neighbour. The client makes the entry's text; scripts store it untouched.
 *
 * `ARGV[1]` and `ARGV[2]` are the channel and the head of the message (format, source, epoch, sequence); without a channel nothing is published. Every script
 * that was given a sequence number uses it up: where there is nothing to tell, the message is `void`, so that a missing number means a lost message.
 */
const TELL = `
local key = KEYS[1]
local function tell(action, version)
  if ARGV[1] ~= '' then
    redis.call('PUBLISH', ARGV[1], ARGV[2] .. ' ' .. action .. ' ' .. version .. ' ' .. key)
  end
end
`;

/** Of the header of an entry, in `cur`: its kind, its version or floor, and the token of its lease; `ends` is when the lease over a value ends that stays meanwhile (kind R). */
const HEADER = `
local kind, ver, token, ends = '', '', '', ''
if string.sub(cur, 1, 1) == '1' then
  kind, ver = string.sub(cur, 2, 2), string.sub(cur, 3, 47)
  if kind == 'L' then
    token = string.sub(cur, 61)
  elseif kind == 'R' then
    kind, ends, token = 'V', string.sub(cur, 61, 73), string.match(cur, '^[^\\n]*', 74)
  end
end
`;

/** The version that follows: the clock in microseconds, or what is held and one more. */
const NEXT = `
local function next_version()
  local time = redis.call('TIME')
  local micros = time[1] .. string.format('%06d', time[2])
  local clock = string.rep('0', 35 - #micros) .. micros .. '0000000000'
  if clock > ver then return clock end
  return string.sub(ver, 1, 35) .. string.format('%010d', tonumber(string.sub(ver, 36)) + 1)
end
`;

/** An entry is a string: the header, then a payload. What follows are the functions that the rules below are written in, and that {@link HASH} has, too. */
const VALUE = `${TELL}
local cur = redis.call('GETRANGE', key, 0, 159)
${HEADER}
local function whole() return redis.call('GET', key) end
local function mark(text) redis.call('SET', key, text, 'KEEPTTL') end
local function put(text, ttl) redis.call('SET', key, text, 'PX', ttl) end
local function store(version, ttl, at) put(ARGV[at], ttl) end
local function leave(version, text, ttl) put(text, ttl) end
local function payload(text) return string.sub(text, ends == '' and 61 or string.find(text, '\\n', 74, true) + 1) end
local function settle()
  local text = whole()
  mark('1V' .. string.sub(text, 3, 60) .. payload(text))
end
`;

/** Of a hash, what every script on one begins with. */
export const HASH_HEADER = `${TELL}
local cur = redis.call('HGET', key, '') or ''
${HEADER}
local function mark(text) redis.call('HSET', key, '', text) end
`;

/**
 * An entry is a hash: the field without a name is the header, which ends in the revision; the others are a header and a payload each. `store` and `leave` keep the
 * fields that are stamped above the version.
 */
export const HASH = `${HASH_HEADER}
local function whole() return redis.call('HGETALL', key) end
local function put(text, ttl)
  redis.call('DEL', key)
  redis.call('HSET', key, '', text)
  redis.call('PEXPIRE', key, ttl)
end
local function above(version)
  local newer = {}
  local all = kind == 'H' and redis.call('HGETALL', key) or {}
  for i = 1, #all, 2 do
    if all[i] ~= '' and string.sub(all[i + 1], 3, 47) > version then
      newer[#newer + 1], newer[#newer + 2] = all[i], all[i + 1]
    end
  end
  return newer
end
local function settle() end
local function payload() return '' end
local function add(fields, from)
  for i = from, #fields, 2 do redis.call('HSET', key, fields[i], fields[i + 1]) end
end
local function hashHead(version, expiry)
  local steps = version > ver and 0 or tonumber(string.sub(cur, 61, 70))
  return '1H' .. version .. expiry .. string.format('%010.0f', steps + 1)
end
local function store(version, ttl, at)
  local newer, text = above(version), ARGV[at]
  put(#newer > 0 and hashHead(version, string.sub(text, 48, 60)) or text, ttl)
  add(ARGV, at + 1)
  add(newer, 1)
  return #newer > 0 and whole()
end
local function leave(version, text, ttl)
  local newer = above(version)
  if #newer == 0 then return put(text, ttl) end
  local expiry, left = string.sub(text, 48, 60), redis.call('PTTL', key)
  if string.sub(cur, 48, 60) > expiry then expiry = string.sub(cur, 48, 60) end
  put(hashHead(version, expiry), math.max(left, tonumber(ttl)))
  add(newer, 1)
end
`;

/** A change or invalidation finds a lease: its floor rises, its life stays. */
export const DEFER = `
local function defer(action, version)
  local floor = version > ver and version or ver
  mark('1L' .. floor .. string.sub(cur, 48))
  tell(action, floor)
  return { 'deferred', floor }
end
`;

/** ARGV: channel, head, version or '' for the next one, synced, token or '', ttl, entry. Answers outcome, what stands in the store where the client cannot know it, and a next version. */
const SET = `${NEXT}
local version, synced, given, ttl = ARGV[3], ARGV[4] == '1', ARGV[5], ARGV[6]
local minted = version == ''
if minted then
  version = next_version()
  ARGV[7] = string.sub(ARGV[7], 1, 2) .. version .. string.sub(ARGV[7], 48)
end
local outcome
if given ~= '' then
  if token ~= given then
    outcome = 'leaseLost'
  elseif version < ver then
    if kind == 'L' then mark(string.sub(cur, 1, 60)) else settle() end
    tell('release', '-')
    return { 'stale', whole() }
  end
elseif kind == '' then
  outcome = synced and 'absent' or nil
elseif kind == 'L' then
  if synced then outcome = 'absent' elseif version <= ver then outcome = 'stale' end
elseif version == ver then
  outcome = 'duplicate'
elseif version < ver then
  outcome = 'stale'
end
if outcome then
  tell('void', '-')
  return { outcome, kind ~= '' and whole() or false }
end
local stands = store(version, ttl, 7)
tell('set', version)
return { 'applied', stands or false, minted and version or nil }
`;

/**
 * {@link SET} of several keys, each by itself: its rules are run once for each, with what it would be given alone. ARGV: channel, then for each key: head, version, synced,
 * token, ttl, entry. Answers for each key what the script of one answers, or `error` and what the server said of a key that is no entry. What it says of the server itself
 * (it is full, or reads only) ends the script.
 */
const SET_EACH = `
local function set(KEYS, ARGV)
${VALUE}${SET}
end
local answers = {}
for i, key in ipairs(KEYS) do
  local at = (i - 1) * 6
  local done, reply = pcall(set, { key }, {
    ARGV[1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6], ARGV[at + 7],
  })
  if done then
    answers[i] = { reply[1], reply[2] or false, reply[3] or false }
  else
    local said = type(reply) == 'table' and reply.err or tostring(reply)
    if not string.find(said, 'WRONGTYPE', 1, true) then return redis.error_reply(said) end
    redis.call('PUBLISH', ARGV[1], ARGV[at + 2] .. ' void - ' .. key)
    answers[i] = { 'error', said }
  end
end
return answers
`;

/** ARGV: channel, synced, then for each key: head, version or '' for the next one, ttl, entry. Answers for each key the outcome and what stands in the store. */
const SET_ALL = `
local channel, synced = ARGV[1], ARGV[2] == '1'
local all, steps = true, {}
for i, key in ipairs(KEYS) do
  local at = 2 + (i - 1) * 4
  local head, version, ttl, entry = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local cur = redis.call('GETRANGE', key, 0, 159)
  ${HEADER}
  ${NEXT}
  if version == '' then
    version = next_version()
    entry = string.sub(entry, 1, 2) .. version .. string.sub(entry, 48)
  end
  local outcome = 'applied'
  if kind == '' then
    if synced then outcome = 'absent' end
  elseif kind == 'L' then
    if synced then outcome = 'absent' elseif version <= ver then outcome = 'stale' end
  elseif version == ver then
    outcome = 'duplicate'
  elseif version < ver then
    outcome = 'stale'
  end
  all = all and outcome == 'applied'
  steps[i] = { key = key, head = head, version = version, entry = entry, ttl = ttl, outcome = outcome }
end
local answer = {}
for i, step in ipairs(steps) do
  local action, told = 'void', '-'
  if all then
    redis.call('SET', step.key, step.entry, 'PX', step.ttl)
    action, told = 'set', step.version
  end
  if channel ~= '' then
    redis.call('PUBLISH', channel, step.head .. ' ' .. action .. ' ' .. told .. ' ' .. step.key)
  end
  answer[i * 2 - 1] = step.outcome
  answer[i * 2] = redis.call('GET', step.key)
end
return answer
`;

/** ARGV: channel, head, version, populate, ttl, entry. Answers outcome and the version that was told. */
const REFRESH = `${DEFER}
local version, populate, ttl = ARGV[3], ARGV[4] == '1', ARGV[5]
if kind == 'L' then
  return defer('refresh', version)
elseif kind == '' and not populate then
  tell('refresh', version)
  return { 'absent', version }
elseif kind ~= '' and version <= ver and not (populate and kind == 'T' and version == ver) then
  tell('refresh', ver)
  return { version == ver and 'duplicate' or 'stale', ver }
elseif kind == 'T' and not populate then
  mark('1T' .. version .. string.sub(cur, 48))
  tell('refresh', version)
  return { 'absent', version }
end
store(version, ttl, 6)
tell('refresh', version)
return { 'applied', version }
`;

/** ARGV: channel, head, version or '' for the next one, leaves no tombstone, tombstone, tombstone ttl. Answers outcome and the version that was told. */
const INVALIDATE = `${DEFER}${NEXT}
local version, none, tombstone, ttl = ARGV[3], ARGV[4] == '1', ARGV[5], ARGV[6]
local own = version == ''
if own then
  version = next_version()
  tombstone = '1T' .. version .. string.sub(tombstone, 48)
elseif kind == 'L' then
  return defer('invalidate', version)
elseif kind ~= '' and version <= ver then
  tell('invalidate', ver)
  return { version == ver and 'duplicate' or 'stale', ver }
elseif ends ~= '' then
  -- What the client takes for the server's time, as in every end of a life.
  local left = tonumber(ends) - (tonumber(string.sub(tombstone, 48, 60)) - tonumber(ttl))
  if left > 0 then
    put('1L' .. version .. ends .. token, left)
    tell('invalidate', version)
    return { 'deferred', version }
  end
end
if not none then
  leave(version, tombstone, ttl)
elseif kind ~= '' then
  redis.call('DEL', key)
end
tell('invalidate', version)
return { kind == '' and 'absent' or 'applied', version }
`;

/** ARGV: channel, head. Of whatever the key holds. */
const EVICT = `${TELL}
redis.call('DEL', key)
tell('evict', '-')
return 1
`;

/**
 * ARGV: '', '', token, lease ms, end of the lease, floor of nothing, and how much of a value's life may be left for it to be loaded anew, or ''. Answers `hit` and the
 * entry, `wait` and what is left, or `leased` and the floor; the latter two with the value that stays.
 */
const GET_OR_LEASE = `
local given, ttl, expiry, zero, within = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
if kind == 'V' and within ~= '' then
  -- What the client takes for the server's time, as in every end of a life.
  local at = tonumber(expiry) - tonumber(ttl)
  local fresh = tonumber(string.sub(cur, 48, 60)) - at
  if fresh <= tonumber(within) then
    local text = whole()
    if ends ~= '' and token ~= given and tonumber(ends) > at then
      if fresh > 0 then return { 'hit', text } end
      return { 'wait', tonumber(ends) - at, text }
    end
    local life = math.max(redis.call('PTTL', key), tonumber(ttl))
    put('1R' .. string.sub(text, 3, 60) .. expiry .. given .. '\\n' .. payload(text), life)
    return { 'leased', ver, text }
  end
end
if kind == 'L' and token ~= '' and token ~= given then
  return { 'wait', redis.call('PTTL', key) }
elseif kind ~= '' and kind ~= 'L' and kind ~= 'T' then
  return { 'hit', whole() }
end
local floor = kind == '' and zero or ver
put('1L' .. floor .. expiry .. given, ttl)
return { 'leased', floor }
`;

/** ARGV: '', '', token, lease ms, end of the lease. */
const RENEW = `
if token ~= ARGV[3] then return 0 end
if kind == 'L' then
  put('1L' .. ver .. ARGV[5] .. token, ARGV[4])
else
  local text, life = whole(), math.max(redis.call('PTTL', key), tonumber(ARGV[4]))
  put(string.sub(text, 1, 60) .. ARGV[5] .. string.sub(text, 74), life)
end
return 1
`;

/** ARGV: channel, head, token. */
const RELEASE = `
if token ~= ARGV[3] then
  tell('void', '-')
  return 0
end
if kind == 'L' then redis.call('DEL', key) else settle() end
tell('release', '-')
return 1
`;

/** ARGV: '', '', end of its life, ttl. Answers the version that stands for the key. */
const STAMP = `${NEXT}
local version = kind == 'T' and ver or next_version()
put('1T' .. version .. ARGV[3], ARGV[4])
return version
`;

/** ARGV: '', '', version, leaves no tombstone, end of a tombstone, tombstone ttl. Answers whether the key was swept. */
const SWEEP = `
local version, none, expiry, ttl = ARGV[3], ARGV[4] == '1', ARGV[5], ARGV[6]
if kind == '' or kind == 'T' then return 0 end
if kind ~= 'L' and ver > version then
  if ends == '' then return 0 end
  settle()
  return 1
end
if none then
  redis.call('DEL', key)
else
  local stamp = ver > version and ver or version
  leave(stamp, '1T' .. stamp .. expiry, ttl)
end
return 1
`;

/** The scripts of values, by the name of their command. */
export const ENTRY_SCRIPTS = Object.freeze({
  smartpulseSet: VALUE + SET,
  smartpulseSetEach: SET_EACH,
  smartpulseSetAll: SET_ALL,
  smartpulseRefresh: VALUE + REFRESH,
  smartpulseInvalidate: VALUE + INVALIDATE,
  smartpulseEvict: EVICT,
  smartpulseGetOrLease: VALUE + GET_OR_LEASE,
  smartpulseRenew: VALUE + RENEW,
  smartpulseRelease: VALUE + RELEASE,
  smartpulseStamp: VALUE + STAMP,
  smartpulseSweep: VALUE + SWEEP,
});

/** The same rules for hashes as wholes. */
export const HASH_SCRIPTS = Object.freeze({
  smartpulseHashSet: HASH + SET,
  smartpulseHashRefresh: HASH + REFRESH,
  smartpulseHashInvalidate: HASH + INVALIDATE,
  smartpulseHashGetOrLease: HASH + GET_OR_LEASE,
  smartpulseHashRenew: HASH + RENEW,
  smartpulseHashRelease: HASH + RELEASE,
  smartpulseHashSweep: HASH + SWEEP,
});
