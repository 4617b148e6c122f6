/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream.c - the server that a request goes to, where its route has a balancer, and the next one where
 * that fails.
 *
 * A request that may be done twice is sent twice at most: to another member rather than to the same one
 * on another connection, as the library would. That member may be going: then its next connection fails,
 * too.
 */
#include <string.h>

#include "tools/gateway/proxy.h"

/* What the hash is of: NULL = the request has none. */
static const char *key_of(const struct gw_exchange *x, size_t *size)
{
	const struct gw_balancer_options *options = x->target->balancer->options;
	const char *key;

	if (options->policy != GW_BALANCE_HASH)
		return NULL;
	if (options->hash_mode == GW_HASH_BY_PATH) {
		*size = strcspn(x->head->target, "?");
		return x->head->target;
	}
	key = options->hash_mode == GW_HASH_BY_TENANT ? x->tenant :
	      kolk_http_field(x->head->fields, x->head->field_count, options->hash_header);
	*size = key != NULL ? strlen(key) : 0;
	return *size > 0 ? key : NULL;
}

/* The second member gets what is left of the time. */
static void bound(const struct gw_exchange *x, struct kolk_http_request *request)
{
	uint64_t ns = kolk_pool_request_timeout_ns(x->member->pool);

	if (request->deadline_ns == 0)
		request->deadline_ns = ns == KOLK_FOREVER ? KOLK_FOREVER : x->begin_ns + ns;
}

struct kolk_pool *gw_upstream_choose(struct gw_exchange *x, struct kolk_http_request *request)
{
	struct gw_choice choice = { .random = &x->loop->random,
				    .except = x->moved ? x->member : NULL };
	const struct gw_member *member;

	if (x->target->balancer == NULL)
		return NULL;
	choice.key = key_of(x, &choice.key_size);
	member = gw_balancer_choose(x->target->balancer, &choice);
	if (member == NULL || member->pool == NULL)
		return NULL;
	x->member = member;
	x->in_flight = true;
	gw_load_begin(member->load);
	if (request->authority == NULL)
		request->authority = member->options->authority;
	request->replayable &= x->moved && !x->repeated;
	if (x->moved)
		bound(x, request);
	return member->pool;
}

void gw_upstream_left(struct gw_exchange *x, bool answered, bool failed)
{
	if (!x->in_flight)
		return;
	x->in_flight = false;
	gw_load_end(x->member->load, answered, failed);
}

void gw_upstream_ended(struct gw_exchange *x, enum kolk_err err)
{
	if (!gw_is_tunnel(x)) /* its end follows */
		gw_upstream_left(x, err == KOLK_OK, err != KOLK_OK && err != KOLK_E_CANCELLED);
}

/* A connection that failed without a byte of an answer, under a request that does no harm twice. */
static bool may_repeat(const struct gw_exchange *x, enum kolk_err err, const char *phase)
{
	return strcmp(phase, "request") == 0 && gw_forward_may_repeat(x->head) &&
	       (err == KOLK_E_CLOSED || err == KOLK_E_RESET || err == KOLK_E_TLS_TRUNCATED ||
		err == KOLK_E_TLS || err == KOLK_E_IO);
}

/* It was on no connection, for a reason that may be this member's alone. A time-out is none: it was
 * the request's whole time. */
static bool is_unseen(enum kolk_err err, const char *phase)
{
	return (strcmp(phase, "acquire") == 0 || strcmp(phase, "dial") == 0 ||
		strcmp(phase, "tls") == 0) &&
	       err != KOLK_E_TIMEOUT && err != KOLK_E_CANCELLED && err != KOLK_E_MEMORY;
}

bool gw_upstream_moves(struct gw_exchange *x, enum kolk_err err, const char *phase)
{
	if (x->moved || x->front == NULL || x->state != GW_ASKED || x->received > 0)
		return false;
	x->repeated = may_repeat(x, err, phase);
	if (!x->repeated && !is_unseen(err, phase))
		return false;
	x->moved = true;
	(void)kolk__add_relaxed(&x->member->load->moved, 1);
	return true;
}
