-- The inbox: every change of a thread's queue is one call of this script, so no crash can come in between.
--
--   mc:queue:<thread>   list    "<id> <time> <body>", the oldest first; the head is the one to relay
--   mc:lease:<thread>   hash    token, until (who works on the thread), not_before (backoff of its head)
--   mc:event:<id>       hash    what is known of a begun event: attempts, history, and the steps that were taken
--   mc:due              zset    thread -> when it has to be looked at, if nobody has let go of it before
--   mc:seen:<key>       string  the event was accepted (dedup)
--   mc:echo:<mark>      string  mid of the part that came back as an echo
--   mc:pause:<side>     hash    why nothing is sent to that side for now; pace (ms) and turn of the threads that wait
--   mc:dead             hash    id -> an event that could not be delivered, with its history
--   mc:stats            hash    counters for /metrics
--
-- The clock is the store's own, in milliseconds. Every function may be repeated with the same arguments
-- without harm, because redis-py repeats a call whose answer it did not get. A worker names its lease by a
-- token that no other claim ever had: a call with a token that is no longer the lease's changes nothing.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function queue_of(thread) return 'mc:queue:' .. thread end
local function lease_of(thread) return 'mc:lease:' .. thread end
local function record_of(event) return 'mc:event:' .. string.match(event, '^%d+') end
local function time_of(event) return tonumber(string.match(event, '^%d+ (%d+)')) or 0 end
local function owns(thread, token) return redis.call('HGET', lease_of(thread), 'token') == token end

-- A store that lost its last writes does not know, or no more, what a worker is at, and gives its id again.
local function is_at(thread, token, id)
  local head = owns(thread, token) and redis.call('LINDEX', queue_of(thread), 0)
  return head and string.match(head, '^%d+') == id
end

-- Put an event in its place by the time it was sent at. Meta's own retries, and a dead letter that is tried
-- again, come late: they go before what was sent after them, but never before an event that was begun.
local function insert(thread, event)
  local queue, time = queue_of(thread), time_of(event)
  local last = redis.call('LINDEX', queue, -1)
  if not last or time_of(last) <= time then
    redis.call('RPUSH', queue, event)
    return
  end
  local place, begun = redis.call('LLEN', queue), redis.call('EXISTS', lease_of(thread))
  while place > begun and time_of(redis.call('LINDEX', queue, place - 1)) > time do place = place - 1 end
  if place == 0 then
    redis.call('LPUSH', queue, event)
  else
    redis.call('LINSERT', queue, 'AFTER', redis.call('LINDEX', queue, place - 1), event)
  end
end

-- What a worker needs to go on: the head, what is known of it, and what stands under other keys that it asks for.
-- An empty queue lets go of the lease.
local function head_or_let_go(thread, ...)
  local head = redis.call('LINDEX', queue_of(thread), 0)
  if head then return {head, redis.call('HGETALL', record_of(head)), ... and redis.call('MGET', ...) or {}} end
  redis.call('DEL', lease_of(thread))
  redis.call('ZREM', 'mc:due', thread)
  return {}
end

local inbox = {}

-- accept(grace, ttl, rows) -> {number of new events, thread that was idle…}
-- Rows are packed (MessagePack): key, thread, time, body, key, thread, … A row without a thread only leaves its body
-- under its key: the mid of an echo.
function inbox.accept(grace, ttl, packed)
  local new, answer, rows = 0, {0}, cmsgpack.unpack(packed)
  for i = 1, #rows, 4 do
    local key, thread, time, body = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
    if thread == '' then
      redis.call('SET', key, body, 'PX', ttl)
    elseif redis.call('SET', key, '', 'NX', 'PX', ttl) then
      new = new + 1
      insert(thread, redis.call('INCR', 'mc:ids') .. ' ' .. time .. ' ' .. body)
      if redis.call('ZADD', 'mc:due', 'NX', now + grace, thread) == 1 then answer[#answer + 1] = thread end
    end
  end
  answer[1] = new
  if new > 0 then redis.call('HINCRBY', 'mc:stats', 'accepted', new) end
  return answer
end

-- claim(thread, token, lease, side, key…) -> {event, its record, values of the keys} | {}
function inbox.claim(thread, token, lease, side, ...)
  local state = redis.call('HMGET', lease_of(thread), 'token', 'until', 'not_before')
  if state[1] ~= token then
    if state[1] and tonumber(state[2]) > now then return {} end
    if state[3] and tonumber(state[3]) > now then return {} end
    local pause = redis.call('PTTL', 'mc:pause:' .. side)
    if pause > 0 then
      local pace = redis.call('HGET', 'mc:pause:' .. side, 'pace')
      local turn = redis.call('HINCRBY', 'mc:pause:' .. side, 'turn', 1)
      redis.call('ZADD', 'mc:due', 'XX', now + pause + turn * pace, thread)
      return {}
    end
  end
  redis.call('HSET', lease_of(thread), 'token', token, 'until', now + lease)
  redis.call('ZADD', 'mc:due', now + lease, thread)
  return head_or_let_go(thread, ...)
end

-- renew(thread, token, lease) -> 1 | 0
function inbox.renew(thread, token, lease)
  if not owns(thread, token) then return 0 end
  redis.call('HSET', lease_of(thread), 'until', now + lease)
  redis.call('ZADD', 'mc:due', 'XX', now + lease, thread)
  return 1
end

-- record(thread, token, id, step, value) -> 1 | 0
function inbox.record(thread, token, id, step, value)
  if not is_at(thread, token, id) then return 0 end
  redis.call('HSET', 'mc:event:' .. id, step, value)
  return 1
end

-- finish(thread, token, id, counter, letter, step, value) -> {next event, its record before this call} | {}
-- The event is done; with a letter it is dead instead, and keeps its record for a retry. A step is recorded for the
-- next event, as if its worker had begun it already.
function inbox.finish(thread, token, id, counter, letter, step, value)
  if not owns(thread, token) then return {} end
  if is_at(thread, token, id) then
    local head = redis.call('LPOP', queue_of(thread))
    redis.call('HDEL', lease_of(thread), 'not_before')
    redis.call('HINCRBY', 'mc:stats', counter, 1)
    if letter == '' then
      redis.call('DEL', record_of(head))
    else
      redis.call('HDEL', record_of(head), 'attempts', 'history', 'step:failed')
      redis.call('HSET', 'mc:dead', id, letter)
    end
  end
  local answer = head_or_let_go(thread)
  if answer[1] and step ~= '' then redis.call('HSETNX', record_of(answer[1]), step, value) end
  return answer
end

-- later(thread, token, id, delay, attempts, history) -> 1 | 0
function inbox.later(thread, token, id, delay, attempts, history)
  if not is_at(thread, token, id) then return 0 end
  redis.call('HSET', 'mc:event:' .. id, 'attempts', attempts, 'history', history)
  redis.call('HDEL', lease_of(thread), 'token', 'until')
  redis.call('HSET', lease_of(thread), 'not_before', now + delay)
  redis.call('ZADD', 'mc:due', now + delay, thread)
  redis.call('HINCRBY', 'mc:stats', 'postponed', 1)
  return 1
end

-- release(thread, token, grace) -> 1 | 0: let go of a thread that has more work, which a wake-up will take on
function inbox.release(thread, token, grace)
  if not owns(thread, token) then return 0 end
  redis.call('DEL', lease_of(thread))
  redis.call('ZADD', 'mc:due', now + grace, thread)
  return 1
end

-- sweep(limit, grace) -> {thread…} that are due; each is due again if nobody takes it within the grace
function inbox.sweep(limit, grace)
  local due = redis.call('ZRANGE', 'mc:due', '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
  for _, thread in ipairs(due) do redis.call('ZADD', 'mc:due', 'XX', now + grace, thread) end
  return due
end

-- revive(id, thread, event) -> 1 | 0: take a letter back into its thread's queue
function inbox.revive(id, thread, event)
  if redis.call('HDEL', 'mc:dead', id) == 0 then return 0 end
  insert(thread, event)
  redis.call('ZADD', 'mc:due', 'NX', now, thread)
  return 1
end

-- drop(id) -> 1 | 0: throw a letter away
function inbox.drop(id)
  if redis.call('HDEL', 'mc:dead', id) == 0 then return 0 end
  redis.call('DEL', 'mc:event:' .. id)
  return 1
end

-- overdue() -> ms since the longest waiting thread was due, 0 if none is
function inbox.overdue()
  local first = redis.call('ZRANGE', 'mc:due', 0, 0, 'WITHSCORES')
  return first[2] and math.max(0, now - first[2]) or 0
end

return inbox[ARGV[1]](unpack(ARGV, 2, math.min(#ARGV, 8)))
