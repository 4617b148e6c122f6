/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy.h - one exchange: a client's request, what the gateway does with it, and the answer.
 *
 *   front ── body ──► up ── pull ──► back      request
 *   front ◄── pull ── down ◄── body ── back    answer
 *
 * Each direction has one bounded pipe, and the sender is paused when it is full. An exchange is freed
 * when front, back and the tunnel have ended.
 *
 * The state says how much of an answer front has got, which only grows, and decides what happens next:
 *   GW_ASKED      nothing. If anything fails, the gateway gives an answer of its own (GW_ANSWERED).
 *   GW_PASSING    the upstream's head. If anything fails, the client is reset (GW_CANCELLED), so that
 *                 it cannot take half an answer for a whole one.
 *   GW_ANSWERED   an answer of the gateway's own. back was not begun, has ended or is cancelled. The
 *                 rest of the request's body is read and dropped, so that the client reads its answer.
 *   GW_CANCELLED  the reset is on its way.
 * When front ends first, back is cancelled, unless both directions were passed on whole.
 */
#ifndef KOLK_GATEWAY_PROXY_H
#define KOLK_GATEWAY_PROXY_H

#include "tools/gateway/gateway.h"
#include "tools/gateway/pipe.h"
#include "tools/gateway/tenant.h"
#include "tools/gateway/trace.h"
#include "tools/gateway/tunnel.h"

enum gw_state { GW_ASKED = 0, GW_PASSING, GW_ANSWERED, GW_CANCELLED };

/* Needed by an exchange that is passed on to an upstream; one that goes to an MCP server has none. */
struct gw_passed {
	struct gw_trailers up_trailers, down_trailers;
	struct gw_tunnel tunnel;               /* not open = not in use */
};

/* Needed until the exchange is answered. */
struct gw_asking {
	char tenant[GW_TENANT_SIZE];
	char text[256];                        /* body of an answer of the gateway's own */
};

struct gw_exchange {
	struct gw_loop *loop;
	struct gw_exchange *next;              /* unused or deferred */
	struct gw_exchange *live_next, **live_at; /* in loop->live */
	struct gw_view *view;                  /* the configuration that it is routed by */
	const struct gw_target *target;        /* NULL = no route */
	struct gw_count *count;                /* of its route; NULL = not counted at the moment */
	struct kolk_http_server_exchange *front; /* NULL = ended */
	struct kolk_http_exchange *back;       /* NULL = not begun, or ended */
	struct gw_mcp_call *mcp;               /* its call to an MCP server (mcp/mcp.h); NULL = none */
	const struct kolk_http_request_head *head; /* as long as front */
	const struct gw_member *member;        /* the balancer's member that got it; NULL = none */
	enum gw_state state;
	bool trusted;                          /* the peer is one of trusted_proxies */
	bool tls;
	bool deferred;
	bool charged;                          /* it took its token of the rate */
	bool traced;                           /* trace is in use */
	bool in_flight;                        /* counted at member */
	bool moved;                            /* member is the second one that got it */
	bool repeated;                         /* the first one may have seen it, too */
	char request_id[36];

	/* For the access log and the numbers of the route. */
	uint64_t begin_ns, took_ns;            /* from the step in which its head came */
	uint64_t received, sent;
	uint32_t status;                       /* of front's answer; 0 = none */
	uint32_t refused;                      /* status that the gateway refused it with; 0 = none */
	enum kolk_err failed;                  /* the error of back */
	const char *phase;                     /* in which it failed; NULL = it did not */

	/* From here on not cleared for the next exchange: memory that is empty by then, and texts that
	 * are written before they are read. */
	struct gw_pipe up, down;
	struct gw_passed *passed;              /* NULL = it was never passed on */
	struct gw_trace *trace;                /* NULL = it was never traced */
	char client[48];                       /* its address; "" = a Unix socket's */
	struct gw_asking *asking;              /* NULL = it is a stream of events: gw_exchange_trim */
	const char *tenant;                    /* in it, or the MCP call's */
};

static inline bool gw_is_tunnel(const struct gw_exchange *x)
{
	return x->passed != NULL && x->passed->tunnel.open;
}

extern const struct kolk_http_server_handler gw_front_handler;

/* exchange.c: an exchange for a request, with the loop's view. NULL = no memory. gw_exchange_put frees
 * it when front, back and the tunnel have ended, and otherwise does nothing. */
struct gw_exchange *gw_exchange_get(struct gw_loop *loop);
void gw_exchange_put(struct gw_exchange *x);
/* The answer is a stream of events, which may last for hours: free what it does not need. tenant: a
 * copy of x->tenant that lasts as long. */
void gw_exchange_trim(struct gw_exchange *x, const char *tenant);

/* The reload is over: go on with the exchanges that were deferred. */
void gw_proxy_run_deferred(struct gw_loop *loop);
/* Reset the client: there is no answer, or the rest of one is missing. */
void gw_proxy_cancel(struct gw_exchange *x);
/* The tunnel of an exchange has ended. */
void gw_proxy_tunnel_ended(struct gw_exchange *x);
/* Whether an exchange of the loop goes to this pool; on the loop. */
bool gw_proxy_uses(const struct gw_loop *loop, const struct kolk_pool *pool);
/* Free what a loop keeps for exchanges; none is left. */
void gw_proxy_free(struct gw_loop *loop);

/* upstream.c, of routes that have a balancer. Its member for the request, or another one if it failed
 * at the first; the pool, or NULL. */
struct kolk_pool *gw_upstream_choose(struct gw_exchange *x, struct kolk_http_request *request);
/* back ended with err, or was refused by it. */
void gw_upstream_ended(struct gw_exchange *x, enum kolk_err err);
/* The exchange is no longer in flight at its member. Does nothing if it was not. */
void gw_upstream_left(struct gw_exchange *x, bool answered, bool failed);
/* Whether another member is to be tried, once: the first cannot have seen the request, or the request
 * may be repeated. */
bool gw_upstream_moves(struct gw_exchange *x, enum kolk_err err, const char *phase);

/* forward.c: the request for the upstream, and the upstream's answer for the client, without their
 * bodies. What they point to is valid until the loop handles the next head. False = no memory. */
bool gw_forward_request(struct gw_exchange *x, struct kolk_http_request *request);
bool gw_forward_answer(struct gw_exchange *x, const struct kolk_http_head *head,
		       struct kolk_http_answer *answer);

/* Whether a request with this head does no harm when it is done twice. */
bool gw_forward_may_repeat(const struct kolk_http_request_head *head);

/* Keep the trailers that may be passed on, for the upstream and for the client. False = no memory,
 * or too many. */
bool gw_forward_request_trailers(struct gw_exchange *x, const struct kolk_http_field *fields,
				 size_t count);
bool gw_forward_answer_trailers(struct gw_exchange *x, const struct kolk_http_field *fields,
				size_t count);

/* answer.c: answers of the gateway's own. */
void gw_answer_route(struct gw_exchange *x);      /* a fixed answer, a redirect */
void gw_answer_preflight(struct gw_exchange *x);
bool gw_answer_metadata(struct gw_exchange *x);   /* false = it is for no metadata */
/* A refusal by the gateway, with this status. retry_ns: Retry-After, 0 = none. */
void gw_answer_refusal(struct gw_exchange *x, uint32_t status, uint64_t retry_ns);
/* x->asking->text, which is JSON, with this status. allow: the methods for a 405; NULL = none. */
void gw_answer_text(struct gw_exchange *x, uint32_t status, const char *allow);
/* 503: there are no keys for its token. */
void gw_answer_no_keys(struct gw_exchange *x);
/* 503: its balancer has no members, because no name resolves. */
void gw_answer_no_members(struct gw_exchange *x);
/* The upstream request ended with err, in this phase, before anything was passed on. */
void gw_answer_failure(struct gw_exchange *x, enum kolk_err err, const char *phase);
/* Add what CORS says of an answer to this request. */
void gw_answer_add_cors(const struct gw_exchange *x, struct gw_fields *fields);
bool gw_is_cors_field(const char *name);

#endif
