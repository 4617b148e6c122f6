/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nonce.h - many requests over loops and threads, some of them cancelled at a random instant; every
 * answer must carry the nonce of its own request. Knows no protocol: that is what the callbacks are for.
 */
#ifndef KOLK_KIT_NONCE_H
#define KOLK_KIT_NONCE_H

#include <kolk/kolk.h>

struct kit_nonce_slot;

struct kit_nonce_options {
	struct kolk_engine *engine;  /* it runs its own loops */
	uint64_t requests;
	uint64_t seed;
	uint64_t deadline_ns;        /* of those that are not cancelled, for call; 0 = 30 s */
	uint32_t cancel_percent;     /* at a moment of kit/moment.h; 0 = 30, KOLK_NONE = none */
	uint32_t in_flight;          /* per loop; 0 = 32, KOLK_NONE = loops are not used */
	uint32_t threads;            /* that call; 0 = none */
	bool quiet;                  /* no notes, unless something hangs */
	size_t slot_bytes;           /* memory of the protocol per request in flight, zeroed once */
	void *user;
	/* On a loop, from its thread: send a request with slot->nonce in it. KOLK_PENDING =
	 * kit_nonce_done will be called once, from the loop's thread, also after cancel; anything
	 * else = it has ended with this (KOLK_OK: slot->reply is set). */
	enum kolk_err (*start)(struct kit_nonce_slot *slot);
	/* End it early, if it has not ended. From the loop's thread. NULL = none is cancelled. */
	void (*cancel)(struct kit_nonce_slot *slot);
	/* On a thread of the kit: the whole request. A cancel is a deadline that comes too soon. */
	enum kolk_err (*call)(void *user, uint64_t nonce, uint64_t deadline_ns, uint64_t *reply);
};

/* One request in flight on a loop. */
struct kit_nonce_slot {
	const struct kit_nonce_options *options;
	struct kolk_loop *loop;
	void *memory; /* slot_bytes */
	uint64_t nonce, reply;
	struct kit_nonce_private *private;
};

/* It has ended; KOLK_OK: reply is the nonce that came. */
void kit_nonce_done(struct kit_nonce_slot *slot, enum kolk_err err, uint64_t reply);

enum { KIT_NONCE_CODES = 256 };

struct kit_nonce_counts {
	uint64_t ok;        /* answered, with their own nonce */
	uint64_t foreign;   /* answered, with another's: must be 0 */
	uint64_t cancelled; /* asked to end early, and did */
	uint64_t failed;    /* ended with an error, and were not asked to */
	uint64_t by_code[KIT_NONCE_CODES]; /* of failed: by minus the error's value */
	uint64_t longest_ns;               /* from start to the end, of all */
};

/* Returns when all have ended: ok + foreign + cancelled + failed is the number requested. False and
 * a failed check when nothing ended for a minute; then hanging requests are left. Foreign answers
 * are a failed check, too. Its counts are in a TAP note, and its progress every 30 s. */
bool kit_nonce_run(const char *name, const struct kit_nonce_options *options,
		   struct kit_nonce_counts *counts);

#endif
