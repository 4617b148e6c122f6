/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver.c - a protocol for the simulator: what is sent comes back, byte for byte, and a peer may
 * send the letters of "junk" unsolicited. The session counts the bytes that it expects, so a
 * connection on which a caller gave up can be reset; each reset ends with a mark of its own.
 */
#include "tests/sim/world.h"

#include <string.h>

enum { MARK = '#', THANKS = '!' };

struct session {
	uint32_t owed;  /* bytes that will come back */
	bool marked;    /* the last of them is the mark */
	bool resetting;
};

static bool is_junk(char c)
{
	return c == 'j' || c == 'u' || c == 'n' || c == 'k';
}

bool driver_skips(char c)
{
	return is_junk(c) || c == THANKS;
}

static enum kolk_err say(struct session *session, struct kolk_exchange *exchange, char what)
{
	session->owed++;
	return kolk_exchange_send(exchange, &what, 1);
}

static enum kolk_err greet(struct session *session, struct kolk_exchange *exchange)
{
	enum kolk_err err = say(session, exchange, MARK);

	session->marked = true;
	return err == KOLK_OK ? KOLK_PENDING : err;
}

static enum kolk_err open(void *user, void *session, struct kolk_exchange *exchange)
{
	struct world *world = user;

	world->sessions++;
	if (kolk_exchange_key(exchange) == NULL || kolk_exchange_is_tls(exchange))
		world_break(world, "an exchange does not know whose it is");
	return greet(session, exchange);
}

static enum kolk_err reset_begin(void *user, void *session, struct kolk_exchange *exchange)
{
	struct world *world = user;

	world->resets_begun++;
	((struct session *)session)->resetting = true;
	return greet(session, exchange);
}

static enum kolk_err on_bytes(void *user, void *memory, struct kolk_exchange *exchange,
			      const void *data, size_t size)
{
	struct session *session = memory;
	struct world *world = user;
	const char *bytes = data;

	(void)exchange;
	for (size_t i = 0; i < size; i++) {
		if (is_junk(bytes[i]))
			continue;
		if (session->owed == 0 || (bytes[i] == MARK) != (session->owed == 1))
			return KOLK_E_PROTOCOL;
		session->owed--;
	}
	session->marked = session->owed > 0;
	world->resets_done += session->resetting && session->owed == 0;
	session->resetting = session->resetting && session->owed > 0;
	return session->owed > 0 ? KOLK_PENDING : KOLK_OK;
}

/* A peer that sends something is thanked, now and then: an answer to unsolicited bytes. */
static enum kolk_err on_unsolicited(void *user, void *memory, struct kolk_exchange *exchange,
				    const void *data, size_t size)
{
	struct session *session = memory;
	struct world *world = user;
	const char *bytes = data;

	for (size_t i = 0; i < size; i++) {
		if (bytes[i] == THANKS && session->owed > 0)
			session->owed--;
		else if (!is_junk(bytes[i]))
			return KOLK_E_PROTOCOL;
	}
	world->unsolicited++;
	return below(world, 4) == 0 ? say(session, exchange, THANKS) : KOLK_OK;
}

static enum kolk_err clean(void *user, void *memory)
{
	const struct session *session = memory;

	(void)user;
	return session->owed == 0 ? KOLK_OK : session->marked ? KOLK_E_PROTOCOL : KOLK_PENDING;
}

static void close(void *user, void *memory, struct kolk_exchange *exchange)
{
	struct world *world = user;

	(void)memory;
	world->sessions--;
	if (exchange != NULL)
		(void)kolk_exchange_send(exchange, "bye", 3);
}

const struct kolk_driver driver_counting = {
	.size = sizeof driver_counting, .session_bytes = sizeof(struct session), .name = "counting",
	.open = open, .mend = reset_begin, .feed = on_bytes, .heard = on_unsolicited,
	.clean = clean, .close = close,
};

/* ---- what a lease does to the account */

static enum kolk_err expect_bytes(void *user, void *session)
{
	((struct session *)session)->owed += *(uint32_t *)user;
	return KOLK_OK;
}

enum kolk_err driver_expect(const struct kolk_lease *lease, uint32_t bytes)
{
	return kolk_lease_session(lease, &driver_counting, expect_bytes, &bytes);
}

struct received {
	const char *bytes;
	size_t size;
};

static enum kolk_err got(void *user, void *memory)
{
	const struct received *received = user;
	struct session *session = memory;

	for (size_t i = 0; i < received->size; i++)
		if (!is_junk(received->bytes[i]) && session->owed > 0)
			session->owed--;
	return KOLK_OK;
}

enum kolk_err driver_got(const struct kolk_lease *lease, const char *bytes, size_t size)
{
	struct received received = { bytes, size };

	return kolk_lease_session(lease, &driver_counting, got, &received);
}
