/**
 * The steps of `EntryProtocol` as scripts of the server: one key each, so that they run on every slot of a cluster. Versions are compared as text of one width:
 * a number of Lua is a double and cannot tell 2^53 from its neighbour. The client makes the entry's text; scripts store it untouched.
 *
 * `ARGV[1]` and `ARGV[2]` are the channel and the head of the message (format, source, epoch, sequence); without a channel nothing is published. Every script
 * that was given a sequence number uses it up: where there is nothing to tell, the message is `void`, so that a missing number means a lost message.
 */
const PRELUDE = `
local key = KEYS[1]
local cur = redis.call('GETRANGE', key, 0, 159)
local kind, ver, token = '', '', ''
if string.sub(cur, 1, 1) == '1' then
  kind, ver = string.sub(cur, 2, 2), string.sub(cur, 3, 47)
  if kind == 'L' then token = string.sub(cur, 61) end
end
local function tell(action, version)
  if ARGV[1] ~= '' then
    redis.call('PUBLISH', ARGV[1], ARGV[2] .. ' ' .. action .. ' ' .. version .. ' ' .. key)
  end
end
`;

/** A change or invalidation finds a lease: its floor rises, its life stays. */
const DEFER = `
local function defer(action, version)
  local floor = version > ver and version or ver
  redis.call('SET', key, '1L' .. floor .. string.sub(cur, 48), 'KEEPTTL')
  tell(action, floor)
  return { 'deferred', floor }
end
`;

/** ARGV: channel, head, version, synced, token or '', entry, ttl. Answers outcome and, when refused, what stands in the store. */
const SET = `${PRELUDE}
local version, synced, given, entry, ttl = ARGV[3], ARGV[4] == '1', ARGV[5], ARGV[6], ARGV[7]
local outcome
if given ~= '' then
  if kind ~= 'L' or token ~= given then
    outcome = 'leaseLost'
  elseif version < ver then
    redis.call('SET', key, string.sub(cur, 1, 60), 'KEEPTTL')
    tell('release', '-')
    return { 'stale', redis.call('GET', key) }
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
  return { outcome, kind ~= '' and redis.call('GET', key) or false }
end
redis.call('SET', key, entry, 'PX', ttl)
tell('set', version)
return { 'applied' }
`;

/** ARGV: channel, head, version, entry, ttl. Answers outcome and the version that was told. */
const REFRESH = `${PRELUDE}${DEFER}
local version, entry, ttl = ARGV[3], ARGV[4], ARGV[5]
if kind == '' then
  tell('refresh', version)
  return { 'absent', version }
elseif kind == 'L' then
  return defer('refresh', version)
elseif version <= ver then
  tell('refresh', ver)
  return { version == ver and 'duplicate' or 'stale', ver }
elseif kind == 'T' then
  redis.call('SET', key, '1T' .. version .. string.sub(cur, 48), 'KEEPTTL')
  tell('refresh', version)
  return { 'absent', version }
end
redis.call('SET', key, entry, 'PX', ttl)
tell('refresh', version)
return { 'applied', version }
`;

/** ARGV: channel, head, version, synced, tombstone, tombstone ttl. Answers outcome and the version that was told. */
const INVALIDATE = `${PRELUDE}${DEFER}
local version, synced, tombstone, ttl = ARGV[3], ARGV[4] == '1', ARGV[5], ARGV[6]
if kind == 'L' then
  return defer('invalidate', version)
elseif kind ~= '' and version <= ver then
  tell('invalidate', ver)
  return { version == ver and 'duplicate' or 'stale', ver }
end
if not synced then
  redis.call('SET', key, tombstone, 'PX', ttl)
elseif kind ~= '' then
  redis.call('DEL', key)
end
tell('invalidate', version)
return { kind == '' and 'absent' or 'applied', version }
`;

/** ARGV: channel, head. */
const EVICT = `${PRELUDE}
redis.call('DEL', key)
tell('evict', '-')
return 1
`;

/** ARGV: '', '', token, lease ms, end of the lease, floor of nothing. Answers `hit` and the entry, `wait` and what is left, or `leased` and the floor. */
const GET_OR_LEASE = `${PRELUDE}
local given, ttl, expiry, zero = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
if kind == 'V' or kind == 'N' then
  return { 'hit', redis.call('GET', key) }
elseif kind == 'L' and token ~= '' and token ~= given then
  return { 'wait', redis.call('PTTL', key) }
end
local floor = kind == '' and zero or ver
redis.call('SET', key, '1L' .. floor .. expiry .. given, 'PX', ttl)
return { 'leased', floor }
`;

/** ARGV: '', '', token, lease ms, end of the lease. */
const RENEW = `${PRELUDE}
if kind ~= 'L' or token ~= ARGV[3] then return 0 end
redis.call('SET', key, '1L' .. ver .. ARGV[5] .. token, 'PX', ARGV[4])
return 1
`;

/** ARGV: channel, head, token. */
const RELEASE = `${PRELUDE}
if kind ~= 'L' or token ~= ARGV[3] then
  tell('void', '-')
  return 0
end
redis.call('DEL', key)
tell('release', '-')
return 1
`;

/** ARGV: '', '', version, synced, end of a tombstone, tombstone ttl. Answers whether the key was swept. */
const SWEEP = `${PRELUDE}
local version, synced, expiry, ttl = ARGV[3], ARGV[4] == '1', ARGV[5], ARGV[6]
if kind == '' or kind == 'T' or (kind ~= 'L' and ver > version) then return 0 end
if synced then
  redis.call('DEL', key)
else
  redis.call('SET', key, '1T' .. (ver > version and ver or version) .. expiry, 'PX', ttl)
end
return 1
`;

/** The scripts by the name of their command. */
export const SCRIPTS = Object.freeze({
  smartpulseSet: SET,
  smartpulseRefresh: REFRESH,
  smartpulseInvalidate: INVALIDATE,
  smartpulseEvict: EVICT,
  smartpulseGetOrLease: GET_OR_LEASE,
  smartpulseRenew: RENEW,
  smartpulseRelease: RELEASE,
  smartpulseSweep: SWEEP,
});

/** A command that is a script. */
export type ScriptName = keyof typeof SCRIPTS;
