-- The inbox: every change of a queue is one call of this script, so no crash can come in between.
--
-- ARGV: prefix of all keys, name of the function, its arguments. Behind the prefix:
--
--   format           string  the format of all of this; a script of another one touches nothing
--   jobs:<queue>    zset    "<id> <accepted> <time> <body>" by time; what was begun comes before all others
--   lease:<queue>   hash    token, until (who works on the queue), tries (the remote that is tried by it);
--                            not_before (backoff of its head); waits_for (the remote that its work needs next)
--   job:<id>         hash    what is known of a begun job: attempts, history, the steps that were taken, and
--                            when its slots are (slot:<step>)
--   oldest           zset    queue -> when the oldest of its jobs was accepted; every queue that has work is
--                            in here, and in one of the next two:
--   later            zset    queue -> when to look at it again: its lease has run out, or its backoff is over
--   ready:<group>    zset    queue -> since when it waits for a worker; a group is one direction of one account,
--                            <remote>+<group> those of it that wait for another remote than that direction's
--   fresh:<group>    list    the last of them that came, the newest first; a hint
--   ready            zset    group -> how much of it is worked on, then when it last had its turn
--   running          hash    group -> how many of its queues are worked on, whatever they waited for
--   taken:<token>    string  queue that was claimed with a token, for a call whose answer got lost
--   begun:<account>:<name>  list  when an account last began what it may do only so often, the newest first
--   slots:<account>:<name>  hash  when the last slot is of those who wait for that: who had none before (first), and
--                            who came for theirs too late (again); each job knows its own
--   seen:<key>       string  the job was accepted (dedup)
--   <name>:<conversation>  what is kept of a person, all of it by the names in `personal.py`; among them
--     echo           zset    what a part was sent with, its message id, and when it was sent: parts that came
--                            back as an echo
--     wrote_at       string  when they wrote last
--     unanswered     string  when the reply window closes for what the person wrote last and nobody answered,
--                            and the ticket that it stands on
--   reminders        zset    queue of replies -> when agents are to be reminded that nobody answered
--   pauses           zset    remote -> until when nothing is sent to it
--   pause:<remote>     hash    why, since when (began), and how it goes on then: how many queues may go on in a
--                            second (rate), when that second began (since), and how many did (gone); with the rate 0 one queue is
--                            tried first (trial: its token), and all follow when a job of it is done; how long it
--                            is (lasts), and until when (ends), if the next one is to be twice as long
--   slowed:<remote>    string  why a remote is slowed down
--   held:<remote>      set     groups that wait for a remote that is paused; held: the remotes that hold some
--   dead             hash    id -> a job that could not be delivered, with its history
--   dead:<remote>    zset    the ids of those of an account
--   day:<day>:<way>:<channel>:<account>:  hash  hour -> how many events came (in), or replies were sent (sent)
--   unknown          hash    id -> a job of a kind that this version did not know, kept for one that does
--   unknown_since    zset    id -> since when it is kept
--   stats            hash    counters for /metrics
--   last             hash    in:<channel>:<account>:, out:…: -> when a job of it was accepted, sent:…: -> when a
--                            reply was sent
--   given_up         hash    code of a reason -> how many dead letters there ever were for it
--   checks           zset    <channel>:<account>, helpdesk or store -> when it is to be checked next
--   findings         hash    <channel>:<account>, helpdesk -> what its last checks found to be wrong, and since when
--   checked          hash    the same -> when they were checked last, since when nothing was wrong, and what lasts until when
--   unchecked:<remote>  string  until when an account, or those of an app, are not checked: it is near its limits
--   report:<account>  string  the ticket that says what stops the messages of an account
--   helpdesk_webhook  string  when a webhook of the helpdesk's came last that brought no comment
--   refused          hash    "<endpoint> <account> <reason>" -> how many webhooks were refused, and when the last one was
--   refusing         zset    <channel>:<account> -> since when webhooks of it were refused; until a check finds nothing wrong
--   connections      hash    <channel>:<account> -> "<version> <record>": what was connected at run time
--   changed          zset    <channel>:<account> -> the version at which its connection changed, or was removed
--   version          string  of the connections: one more with each change
--   connected        hash    <channel>:<account> -> since when it is connected: webhooks of it are taken
--   inactive         zset    <channel>:<account> -> since when none of it are, though it was connected
--   backfill:<remote>  hash    since when messages of an account are fetched that no webhook brought, since when also those
--                            from before it was connected (history), how far that got (state), and who does it (token);
--                            when it is done again, and since when then (again, later)
--   backfills        zset    remote -> when its backfill goes on
--   fetching         zset    remote -> until when a worker is at its backfill
--   looked:<remote>  string  until when messages of an account were fetched
--   turn:<remote>    string  when the account may be asked for its past again
--   door             string  when a process that takes webhooks last could store some
--   gaps             zset    "<from> <to>" by its end: a time in which none could
--   room             string  whether there is room for more jobs, looked up now and then
--
-- The clock is the store's own, in milliseconds. Every function may be repeated with the same arguments
-- without harm, because redis-py repeats a call whose answer it did not get. A worker names its lease by a
-- token that no other claim ever had: a call with a token that is no longer the lease's changes nothing.

local P = ARGV[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local FORMAT = '2'      -- one more whenever what other versions wrote can no longer be read

-- 0.1.0 wrote no format; a store that has nothing of ours has none yet.
local found = redis.call('GET', P .. 'format') or (redis.call('EXISTS', P .. 'ids') == 1 and '1')
if found and found ~= FORMAT then return redis.error_reply('FORMAT ' .. found .. ' ' .. FORMAT) end

local BEGUN = -1        -- the score of a head that was begun: no other job goes before it
local TURN = 10 ^ 13    -- more than any time in ms: among groups, fewer running queues weigh more than time
local FRESHEST = 100    -- how many of the last that came are remembered as such
local ROOM_FOR = 500    -- ms that the answer holds whether there is room
local FULL_AT = 0.9     -- of maxmemory: what is left is for finishing what was accepted
local SPEED_UP = 1.25   -- a remote that asked to slow down gets so many times more queues each second
local LONG_AGO = -10 ^ 9  -- ms
local FULL_SPEED = 200  -- queues a second that need no more care
local SETTLED = 10000  -- after how long a connection that is added is checked
local HOUR = 3600 * 1000
local DAY = 24 * HOUR

local function jobs_of(queue) return P .. 'jobs:' .. queue end
local function lease_of(queue) return P .. 'lease:' .. queue end
local function record_of(entry) return P .. 'job:' .. string.format('%d', string.match(entry, '^%d+')) end
local function owns(queue, token) return redis.call('HGET', lease_of(queue), 'token') == token end
local function head_of(queue) return redis.call('ZRANGE', jobs_of(queue), 0, 0)[1] end
local function count(name) redis.call('HINCRBY', P .. 'stats', name, 1) end

-- A queue's name is `in:<conversation>`, `out:<conversation>`, `erase:<conversation>`, `report:<conversation>`,
-- `match:<code>` or `ticket:<id>`; a conversation is `<channel>:<account>:<person>`, of a report without the person. Its group is all but the person: one direction of one account.
local function group_of(queue) return string.match(queue, '^%l+:[^:]*:[^:]*:') or string.match(queue, '^[^:]*:') or queue end
local function conversation_of(queue) return string.match(queue, '^[^:]*:(.*)$') end
local function dead_of(queue) return P .. 'dead:' .. (string.match(queue, '^%l+:([^:]*:[^:]*):') or '') end
local function unanswered_of(queue) return P .. 'unanswered:' .. conversation_of(queue) end
local function closing_of(queue)
  return tonumber(string.match(redis.call('GET', unanswered_of(queue)) or '', '^%d+') or 0)
end

-- The remote that a group waits for (`helpdesk`, or `<channel>:<account>`), and the group whose share of the
-- workers it has.
local function parts_of(group)
  local account = string.match(group, '^out:(.*):$')
  if account then return account, group end
  local remote, own = string.match(group, '^(.-)%+(%l+:.*)$')
  if not remote or string.match(group, '^in:') then return 'helpdesk', group end
  return remote, own
end
local function remote_of(group) return (parts_of(group)) end

-- The group in which a queue waits.
local function place_of(queue)
  local remote = redis.call('HGET', lease_of(queue), 'waits_for')
  return (remote and remote .. '+' or '') .. group_of(queue)
end

local function is_paused(remote) return tonumber(redis.call('ZSCORE', P .. 'pauses', remote) or 0) > now end

-- Whether a remote was away, and nothing has worked since.
local function is_untried(remote) return redis.call('HGET', P .. 'pause:' .. remote, 'rate') == '0' end

-- A store that lost its last writes does not know, or no more, what a worker is at, and gives its id again.
local function is_at(queue, token, id)
  local head = owns(queue, token) and head_of(queue)
  return head and tonumber(string.match(head, '^%d+')) == tonumber(id)
end

-- Put a job in its place by the time it was sent at. A channel's own retries, and a dead letter that is tried
-- again, come late: they go before what was sent after them, but never before a job that was begun.
local function insert(queue, id, accepted, time, body)
  local entry = string.format('%016d %d %d ', id, accepted, time) .. body
  redis.call('ZADD', jobs_of(queue), time, entry)
end

-- Put a group in line for a turn, unless its remote is paused.
local function offer(group)
  local remote, own = parts_of(group)
  if redis.call('SISMEMBER', P .. 'held:' .. remote, group) == 1 then return false end
  local running = redis.call('HGET', P .. 'running', own) or 0
  redis.call('ZADD', P .. 'ready', 'NX', running * TURN + now, group)
  return true
end

-- Make a queue wait for a worker. Return whether one may take it now.
local function enqueue(queue)
  local group = place_of(queue)
  redis.call('ZADD', P .. 'ready:' .. group, 'NX', now, queue)
  return offer(group)
end

local function dequeue(queue)
  local group = place_of(queue)
  redis.call('HDEL', lease_of(queue), 'waits_for')
  redis.call('ZREM', P .. 'ready:' .. group, queue)
  if redis.call('EXISTS', P .. 'ready:' .. group) == 0 then
    redis.call('ZREM', P .. 'ready', group)
    redis.call('SREM', P .. 'held:' .. remote_of(group), group)
    redis.call('DEL', P .. 'fresh:' .. group)
  end
end

-- Note that one queue more, or less, of a group is worked on.
local function run(group, change)
  local running = redis.call('HINCRBY', P .. 'running', group, change)
  if running <= 0 then redis.call('HDEL', P .. 'running', group) end
  for _, name in ipairs({group, 'helpdesk+' .. group}) do
    local rank = redis.call('ZSCORE', P .. 'ready', name)
    if rank then redis.call('ZADD', P .. 'ready', math.max(running, 0) * TURN + rank % TURN, name) end
  end
end

-- Note that a group had its turn just now.
local function had_turn(group)
  local rank = redis.call('ZSCORE', P .. 'ready', group)
  if rank then redis.call('ZADD', P .. 'ready', rank - rank % TURN + now, group) end
end

-- End the work on a queue; what is known of its head's backoff stays.
local function release(queue)
  local token = redis.call('HGET', lease_of(queue), 'token')
  if token then redis.call('DEL', P .. 'taken:' .. token) end
  if redis.call('HDEL', lease_of(queue), 'token', 'until', 'tries') > 0 then run(group_of(queue), -1) end
  redis.call('ZREM', P .. 'later', queue)
end

local function forget(queue)
  release(queue)
  dequeue(queue)
  redis.call('DEL', lease_of(queue))
  redis.call('ZREM', P .. 'oldest', queue)
end

-- What a worker needs to go on: the head, what is known of it, what is cached of the queue's person, whether the
-- helpdesk is paused, and the version of the connections. An empty queue ends the lease.
local function head_or_forget(queue, ...)
  local head = head_of(queue)
  if not head then
    forget(queue)
    return {}
  end
  redis.call('ZADD', jobs_of(queue), BEGUN, head)
  redis.call('ZADD', P .. 'oldest', 'NX', string.match(head, '^%d+ (%d+)'), queue)
  local cached = {}
  for i, name in ipairs({...}) do cached[i] = redis.call('GET', P .. name .. ':' .. conversation_of(queue)) end
  local version = tonumber(redis.call('GET', P .. 'version') or 0)
  return {queue, head, redis.call('HGETALL', record_of(head)), cached, is_paused('helpdesk') and 1 or 0, version}
end

-- Make those queues wait for a worker that were put off until now, or whose worker died, and whose remote is back.
local function promote(limit)
  for _, queue in ipairs(redis.call('ZRANGE', P .. 'later', '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)) do
    release(queue)
    local head = head_of(queue)
    if head then
      redis.call('ZADD', P .. 'oldest', 'NX', string.match(head, '^%d+ (%d+)'), queue)
      enqueue(queue)
    else
      forget(queue)
    end
  end
  for _, remote in ipairs(redis.call('SMEMBERS', P .. 'held')) do
    if not is_paused(remote) then
      local groups = redis.call('SPOP', P .. 'held:' .. remote, is_untried(remote) and 1 or limit)
      for _, group in ipairs(groups) do offer(group) end
      if redis.call('EXISTS', P .. 'held:' .. remote) == 0 then redis.call('SREM', P .. 'held', remote) end
    end
  end
end

-- Hold a group back while its remote is paused. Return whether it is.
local function hold(group)
  local remote = remote_of(group)
  if not is_paused(remote) then return false end
  redis.call('ZREM', P .. 'ready', group)
  redis.call('SADD', P .. 'held:' .. remote, group)
  redis.call('SADD', P .. 'held', remote)
  return true
end

-- A remote that asked to slow down gets a few queues a second at first, then more and more. One that was away gets a
-- single queue: until that one has worked, or its lease runs out, the pause goes on.
local function pace(remote, queue, token, lease)
  local pause = P .. 'pause:' .. remote
  local known = redis.call('HMGET', pause, 'rate', 'since', 'gone')
  local rate, since, gone = tonumber(known[1]), tonumber(known[2] or now), tonumber(known[3] or 0)
  if not rate then return end
  if rate == 0 then
    redis.call('HSET', pause, 'trial', token)
    redis.call('HSET', lease_of(queue), 'tries', remote)
    redis.call('ZADD', P .. 'pauses', now + lease, remote)
    return
  end
  if rate > FULL_SPEED then
    redis.call('DEL', pause)
    return
  end
  if now - since >= 1000 then rate, since, gone = rate * SPEED_UP, now, 0 end
  redis.call('HSET', pause, 'rate', tostring(rate), 'since', since, 'gone', gone + 1)
  if gone + 1 >= rate then redis.call('ZADD', P .. 'pauses', since + 1000, remote) end
end

-- End the trial of a remote, if a queue is one. If it worked all others follow, else the next one is tried.
local function end_trial(queue, token, worked)
  local remote = redis.call('HGET', lease_of(queue), 'tries')
  local pause = remote and P .. 'pause:' .. remote
  if not remote or redis.call('HGET', pause, 'trial') ~= token then return end
  redis.call('HDEL', lease_of(queue), 'tries')
  if worked then redis.call('DEL', pause) else redis.call('HDEL', pause, 'trial') end
  redis.call('ZADD', P .. 'pauses', now, remote)
end

-- Forget why a remote was paused that works again, though not at full speed yet: it is paused in between (since). If a
-- ticket says so, it is checked: the ticket is over, whichever process saw the pause.
local function works(remote)
  local pause = P .. 'pause:' .. remote
  if is_untried(remote) or (is_paused(remote) and redis.call('HEXISTS', pause, 'since') == 0) then return end
  local had_reason = redis.call('HDEL', pause, 'reason', 'began', 'lasts', 'ends') > 0
  if had_reason and redis.call('EXISTS', P .. 'report:' .. remote) == 1 then
    redis.call('ZADD', P .. 'checks', 'XX', 'LT', now, remote)
  end
end

-- Take the lease of a queue; nothing if it is taken, or if its head waits.
local function grant(queue, token, lease, ...)
  local state = redis.call('HMGET', lease_of(queue), 'token', 'until', 'not_before')
  if state[1] ~= token then
    local free = math.max(state[1] and tonumber(state[2]) or 0, tonumber(state[3] or 0))
    if free > now then
      redis.call('ZADD', P .. 'later', free, queue)
      return {}
    end
    if state[1] then redis.call('DEL', P .. 'taken:' .. state[1]) else run(group_of(queue), 1) end
  end
  redis.call('HSET', lease_of(queue), 'token', token, 'until', now + lease)
  redis.call('ZADD', P .. 'later', now + lease, queue)
  redis.call('SET', P .. 'taken:' .. token, queue, 'PX', lease)
  return head_or_forget(queue, ...)
end

-- Take a queue out of the group in which it waits. If its own remote is paused, too, it waits for that one then.
local function take(queue, token, lease, ...)
  dequeue(queue)
  if not hold(group_of(queue)) then return grant(queue, token, lease, ...) end
  enqueue(queue)
  return {}
end

-- Choose a queue of a group: the newest that came, or the one that waits longest.
local function choose(group, newest)
  while newest == '1' do
    local queue = redis.call('LPOP', P .. 'fresh:' .. group)
    if not queue then break end
    if redis.call('ZSCORE', P .. 'ready:' .. group, queue) then return queue end
  end
  return redis.call('ZRANGE', P .. 'ready:' .. group, 0, 0)[1]
end

-- Whether the store can take more jobs and still finish those that it has.
local function has_room()
  local known = redis.call('GET', P .. 'room')
  if known then return known == '1' end
  local memory = redis.pcall('INFO', 'memory')
  if memory.err then return true end  -- many hosted stores let nobody see that
  local used, limit = string.match(memory, 'used_memory:(%d+)'), string.match(memory, 'maxmemory:(%d+)')
  local room = tonumber(limit) == 0 or tonumber(used) < FULL_AT * limit
  redis.call('SET', P .. 'room', room and '1' or '0', 'PX', ROOM_FOR)
  return room
end

local inbox = {}

-- start(): the store is of this format from now on
function inbox.start() redis.call('SET', P .. 'format', FORMAT) end

-- Keep a member of what is kept of a person for so long (ms), among others that are as old as that at most.
local function keep(name, conversation, member, at, ttl)
  local key = P .. name .. ':' .. conversation
  redis.call('ZADD', key, at, member)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', at - ttl)
  redis.call('PEXPIRE', key, ttl)
end

-- Count what came of an account, or left to it, by the hour of a day.
local function count_by_hour(name, count)
  local day = P .. 'day:' .. math.floor(now / DAY) .. ':' .. name
  redis.call('HINCRBY', day, math.floor(now % DAY / HOUR), count)
  redis.call('PEXPIRE', day, 2 * DAY)
end

-- Keep the latest time of what is kept of a person by a name.
local function keep_latest(name, conversation, time, ttl)
  local key = P .. name .. ':' .. conversation
  if tonumber(time) > tonumber(redis.call('GET', key) or 0) then redis.call('SET', key, time, 'PX', ttl) end
end

-- accept(ttl, jobs, echoes, fetched) -> how many queues now want a worker
-- All are packed (MessagePack): key, queue, time, body, how long the key is known, key, … of jobs; conversation, member, …
-- of echoes. If no webhook brought the jobs, `fetched` has the keys under which webhooks may still bring the same.
function inbox.accept(ttl, packed_jobs, packed_echoes, fetched)
  if not has_room() then return redis.error_reply('OOM the store is nearly full') end
  local echoes = cmsgpack.unpack(packed_echoes)
  for i = 1, #echoes, 2 do keep('echo', echoes[i], echoes[i + 1], now, ttl) end
  local jobs, new, ready = cmsgpack.unpack(packed_jobs), 0, 0
  local last_id = redis.call('GET', P .. 'ids') or 0
  local woken = {}  -- group -> how many of its queues had no work before
  local counts = {}  -- group -> how many new jobs it has
  for i = 1, #jobs, 5 do
    local key, queue, time, body = jobs[i], jobs[i + 1], jobs[i + 2], jobs[i + 3]
    if redis.call('SET', P .. 'seen:' .. key, '', 'NX', 'PX', jobs[i + 4]) then
      local group = group_of(queue)
      new, woken[group] = new + 1, woken[group] or 0
      counts[group] = (counts[group] or 0) + 1
      insert(queue, last_id + new, now, time, body)
      if redis.call('ZADD', P .. 'oldest', 'NX', now, queue) == 1 then
        redis.call('ZADD', P .. 'ready:' .. group, now, queue)
        redis.call('LPUSH', P .. 'fresh:' .. group, queue)
        woken[group] = woken[group] + 1
      end
    end
  end
  for _, key in ipairs(fetched and cmsgpack.unpack(fetched) or {}) do
    redis.call('SET', P .. 'seen:' .. key, '', 'NX', 'PX', ttl)
  end
  if new > 0 then
    if not found then redis.call('SET', P .. 'format', FORMAT) end
    redis.call('INCRBY', P .. 'ids', new)
    redis.call('HINCRBY', P .. 'stats', 'accepted', new)
  end
  for group, queues in pairs(woken) do
    if queues > 0 then
      redis.call('LTRIM', P .. 'fresh:' .. group, 0, FRESHEST - 1)
      if offer(group) then ready = ready + queues end
    end
    -- A ticket's account is not known yet; what was fetched is no webhook that came.
    if not fetched and not string.match(group, '^ticket:') then redis.call('HSET', P .. 'last', group, now) end
    if string.match(group, '^in:') then count_by_hour(group, counts[group]) end
  end
  return ready
end

-- claim(token, lease, newest, queue, cache…) ->
--   {queue, job, its record, what is cached, helpdesk paused, version of the connections} | {}
-- Without a queue it is the turn of the group that has the fewest queues worked on, then of the one that had no
-- turn for longest: no account, and no direction, takes more than its share while others wait. In a group the newest
-- and the longest waiting take turns, as the worker says: who writes now does not wait behind yesterday.
function inbox.claim(token, lease, newest, queue, ...)
  if queue ~= '' then
    if hold(place_of(queue)) then return {} end
    return take(queue, token, lease, ...)
  end
  local taken = redis.call('GET', P .. 'taken:' .. token)
  if taken then return grant(taken, token, lease, ...) end
  promote(20)
  for _ = 1, 100 do
    local group = redis.call('ZRANGE', P .. 'ready', 0, 0)[1]
    if not group then return {} end
    if not hold(group) then
      queue = choose(group, newest)
      if queue then
        local answer = take(queue, token, lease, ...)
        if answer[1] then
          had_turn(group)
          pace(remote_of(group), queue, token, lease)
          return answer
        end
      else
        redis.call('ZREM', P .. 'ready', group)
      end
    end
  end
  return {}
end

-- renew(queue, token, lease) -> 1 | 0
function inbox.renew(queue, token, lease)
  if not owns(queue, token) then return 0 end
  redis.call('HSET', lease_of(queue), 'until', now + lease)
  redis.call('ZADD', P .. 'later', now + lease, queue)
  local remote = redis.call('HGET', lease_of(queue), 'tries')
  if remote and redis.call('HGET', P .. 'pause:' .. remote, 'trial') == token then  -- else another would be tried
    redis.call('ZADD', P .. 'pauses', now + lease, remote)
  end
  return 1
end

-- save_step(queue, token, id, step, value) -> the value | false; the value NOW is the store's time
function inbox.save_step(queue, token, id, step, value)
  if not is_at(queue, token, id) then return false end
  if value == 'NOW' then value = string.format('%d', now) end
  redis.call('HSET', P .. 'job:' .. id, step, value)
  return value
end

-- Give a job a slot to begin something in, if it cannot now: behind all that wait for the same. Those who came too late
-- for a slot come again before those who had none.
local function give_slot(slots, record, step, had_slot, free, gap)
  local last = redis.call('HMGET', slots, 'first', 'again')
  local first, again = tonumber(last[1]) or 0, tonumber(last[2]) or 0
  local slot = math.max((had_slot and again or math.max(first, again)) + gap, free)
  if slot <= now then return slot end
  redis.call('HSET', slots, had_slot and 'again' or 'first', slot)
  redis.call('PEXPIRE', slots, math.ceil(math.max(slot, first, again) - now) + 1000)
  redis.call('HSET', record, 'slot:' .. step, slot)
  return slot
end

-- begin(queue, token, id, step, known, name, most, within, gap) -> {0, when} | {how long to wait (ms), ''} | false
-- Save when a step is taken, if fewer than `most` of that name were begun by the queue's account within so many ms.
-- Else the job gets a slot, and keeps it: it waits no longer than that, and who comes later waits behind it. Slots
-- are `gap` ms apart. `known` is what the caller knows of the step: if something else stands there, the answer of
-- this very call got lost.
function inbox.begin(queue, token, id, step, known, name, most, within, gap)
  if not is_at(queue, token, id) then return false end
  local record, what = P .. 'job:' .. id, remote_of(group_of(queue)) .. ':' .. name
  local kept = redis.call('HMGET', record, step, 'slot:' .. step)
  if (kept[1] or '') ~= known then return {0, kept[1]} end
  local begun, slot = P .. 'begun:' .. what, tonumber(kept[2])
  local free = (tonumber(redis.call('LINDEX', begun, most - 1)) or -within) + within
  if not slot or (slot <= now and free > now) then
    slot = give_slot(P .. 'slots:' .. what, record, step, slot, free, gap)
  end
  if slot > now then return {math.ceil(slot - now) + 1, ''} end
  redis.call('LPUSH', begun, now)
  redis.call('LTRIM', begun, 0, most - 1)
  redis.call('PEXPIRE', begun, within)
  redis.call('HSET', record, step, now, 'slot:' .. step, now)
  return {0, string.format('%d', now)}
end

-- undo_step(queue, token, id, step) -> '' | false: take back a step that did not work for sure
function inbox.undo_step(queue, token, id, step)
  if not is_at(queue, token, id) then return false end
  redis.call('HDEL', P .. 'job:' .. id, step)
  return ''
end

-- finish(queue, token, id, counter, letter, step, value, code[, name, time, ttl]) -> as claim, without what is cached
-- The job is done; with a letter it is dead instead, and keeps its record for a retry. A step is recorded for the
-- next job, as if its worker had begun it already. The counter says what became of it: relayed:, shown: (a receipt,
-- a reminder) or dead:<direction>; a dead letter is counted by the code of its reason, too. With a name a time is
-- kept of the person by it for so long (ms), unless a later one is.
function inbox.finish(queue, token, id, counter, letter, step, value, code, name, time, ttl)
  if not owns(queue, token) then return {} end
  if is_at(queue, token, id) then
    local head = head_of(queue)
    redis.call('ZREM', jobs_of(queue), head)
    -- A job that came late goes before older ones: those are still to be done.
    local accepted, oldest = string.match(head, '^%d+ (%d+)'), redis.call('ZSCORE', P .. 'oldest', queue)
    if tonumber(accepted) <= tonumber(oldest or 0) then redis.call('ZREM', P .. 'oldest', queue) end
    redis.call('HDEL', lease_of(queue), 'not_before')
    -- A receipt asks its account for nothing, so it does not show whether that works.
    end_trial(queue, token, counter ~= 'shown:out' or redis.call('HGET', lease_of(queue), 'tries') == 'helpdesk')
    count(counter)
    if name then keep_latest(name, conversation_of(queue), time, ttl) end
    if letter == '' then
      redis.call('DEL', record_of(head))
      if counter ~= 'shown:out' then works(remote_of(group_of(queue))) end
      if counter == 'relayed:out' then
        local sent = string.gsub(group_of(queue), '^out:', 'sent:')
        redis.call('HSET', P .. 'last', sent, now)
        count_by_hour(sent, 1)
      end
    else
      redis.call('HDEL', record_of(head), 'attempts', 'history', 'step:failed', 'step:late')
      redis.call('HSET', P .. 'dead', id, letter)
      redis.call('ZADD', dead_of(queue), id, id)
      redis.call('HINCRBY', P .. 'given_up', code, 1)
    end
  end
  local answer = head_or_forget(queue)
  if answer[1] and step ~= '' then redis.call('HSETNX', record_of(answer[2]), step, value) end
  return answer
end

-- Release a queue whose head failed or has to wait.
local function put_off(queue, token, id, attempts, history)
  redis.call('HSET', P .. 'job:' .. id, 'attempts', attempts, 'history', history)
  end_trial(queue, token, false)
  release(queue)
  count('postponed')
end

-- retry_later(queue, token, id, delay, attempts, history) -> 1 | 0: try the head again after a while
function inbox.retry_later(queue, token, id, delay, attempts, history)
  if not is_at(queue, token, id) then return 0 end
  put_off(queue, token, id, attempts, history)
  redis.call('HSET', lease_of(queue), 'not_before', now + delay)
  redis.call('ZADD', P .. 'later', now + delay, queue)
  return 1
end

-- wait(queue, token, id, remote, attempts, history) -> 1 | 0: try the head again when a remote is back
function inbox.wait(queue, token, id, remote, attempts, history)
  if not is_at(queue, token, id) then return 0 end
  put_off(queue, token, id, attempts, history)
  if remote ~= remote_of(group_of(queue)) then redis.call('HSET', lease_of(queue), 'waits_for', remote) end
  enqueue(queue)
  return 1
end

-- Put the head of a queue back into its place by time.
local function put_in_place(queue)
  local head = head_of(queue)
  redis.call('ZADD', jobs_of(queue), string.match(head, '^%d+ %d+ (%d+)'), head)
end

-- give_way(queue, token, id) -> as finish: go on with what was sent before the job, and came after it was begun
function inbox.give_way(queue, token, id)
  if not owns(queue, token) then return {} end
  if is_at(queue, token, id) then put_in_place(queue) end
  return head_or_forget(queue)
end

-- release(queue, token) -> 1 | 0: release a queue that has more work; others have their turn first
function inbox.release(queue, token)
  if not owns(queue, token) then return 0 end
  release(queue)
  redis.call('DEL', lease_of(queue))
  put_in_place(queue)
  enqueue(queue)
  return 1
end

-- sweep(limit, enough) -> how many queues want a worker, no more than is enough to know
function inbox.sweep(limit, enough)
  promote(limit)
  local ready = 0
  for _, group in ipairs(redis.call('ZRANGE', P .. 'ready', 0, enough - 1)) do
    if not hold(group) then
      ready = ready + (is_untried(remote_of(group)) and 1 or redis.call('ZCARD', P .. 'ready:' .. group))
    end
    if ready >= tonumber(enough) then break end
  end
  return math.min(ready, enough)
end

-- How long a pause is that is twice as long as the one before it, until something works. Whatever was under way as a
-- pause began fails with it: that makes it no longer.
local function doubled(pause, shortest, longest)
  local known = redis.call('HMGET', pause, 'lasts', 'ends')
  local before, left = tonumber(known[1]), (tonumber(known[2]) or 0) - now
  if not before then return shortest, shortest end
  if left > 0 then return before, left end
  local lasts = math.min(2 * before, longest)
  return lasts, lasts
end

-- pause(remote, duration, rate, reason, longest) -> for how long (ms): send nothing to a remote for a while, and then so
-- many queues a second, or with the rate 0 one, and all when that one has worked. If `longest` is not 0 the pauses of a remote double up to it.
function inbox.pause(remote, duration, rate, reason, longest)
  local pause, lasts, left = P .. 'pause:' .. remote, nil, tonumber(duration)
  if longest ~= '0' then lasts, left = doubled(pause, left, tonumber(longest)) end
  local began = redis.call('HGET', pause, 'began') or string.format('%d', now)
  redis.call('DEL', pause)
  redis.call('HSET', pause, 'reason', reason, 'rate', rate, 'began', began)
  if lasts then redis.call('HSET', pause, 'lasts', lasts, 'ends', string.format('%d', now + left)) end
  redis.call('ZADD', P .. 'pauses', now + left, remote)
  return left
end

-- slow(remote, duration, rate, reason, shown): have no more than so many queues a second go on with a remote, after a
-- pause perhaps. Whatever holds it back more than that stays. The reason is shown for so long (ms).
function inbox.slow(remote, duration, rate, reason, shown)
  redis.call('SET', P .. 'slowed:' .. remote, reason, 'PX', shown)
  if is_untried(remote) then return end
  local pause, ends = P .. 'pause:' .. remote, now + duration
  local before = tonumber(redis.call('HGET', pause, 'rate')) or math.huge
  redis.call('HSET', pause, 'rate', tostring(math.min(before, tonumber(rate))))
  if duration == '0' or tonumber(redis.call('ZSCORE', P .. 'pauses', remote) or 0) >= ends then return end
  redis.call('ZADD', P .. 'pauses', ends, remote)
end

-- refuse(name, count): add to how many webhooks were refused; note since when those of a connected account are that are
-- not signed with its secret
function inbox.refuse(name, count)
  local channel, account = string.match(name, '^(%S+) (%S+) wrong_secret$')
  local remote = channel and channel .. ':' .. account
  if remote and redis.call('HEXISTS', P .. 'connected', remote) == 1 then
    redis.call('ZADD', P .. 'refusing', 'NX', now, remote)
  end
  local before = string.match(redis.call('HGET', P .. 'refused', name) or '0', '^%d+')
  redis.call('HSET', P .. 'refused', name, string.format('%d %d', before + count, now))
end

-- put(name, value, ttl, how) -> 1 | 0: keep a value for so long (ms), or with 0 for ever; NX: unless there is one
function inbox.put(name, value, ttl, how)
  local options = {}
  if ttl ~= '0' then options = {'PX', ttl} end
  if how ~= '' then options[#options + 1] = how end
  return redis.call('SET', P .. name, value, unpack(options)) and 1 or 0
end

-- delete(name): keep a value no longer
function inbox.delete(name) redis.call('DEL', P .. name) end

-- cache(queue, token, name, value, ttl) -> 1 | false: keep a value of the queue's person for so long (ms)
function inbox.cache(queue, token, name, value, ttl)
  if not owns(queue, token) then return false end
  redis.call('SET', P .. name .. ':' .. conversation_of(queue), value, 'PX', ttl)
  return 1
end

-- note(queue, token, name, member, at, ttl) -> 1 | false: keep a member among those of the queue's person
function inbox.note(queue, token, name, member, at, ttl)
  if not owns(queue, token) then return false end
  keep(name, conversation_of(queue), member, at, ttl)
  return 1
end

-- forget_noted(name, member…): keep members no longer
function inbox.forget_noted(name, ...) redis.call('ZREM', P .. name, ...) end

-- note_unanswered(queue, token, id, step, closes, ticket, at, ttl) -> closes | false: nobody answered the job's message,
-- for which the reply window closes then; remind of it at a time. Once for each job: one that is repeated after an
-- answer would undo that. A message that came late moves nothing.
function inbox.note_unanswered(queue, token, id, step, closes, ticket, at, ttl)
  if not is_at(queue, token, id) then return false end
  if redis.call('HSETNX', P .. 'job:' .. id, step, closes) == 1 and tonumber(closes) > closing_of(queue) then
    redis.call('SET', unanswered_of(queue), closes .. ' ' .. ticket, 'PX', ttl)
    redis.call('ZADD', P .. 'reminders', at, 'out:' .. conversation_of(queue))
    redis.call('PEXPIRE', P .. 'reminders', ttl)
  end
  return closes
end

-- note_answer(queue, closes): the person was answered, unless their reply window closes later than that
function inbox.note_answer(queue, closes)
  if closing_of(queue) > tonumber(closes) then return end
  redis.call('DEL', unanswered_of(queue))
  redis.call('ZREM', P .. 'reminders', queue)
end

-- due_reminders(limit) -> {queue, when it was due, "<when the window closes> <ticket>", …}
function inbox.due_reminders(limit)
  local due = {}
  for _, queue in ipairs(redis.call('ZRANGE', P .. 'reminders', '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)) do
    local unanswered = redis.call('GET', unanswered_of(queue))
    if unanswered then
      for _, value in ipairs({queue, redis.call('ZSCORE', P .. 'reminders', queue), unanswered}) do
        due[#due + 1] = value
      end
    else
      redis.call('ZREM', P .. 'reminders', queue)
    end
  end
  return due
end

-- forget_due(queue, when it was due, …): these are queued; one that was moved meanwhile is not
function inbox.forget_due(...)
  local due = {...}
  for i = 1, #due, 2 do
    if redis.call('ZSCORE', P .. 'reminders', due[i]) == due[i + 1] then
      redis.call('ZREM', P .. 'reminders', due[i])
    end
  end
end

-- note_clock(name, measurement)
function inbox.note_clock(name, measurement) redis.call('HSET', P .. 'clocks', name, measurement) end

-- plan_checks(within, name, …): have connections checked that never were, spread over so many ms
function inbox.plan_checks(within, ...)
  local names = {...}
  for i, name in ipairs(names) do
    redis.call('ZADD', P .. 'checks', 'NX', now + math.floor(within * (i - 1) / #names), name)
  end
end

-- due_checks(limit, every) -> names of connections that are to be checked now, and again after so many ms
-- If the answer gets lost, these are checked the next time.
function inbox.due_checks(limit, every)
  local due = redis.call('ZRANGE', P .. 'checks', '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
  for _, name in ipairs(due) do redis.call('ZADD', P .. 'checks', 'XX', now + every, name) end
  return due
end

-- put_off_check(name, wait): check something in so many ms, not before
function inbox.put_off_check(name, wait) redis.call('ZADD', P .. 'checks', 'XX', now + wait, name) end

-- note_findings(name, findings, checked): keep what is wrong with a connection; empty is nothing
function inbox.note_findings(name, findings, checked)
  if checked ~= '' then redis.call('HSET', P .. 'checked', name, checked) end
  if findings == '' then redis.call('HDEL', P .. 'findings', name)
  else redis.call('HSET', P .. 'findings', name, findings) end
end

-- forget_checks(name): of a connection that is not active any more
function inbox.forget_checks(name)
  redis.call('ZREM', P .. 'checks', name)
  redis.call('HDEL', P .. 'findings', name)
  redis.call('HDEL', P .. 'checked', name)
end

-- mark_installation(name, ttl, is_sure) -> the name of the installation whose store it is
function inbox.mark_installation(name, ttl, is_sure)
  local holder = redis.call('GET', P .. 'installation')
  if holder and holder ~= name and is_sure == '' then return holder end
  redis.call('SET', P .. 'installation', name, 'PX', ttl)
  return name
end

-- The version of a connection; nothing if there is none.
local function version_of(name)
  local stored = redis.call('HGET', P .. 'connections', name)
  return stored and string.match(stored, '^%d+')
end

-- Note that a connection changed. Return the version that it has, or had, now.
local function change(name)
  local version = redis.call('INCR', P .. 'version')
  redis.call('ZADD', P .. 'changed', version, name)
  return version
end

-- put_connection(name, record, expected, is_same) -> its version | false, if its version is not the expected one
-- Expected is a version, empty where there must be none yet, or * for any. What waits for its account goes on, and it is
-- checked: a new one once every process knows it, and whoever adds it has subscribed it. Not so what says the same in
-- another way.
function inbox.put_connection(name, record, expected, is_same)
  local stored, version = redis.call('HGET', P .. 'connections', name), version_of(name)
  if stored == (version or '') .. ' ' .. record then return tonumber(version) end  -- the call is repeated
  if expected ~= '*' and (version or '') ~= expected then return false end
  version = change(name)
  redis.call('HSET', P .. 'connections', name, version .. ' ' .. record)
  if is_same == '1' then return version end
  if is_paused(name) then redis.call('ZADD', P .. 'pauses', now, name) end
  if redis.call('HEXISTS', P .. 'backfill:' .. name, 'state') == 1 then  -- it was put off
    redis.call('ZADD', P .. 'backfills', 'XX', 'LT', now, name)
  end
  redis.call('ZADD', P .. 'checks', 'XX', 'LT', now, name)
  redis.call('ZADD', P .. 'checks', 'NX', now + SETTLED, name)
  return version
end

-- remove_connection(name, expected) -> 1 | false, as put_connection; 0 if there is none
function inbox.remove_connection(name, expected)
  local version = version_of(name)
  if not version then return 0 end
  if expected ~= '*' and version ~= expected then return false end
  redis.call('HDEL', P .. 'connections', name)
  redis.call('ZREM', P .. 'refusing', name)
  redis.call('HDEL', P .. 'checked', name)
  if redis.call('HDEL', P .. 'connected', name) == 1 then redis.call('ZADD', P .. 'inactive', 'LT', now, name) end
  change(name)
  return 1
end

-- changed_connections(since, limit) -> {version, name, record | '', …}
-- The next that changed after a version; the record of one that was removed is empty.
function inbox.changed_connections(since, limit)
  local answer = {}
  local found = redis.call('ZRANGE', P .. 'changed', '(' .. since, '+inf', 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
  for i = 1, #found, 2 do
    local stored = redis.call('HGET', P .. 'connections', found[i])
    answer[#answer + 1] = tonumber(found[i + 1])
    answer[#answer + 1] = found[i]
    answer[#answer + 1] = stored and string.match(stored, '^%d+ (.*)$') or ''
  end
  return answer
end

-- note_door(longest): webhooks can be stored now. If the last time is longer ago than that (ms), there was a gap.
function inbox.note_door(longest)
  if not has_room() then return end
  local last = redis.call('GET', P .. 'door')
  if last and now - last > tonumber(longest) then
    redis.call('ZADD', P .. 'gaps', now, string.format('%d %d', last, now))
  end
  redis.call('SET', P .. 'door', string.format('%d', now))
end

-- take_turn(remote, spacing, longest) -> how long to wait for one's turn (ms) | false: longer than that
function inbox.take_turn(remote, spacing, longest)
  local turn = P .. 'turn:' .. remote
  local at = math.max(tonumber(redis.call('GET', turn) or 0), now)
  if at - now > tonumber(longest) then return false end
  redis.call('SET', turn, string.format('%d', at + spacing), 'PXAT', string.format('%d', at + spacing))
  return at - now
end

local EARLIER = 60000  -- how much earlier than a request it is fetched again (ms): clocks differ, times are in seconds

local function backfill_of(remote) return P .. 'backfill:' .. remote end
local function fetches(remote, token) return redis.call('HGET', backfill_of(remote), 'token') == token end

-- Have a worker be at a backfill for a while.
local function hold_backfill(remote, token, lease)
  redis.call('HSET', backfill_of(remote), 'token', token)
  redis.call('ZADD', P .. 'backfills', now + lease, remote)
  redis.call('ZADD', P .. 'fetching', now + lease, remote)
end

-- Fetch what was said since then, or since an earlier time that was asked for and is not done; begin anew. What is said
-- from now on is fetched again at a later time, or at the latest one that was asked for.
local function request(remote, since, history, again)
  local known = redis.call('HMGET', backfill_of(remote), 'since', 'history', 'later', 'again')
  redis.call('DEL', backfill_of(remote))
  since = string.format('%d', math.min(since, known[1] or since))
  redis.call('HSET', backfill_of(remote), 'since', since)
  history = known[2] or history
  if history then redis.call('HSET', backfill_of(remote), 'history', string.format('%d', history)) end
  if again or known[4] then
    local from, at = known[3] or now - EARLIER, math.max(again or 0, known[4] or 0)
    redis.call('HSET', backfill_of(remote), 'later', string.format('%d', from), 'again', string.format('%d', at))
  end
  redis.call('ZADD', P .. 'backfills', now, remote)
  redis.call('ZREM', P .. 'fetching', remote)
  return since
end

-- request_backfill(remote, since, token, lease, again) -> since when it is fetched, which may be earlier: an earlier
-- request that is not done is part of this one. With a token that worker is at it already. So many ms later what is
-- said from now on is fetched again; empty: it is not.
function inbox.request_backfill(remote, since, token, lease, again)
  since = request(remote, since, nil, again ~= '' and now + again or nil)
  if token ~= '' then hold_backfill(remote, token, lease) end
  return since
end

-- note_active(earlier, name, history, …): webhooks of these accounts are taken. Of one that was not connected before, its
-- history is fetched, so many ms of it, but none from before it was removed; of one that was inactive, what was said
-- meanwhile, and so many ms earlier; empty: not that.
function inbox.note_active(earlier, ...)
  local accounts = {...}
  for i = 1, #accounts, 2 do
    local name, history = accounts[i], tonumber(accounts[i + 1])
    local since = tonumber(redis.call('ZSCORE', P .. 'inactive', name) or nil)
    redis.call('ZREM', P .. 'inactive', name)
    if redis.call('HSETNX', P .. 'connected', name, string.format('%d', now)) == 1 then
      local from = math.max(now - history, since or 0)
      if history > 0 then request(name, from, from) end
    elseif since and earlier ~= '' then
      request(name, since - earlier)
    end
  end
end

-- note_inactive(since, name…): none of these are taken since then, or since an earlier time that was noted; empty: now
function inbox.note_inactive(since, ...)
  for _, name in ipairs({...}) do
    if redis.call('HEXISTS', P .. 'connected', name) == 1 then
      redis.call('ZADD', P .. 'inactive', 'LT', since == '' and now or since, name)
    end
  end
end

-- How many more workers may fetch at the same time.
local function free_fetchers(most) return math.max(0, most - redis.call('ZCOUNT', P .. 'fetching', now, '+inf')) end

-- due_backfills(most) -> how many workers should fetch now, with those that do no more than so many
function inbox.due_backfills(most)
  return math.min(redis.call('ZCOUNT', P .. 'backfills', '-inf', now), free_fetchers(most))
end

-- claim_backfill(token, lease, most) -> {remote, since, state, history since | '', connected since | ''} | {}
function inbox.claim_backfill(token, lease, most)
  local remote = redis.call('ZRANGE', P .. 'backfills', '-inf', now, 'BYSCORE', 'LIMIT', 0, 1)[1]
  if not remote or free_fetchers(most) == 0 then return {} end
  hold_backfill(remote, token, lease)
  local known = redis.call('HMGET', backfill_of(remote), 'since', 'state', 'history')
  return {remote, known[1], known[2] or '', known[3] or '', redis.call('HGET', P .. 'connected', remote) or ''}
end

-- save_backfill(remote, token, lease, state, delay) -> 1 | 0: it got so far; with a delay others go on then
function inbox.save_backfill(remote, token, lease, state, delay)
  if not fetches(remote, token) then return 0 end
  redis.call('HSET', backfill_of(remote), 'state', state)
  hold_backfill(remote, token, lease)
  if delay ~= '' then
    redis.call('HDEL', backfill_of(remote), 'token')
    redis.call('ZREM', P .. 'fetching', remote)
    redis.call('ZADD', P .. 'backfills', now + delay, remote)
  end
  return 1
end

-- end_backfill(remote, token) -> 1 | 0: it is done, until it is due again, if that was asked for
function inbox.end_backfill(remote, token)
  if not fetches(remote, token) then return 0 end
  local later, again = unpack(redis.call('HMGET', backfill_of(remote), 'later', 'again'))
  redis.call('DEL', backfill_of(remote))
  redis.call('ZREM', P .. 'backfills', remote)
  redis.call('ZREM', P .. 'fetching', remote)
  if again then
    redis.call('HSET', backfill_of(remote), 'since', later)
    redis.call('ZADD', P .. 'backfills', again, remote)
  end
  return 1
end

-- Put a job that was kept back into its queue.
local function put_back(id, queue, time, body)
  insert(queue, id, now, time, body)
  if redis.call('ZADD', P .. 'oldest', 'NX', now, queue) == 1 then enqueue(queue) end
  return 1
end

-- requeue(id, queue, time, body) -> 1 | 0: put a dead letter back into its queue
function inbox.requeue(id, queue, time, body)
  redis.call('ZREM', dead_of(queue), id)
  if redis.call('HDEL', P .. 'dead', id) == 0 then return 0 end
  return put_back(id, queue, time, body)
end

-- drop(id) -> 1 | 0: delete a dead letter
function inbox.drop(id)
  local letter = redis.call('HGET', P .. 'dead', id)
  if not letter then return 0 end
  local is_read, read = pcall(cjson.decode, letter)
  local queue = is_read and type(read) == 'table' and read.queue
  if type(queue) == 'string' then redis.call('ZREM', dead_of(queue), id) end
  redis.call('HDEL', P .. 'dead', id)
  redis.call('DEL', P .. 'job:' .. id)
  return 1
end

-- drop_unknown(id) -> 1 | 0: keep an event of an unknown kind no longer
function inbox.drop_unknown(id)
  redis.call('ZREM', P .. 'unknown_since', id)
  return redis.call('HDEL', P .. 'unknown', id)
end

-- keep_unknown(queue, token, id, job, most, ttl) -> 1 | false
-- Keep the head for a version that knows its kind: so many of them, the newest, and for so long (ms).
function inbox.keep_unknown(queue, token, id, job, most, ttl)
  if not is_at(queue, token, id) then return false end
  local since = P .. 'unknown_since'
  redis.call('HSET', P .. 'unknown', id, job)
  redis.call('ZADD', since, now, id)
  for _, old in ipairs(redis.call('ZRANGE', since, '-inf', now - ttl, 'BYSCORE')) do inbox.drop_unknown(old) end
  for _, old in ipairs(redis.call('ZRANGE', since, 0, -most - 1)) do inbox.drop_unknown(old) end
  redis.call('PEXPIRE', P .. 'unknown', ttl)
  redis.call('PEXPIRE', since, ttl)
  return 1
end

-- replay(id, queue, time, body) -> 1 | 0: put an event of an unknown kind back into its queue, to be shown anew; not
-- one that a worker who died showed the first time, and that is not off its queue yet
function inbox.replay(id, queue, time, body)
  local head = head_of(queue)
  if head and tonumber(string.match(head, '^%d+')) == tonumber(id) then return 0 end
  if inbox.drop_unknown(id) == 0 then return 0 end
  redis.call('HSET', P .. 'job:' .. id, 'step:replayed', string.format('%d', now))
  return put_back(id, queue, time, body)
end

-- forget(conversation, most, name…) -> {whether a worker had a lease, how many jobs are left}
-- Delete what waits in a person's queues, at most so many jobs of each, and what is kept of them by these names. Whoever
-- works on one loses its lease. No worker takes the jobs that are left: call it again until there are none.
function inbox.forget(conversation, most, ...)
  local at_work, left = 0, 0
  for _, direction in ipairs({'in', 'out'}) do
    local queue = direction .. ':' .. conversation
    local token = redis.call('HGET', lease_of(queue), 'token')
    if token then
      at_work = 1
      end_trial(queue, token, false)
    end
    for _, entry in ipairs(redis.call('ZRANGE', jobs_of(queue), 0, most - 1)) do
      redis.call('DEL', record_of(entry))
    end
    redis.call('ZREMRANGEBYRANK', jobs_of(queue), 0, most - 1)
    left = left + redis.call('ZCARD', jobs_of(queue))
    forget(queue)
  end
  for _, direction in ipairs({'in', 'out', 'erase'}) do
    local queue = direction .. ':' .. conversation
    redis.call('LREM', P .. 'fresh:' .. group_of(queue), 0, queue)
  end
  redis.call('ZREM', P .. 'reminders', 'out:' .. conversation)
  for _, name in ipairs({...}) do redis.call('DEL', P .. name .. ':' .. conversation) end
  return {at_work, left}
end

-- state() -> {queues with work, age of the oldest job (ms), how long one waits for a worker (ms), dead letters,
--             remote, how long its pause still lasts (ms; negative: since it ended), …}
-- One that is only slowed down, a few queues each second, is not paused.
function inbox.state()
  local oldest = redis.call('ZRANGE', P .. 'oldest', 0, 0, 'WITHSCORES')[2] or now
  local due = {redis.call('ZRANGE', P .. 'later', 0, 0, 'WITHSCORES')[2] or now}
  for i, group in ipairs(redis.call('ZRANGE', P .. 'ready', 0, 999)) do
    local since = redis.call('ZRANGE', P .. 'ready:' .. group, 0, 0, 'WITHSCORES')[2] or now
    due[i + 1] = math.max(since, redis.call('ZSCORE', P .. 'pauses', remote_of(group)) or 0)
  end
  local first = now
  for _, at in ipairs(due) do first = math.min(first, at) end
  local answer = {redis.call('ZCARD', P .. 'oldest'), now - oldest, now - first, redis.call('HLEN', P .. 'dead')}
  local pauses = redis.call('ZRANGE', P .. 'pauses', 0, -1, 'WITHSCORES')
  for i = 1, #pauses, 2 do
    local left, rate = pauses[i + 1] - now, tonumber(redis.call('HGET', P .. 'pause:' .. pauses[i], 'rate')) or 0
    answer[#answer + 1] = pauses[i]
    answer[#answer + 1] = (rate > 0 and left <= 1000) and LONG_AGO or left
  end
  return answer
end

-- probe() -> 1 if jobs can be accepted, else 0
function inbox.probe()
  redis.call('SET', P .. 'probe', now, 'PX', 60000)
  return has_room() and 1 or 0
end

return inbox[ARGV[2]](unpack(ARGV, 3))
