/* SPDX-License-Identifier: Apache-2.0 */
/* driver.c - the built-in drivers: raw bytes, Redis' PING, HTTP/1.1. */
#include <kolk/driver.h>

#include <string.h>

const struct kolk_driver *kolk_driver_raw(void)
{
	static const struct kolk_driver driver = { .size = sizeof driver, .name = "raw" };

	return &driver;
}

const struct kolk_driver *kolk_driver_http_get(void)
{
	static const struct kolk_driver driver = { .size = sizeof driver, .name = "http-get" };

	return &driver;
}

/* ---- Redis: the inline command PING is answered by the simple string PONG (RESP). */

struct redis_session {
	uint32_t matched; /* bytes of the answer so far */
};

static const char pong[] = "+PONG\r\n";

static enum kolk_err redis_ping(void *user, void *session, struct kolk_exchange *exchange)
{
	struct redis_session *redis = session;
	enum kolk_err err;

	(void)user;
	redis->matched = 0;
	err = kolk_exchange_send(exchange, "PING\r\n", 6);
	return err == KOLK_OK ? KOLK_PENDING : err;
}

static enum kolk_err redis_feed(void *user, void *session, struct kolk_exchange *exchange,
				const void *data, size_t size)
{
	struct redis_session *redis = session;
	size_t left = sizeof pong - 1 - redis->matched;

	(void)user;
	(void)exchange;
	if (size > left)
		return KOLK_E_PROTOCOL;
	if (memcmp(data, pong + redis->matched, size) != 0)
		return redis->matched == 0 && memcmp(data, "-NOAUTH", size < 7 ? size : 7) == 0 ?
			       KOLK_E_AUTH : KOLK_E_PROTOCOL;
	redis->matched += (uint32_t)size;
	return size == left ? KOLK_OK : KOLK_PENDING;
}

const struct kolk_driver *kolk_driver_redis_ping(void)
{
	static const struct kolk_driver driver = { .size = sizeof driver,
						   .session_bytes = sizeof(struct redis_session),
						   .name = "redis-ping",
						   .open = redis_ping,
						   .ping = redis_ping,
						   .feed = redis_feed };

	return &driver;
}
