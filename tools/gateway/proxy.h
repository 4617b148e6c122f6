/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy.h - one exchange: a client's request, what the gateway does with it, and the answer.
 *
 *   front ── body ──► up ── pull ──► back      request
 *   front ◄── pull ── down ◄── body ── back    answer
 *
 * Each direction has one bounded pipe: who sends is paused when it is full. An exchange is freed
 * when front has ended, and back, and the tunnel.
 *
 * What front has of an answer only grows, and decides what becomes of the rest:
 *   GW_ASKED      nothing. Whatever fails is told by an answer of the gateway's own (GW_ANSWERED).
 *   GW_PASSING    the upstream's head. Whatever fails resets the client (GW_CANCELLED): half an
 *                 answer is never a whole one.
 *   GW_ANSWERED   an answer of the gateway's own. back was not begun, has ended or is cancelled; more
 *                 of the request's body may come, and is dropped: the client reads its answer.
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

/* What an exchange needs that is passed on to an upstream; one that goes to an MCP server does not. */
struct gw_passed {
	struct gw_trailers up_trailers, down_trailers;
	struct gw_tunnel tunnel;               /* not open, while it is not in use */
};

/* What it needs until it is answered. */
struct gw_asking {
	char tenant[GW_TENANT_SIZE];
	char text[256];                        /* body of an answer of the gateway's own */
};

struct gw_exchange {
	struct gw_loop *loop;
	struct gw_exchange *next;              /* unused or deferred */
	struct gw_exchange *live_next, **live_at; /* in loop->live */
	struct gw_view *view;                  /* it began with */
	const struct gw_target *target;        /* NULL = no route */
	struct gw_count *count;                /* of its route; NULL = it is not counted now */
	struct kolk_http_server_exchange *front; /* NULL = ended */
	struct kolk_http_exchange *back;       /* NULL = not begun, or ended */
	struct gw_mcp_call *mcp;               /* it goes to an MCP server (mcp/mcp.h); NULL = not */
	const struct kolk_http_request_head *head; /* as long as front */
	const struct gw_member *member;        /* of a balancer, that it went to; NULL = none */
	enum gw_state state;
	bool trusted;                          /* the peer is one of trusted_proxies */
	bool tls;
	bool deferred;
	bool charged;                          /* it took its token */
	bool traced;                           /* by trace */
	bool in_flight;                        /* at member */
	bool moved;                            /* member is the second one */
	bool repeated;                         /* the first one may have seen it */
	char request_id[36];

	/* For the access log and the numbers of the route. */
	uint64_t begin_ns, took_ns;            /* from the step in which its head came */
	uint64_t received, sent;
	uint32_t status;                       /* of front's answer; 0 = none */
	uint32_t refused;                      /* status that the gateway refused it with; 0 = none */
	enum kolk_err failed;                  /* what became of back */
	const char *phase;                     /* where; NULL = nothing failed */

	/* From here on, what the next one finds as it was: memory that is empty, and texts that are
	 * written before they are read. */
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

/* exchange.c: one for a request, by the loop's view. NULL = no memory. Put back when nothing uses it any
 * more; else nothing happens. */
struct gw_exchange *gw_exchange_get(struct gw_loop *loop);
void gw_exchange_put(struct gw_exchange *x);
/* Its answer is a stream of events, which may last for hours: memory is given back. tenant: x->tenant,
 * in memory that lasts as long. */
void gw_exchange_trim(struct gw_exchange *x, const char *tenant);

/* Take up what was deferred: the reload is over. */
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
/* It is in flight at its member no more; harmless if it is not. */
void gw_upstream_left(struct gw_exchange *x, bool answered, bool failed);
/* Whether another member is to try, once: this one cannot have seen it, or it may be repeated. */
bool gw_upstream_moves(struct gw_exchange *x, enum kolk_err err, const char *phase);

/* forward.c: the request for the upstream, and the upstream's answer for the client, but for their
 * bodies. What they point to lives until the loop's next head. False = no memory. */
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

/* answer.c: what the gateway answers by itself; what front waits for then. */
void gw_answer_route(struct gw_exchange *x);      /* a fixed answer, a redirect */
void gw_answer_preflight(struct gw_exchange *x);
bool gw_answer_metadata(struct gw_exchange *x);   /* false = it is for no metadata */
/* A refusal of the gateway's: its status says it all. retry_ns: Retry-After, 0 = none. */
void gw_answer_refusal(struct gw_exchange *x, uint32_t status, uint64_t retry_ns);
/* x->asking->text, JSON, with this status. allow: methods, of 405; NULL = none. */
void gw_answer_text(struct gw_exchange *x, uint32_t status, const char *allow);
/* 503: there are no keys for its token. */
void gw_answer_no_keys(struct gw_exchange *x);
/* 503: its balancer has no members, as names do not resolve. */
void gw_answer_no_members(struct gw_exchange *x);
/* The upstream request ended with err, in this phase, before anything was passed on. */
void gw_answer_failure(struct gw_exchange *x, enum kolk_err err, const char *phase);
/* Add what CORS says of an answer to this request. */
void gw_answer_add_cors(const struct gw_exchange *x, struct gw_fields *fields);
bool gw_is_cors_field(const char *name);

#endif
