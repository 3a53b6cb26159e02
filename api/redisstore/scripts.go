package redisstore

import "github.com/redis/go-redis/v9"

// Each change is one script, so that comparing the lease key and writing are one
// step. A script that renews uses PEXPIRE and nothing that needs memory: a Redis
// that is full ("noeviction") refuses SET and SADD, in scripts too, but goes on
// renewing leases.
//
// The keys of a script share a hash tag, and so a slot of a cluster. The one
// that is made inside putScript does as well.

// KEYS: record, index of its namespace.
// ARGV: digest of the lease key, URL, TTL in ms, node as in the index, most nodes.
var putScript = redis.NewScript(`
local held = redis.call('GET', KEYS[1])
if held and string.sub(held, 1, #ARGV[1]) ~= ARGV[1] then
	return 'conflict'
end
if held == ARGV[1] .. ARGV[2] then
	redis.call('PEXPIRE', KEYS[1], ARGV[3])
else
	if not held and redis.call('SCARD', KEYS[2]) >= tonumber(ARGV[5]) then
		for _, node in ipairs(redis.call('SMEMBERS', KEYS[2])) do
			if redis.call('EXISTS', KEYS[2] .. ':' .. node) == 0 then
				redis.call('SREM', KEYS[2], node)
			end
		end
		if redis.call('SCARD', KEYS[2]) >= tonumber(ARGV[5]) then
			return 'full'
		end
	end
	redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2], 'PX', ARGV[3])
end
` + keepIndex)

// keepIndex has the index name the node, and live as long as its records.
const keepIndex = `
if redis.call('SISMEMBER', KEYS[2], ARGV[4]) == 0 then
	redis.call('SADD', KEYS[2], ARGV[4])
end
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[3]) then
	redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
return 'ok'
`

// KEYS and ARGV as of putScript, without the last; the URL is not looked at.
var refreshScript = redis.NewScript(`
local held = redis.call('GET', KEYS[1])
if not held then
	return 'none'
end
if string.sub(held, 1, #ARGV[1]) ~= ARGV[1] then
	return 'forbidden'
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
` + keepIndex)

// KEYS: record, index. ARGV: digest of the lease key, node as in the index.
var deleteScript = redis.NewScript(`
local held = redis.call('GET', KEYS[1])
if not held then
	return 'none'
end
if string.sub(held, 1, #ARGV[1]) ~= ARGV[1] then
	return 'forbidden'
end
redis.call('DEL', KEYS[1])
redis.call('SREM', KEYS[2], ARGV[2])
return 'ok'
`)

// seenScript notes a namespace in the list of all, and forgets some of those
// that were not seen for long.
//
// KEYS: names in order, names by time. ARGV: name, now, the time before which
// names are forgotten; in ms.
var seenScript = redis.NewScript(`
local old = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[3], 'LIMIT', 0, 100)
if #old > 0 then
	redis.call('ZREM', KEYS[1], unpack(old))
	redis.call('ZREM', KEYS[2], unpack(old))
end
redis.call('ZADD', KEYS[1], 0, ARGV[1])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
return 'ok'
`)
