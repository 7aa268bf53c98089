/**
 * The steps of `EntryProtocol` as scripts of the server: one key each, so that they run on every slot of a cluster. Versions are compared as text of one width:
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

/** Of the header of an entry, in `cur`: its kind, its version or floor, and what follows. */
const HEADER = `
local kind, ver, rest = '', '', ''
if string.sub(cur, 1, 1) == '1' then
  kind, ver, rest = string.sub(cur, 2, 2), string.sub(cur, 3, 47), string.sub(cur, 61)
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
`;

/**
 * An entry is a hash: the field without a name is the header, which ends in the revision; the others are a header and a payload each. `store` and `leave` keep the
 * fields that are stamped above the version.
 */
export const HASH = `${TELL}
local cur = redis.call('HGET', key, '') or ''
${HEADER}
local function whole() return redis.call('HGETALL', key) end
local function mark(text) redis.call('HSET', key, '', text) end
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
local function add(fields, from)
  for i = from, #fields, 2 do redis.call('HSET', key, fields[i], fields[i + 1]) end
end
local function hashHead(version, expiry) return '1H' .. version .. expiry .. '0000000000' end
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

/** ARGV: channel, head, version, synced, token or '', ttl, entry. Answers outcome and, when refused, what stands in the store. */
const SET = `
local version, synced, given, ttl = ARGV[3], ARGV[4] == '1', ARGV[5], ARGV[6]
local outcome
if given ~= '' then
  if kind ~= 'L' or rest ~= given then
    outcome = 'leaseLost'
  elseif version < ver then
    mark(string.sub(cur, 1, 60))
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
return { 'applied', stands or false }
`;

/** ARGV: channel, head, version, ttl, entry. Answers outcome and the version that was told. */
const REFRESH = `${DEFER}
local version, ttl = ARGV[3], ARGV[4]
if kind == '' then
  tell('refresh', version)
  return { 'absent', version }
elseif kind == 'L' then
  return defer('refresh', version)
elseif version <= ver then
  tell('refresh', ver)
  return { version == ver and 'duplicate' or 'stale', ver }
elseif kind == 'T' then
  mark('1T' .. version .. string.sub(cur, 48))
  tell('refresh', version)
  return { 'absent', version }
end
store(version, ttl, 5)
tell('refresh', version)
return { 'applied', version }
`;

/** ARGV: channel, head, version, synced, tombstone, tombstone ttl. Answers outcome and the version that was told. */
const INVALIDATE = `${DEFER}
local version, synced, tombstone, ttl = ARGV[3], ARGV[4] == '1', ARGV[5], ARGV[6]
if kind == 'L' then
  return defer('invalidate', version)
elseif kind ~= '' and version <= ver then
  tell('invalidate', ver)
  return { version == ver and 'duplicate' or 'stale', ver }
end
if not synced then
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

/** ARGV: '', '', token, lease ms, end of the lease, floor of nothing. Answers `hit` and the entry, `wait` and what is left, or `leased` and the floor. */
const GET_OR_LEASE = `
local given, ttl, expiry, zero = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
if kind == 'L' and rest ~= '' and rest ~= given then
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
if kind ~= 'L' or rest ~= ARGV[3] then return 0 end
put('1L' .. ver .. ARGV[5] .. rest, ARGV[4])
return 1
`;

/** ARGV: channel, head, token. */
const RELEASE = `
if kind ~= 'L' or rest ~= ARGV[3] then
  tell('void', '-')
  return 0
end
redis.call('DEL', key)
tell('release', '-')
return 1
`;

/** ARGV: '', '', version, synced, end of a tombstone, tombstone ttl. Answers whether the key was swept. */
const SWEEP = `
local version, synced, expiry, ttl = ARGV[3], ARGV[4] == '1', ARGV[5], ARGV[6]
if kind == '' or kind == 'T' or (kind ~= 'L' and ver > version) then return 0 end
if synced then
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
  smartpulseRefresh: VALUE + REFRESH,
  smartpulseInvalidate: VALUE + INVALIDATE,
  smartpulseEvict: EVICT,
  smartpulseGetOrLease: VALUE + GET_OR_LEASE,
  smartpulseRenew: VALUE + RENEW,
  smartpulseRelease: VALUE + RELEASE,
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
