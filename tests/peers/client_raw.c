/* SPDX-License-Identifier: Apache-2.0 */
/* client_raw.c - lines echoed by the kit's origin over the driver that knows nothing: what is known
 * to be right already tests the harness. The caller decides: without its answer it discards. */
#include "tests/peers/clients.h"

#include <stdio.h>
#include <string.h>

#include "tests/kit/origin.h"

struct raw_slot {
	struct kolk_acquire acquire;
	struct kolk_lease lease;
	struct kolk_io io;
	bool acquiring, busy;
	char line[CLIENT_NONCE + 1], in[64];
	size_t had;
};

static bool serve(struct client_fixture *fixture)
{
	fixture->server = kit_origin_open(&(struct kit_origin_options){ .behaviour = KIT_ECHO });
	return CHECK(fixture->server != NULL);
}

static void raw_close(struct client_fixture *fixture)
{
	kit_origin_close(fixture->server);
}

static const char *address(const struct client_fixture *fixture)
{
	static char text[32];

	snprintf(text, sizeof text, "127.0.0.1:%u", (unsigned)kit_origin_port(fixture->server));
	return text;
}

static size_t line_print(uint64_t nonce, char line[CLIENT_NONCE + 1])
{
	nonce_print(nonce, line);
	strcat(line, "\n");
	return strlen(line);
}

static void done(struct kit_nonce_slot *slot, enum kolk_err err)
{
	struct raw_slot *raw = slot->memory;
	uint64_t reply = err == KOLK_OK ? nonce_parse(raw->in, raw->had - 1) : 0;

	raw->busy = false;
	if (err == KOLK_OK)
		(void)kolk_release(&raw->lease);
	else
		(void)kolk_discard(&raw->lease);
	kit_nonce_done(slot, err, reply);
}

static void received(void *user, enum kolk_err err, size_t size)
{
	struct kit_nonce_slot *slot = user;
	struct raw_slot *raw = slot->memory;

	raw->had += size;
	if (err == KOLK_OK && raw->in[raw->had - 1] != '\n' && raw->had < sizeof raw->in) {
		err = kolk_recv_async(slot->loop, &raw->lease, &raw->io, raw->in + raw->had,
				      sizeof raw->in - raw->had, client_deadline(slot),
				      received, slot);
		if (err == KOLK_PENDING)
			return;
	}
	done(slot, err);
}

static void sent(void *user, enum kolk_err err, size_t size)
{
	struct kit_nonce_slot *slot = user;
	struct raw_slot *raw = slot->memory;

	(void)size;
	if (err == KOLK_OK)
		err = kolk_recv_async(slot->loop, &raw->lease, &raw->io, raw->in,
				      sizeof raw->in, client_deadline(slot), received, slot);
	if (err != KOLK_PENDING)
		done(slot, err);
}

static enum kolk_err leased(struct kit_nonce_slot *slot)
{
	struct raw_slot *raw = slot->memory;
	enum kolk_err err;

	raw->lease = raw->acquire.lease;
	raw->busy = true;
	raw->had = 0;
	err = kolk_send_async(slot->loop, &raw->lease, &raw->io, raw->line,
			      line_print(slot->nonce, raw->line), client_deadline(slot), sent,
			      slot);
	if (err != KOLK_PENDING) {
		raw->busy = false;
		(void)kolk_discard(&raw->lease);
	}
	return err;
}

static void acquired(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct kit_nonce_slot *slot = user;
	struct raw_slot *raw = slot->memory;

	(void)lease;
	raw->acquiring = false;
	if (err == KOLK_OK)
		err = leased(slot);
	if (err != KOLK_PENDING)
		kit_nonce_done(slot, err, 0);
}

static enum kolk_err start(struct kit_nonce_slot *slot)
{
	const struct client_fixture *fixture = slot->options->user;
	struct raw_slot *raw = slot->memory;
	enum kolk_err err = kolk_acquire_async(slot->loop, fixture->key, client_deadline(slot),
					       &raw->acquire, acquired, slot);

	raw->acquiring = err == KOLK_PENDING;
	return err == KOLK_OK ? leased(slot) : err;
}

static void cancel(struct kit_nonce_slot *slot)
{
	struct raw_slot *raw = slot->memory;

	if (raw->acquiring && kolk_acquire_cancel(&raw->acquire) == KOLK_OK) {
		raw->acquiring = false;
		kit_nonce_done(slot, KOLK_E_CANCELLED, 0);
	} else if (raw->busy) {
		(void)kolk_io_cancel(&raw->io);
	}
}

static enum kolk_err call(void *user, uint64_t nonce, uint64_t deadline_ns, uint64_t *reply)
{
	const struct client_fixture *fixture = user;
	char line[CLIENT_NONCE + 1], in[64];
	size_t had = 0, size = line_print(nonce, line);
	struct kolk_lease lease;
	enum kolk_err err = kolk_acquire(fixture->key, deadline_ns, &lease);

	if (err != KOLK_OK)
		return err;
	err = kolk_send_all(&lease, line, size, deadline_ns);
	while (err == KOLK_OK && (had == 0 || in[had - 1] != '\n') && had < sizeof in) {
		size_t some = 0;

		err = kolk_recv(&lease, in + had, sizeof in - had, deadline_ns, &some);
		had += some;
	}
	if (err == KOLK_OK) {
		*reply = nonce_parse(in, had - 1);
		(void)kolk_release(&lease);
	} else {
		(void)kolk_discard(&lease);
	}
	return err;
}

/* Nonce 1, as the server answers. */
static const char junk[] = "n1\n";

static const struct client client_raw = {
	.name = "raw",
	.serve = serve,
	.address = address,
	.close = raw_close,
	.junk = junk,
	.junk_size = sizeof junk - 1,
	.slot_bytes = sizeof(struct raw_slot),
	.start = start,
	.cancel = cancel,
	.call = call,
};

/* Its server lives in the test: it cannot be killed, and does not count. */
static void raw_calm(void)
{
	faults_calm(&client_raw);
}

static void raw_slow(void)
{
	faults_slow(&client_raw);
}

static void raw_breaks(void)
{
	faults_breaks(&client_raw);
}

static void raw_black_holes(void)
{
	faults_black_holes(&client_raw);
}

static void raw_junk(void)
{
	faults_junk(&client_raw);
}

static const struct tap_test raw_faults[] = {
	{ "nonces, 30 % cancelled, on a good network", raw_calm },
	{ "nonces, 30 % cancelled, delays and single bytes", raw_slow },
	{ "nonces, 30 % cancelled, connections cut and reset", raw_breaks },
	{ "black holes: every request ends in time", raw_black_holes },
	{ "an unsolicited answer is given to no request", raw_junk },
};
TAP_TESTS(faults_raw, raw_faults);
