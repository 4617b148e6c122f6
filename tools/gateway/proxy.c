/* SPDX-License-Identifier: Apache-2.0 */
/* proxy.c - one exchange: a client's request, what the gateway does with it, and the answer. */
#include "tools/gateway/proxy.h"

#include <stdlib.h>
#include <string.h>

#include "tools/gateway/mcp/mcp.h"
#include "tools/gateway/rate.h"
#include "tools/gateway/status/status.h"
#include "tools/gateway/warm/warm.h"

void gw_proxy_cancel(struct gw_exchange *x)
{
	x->state = GW_CANCELLED;
	kolk_http_server_cancel(x->front);
}

void gw_proxy_tunnel_ended(struct gw_exchange *x)
{
	if (x->member != NULL)
		gw_upstream_left(x, true, false);
	x->down.ended = true;
	if (x->front != NULL)
		kolk_http_server_more(x->front);
	gw_exchange_put(x);
}

/* ---- request: front's body goes through up */

static enum kolk_err pull_request(void *user, void *buffer, size_t capacity, size_t *size)
{
	struct gw_exchange *x = user;

	*size = gw_pipe_take(&x->up, buffer, capacity);
	if (x->front != NULL && x->up.size <= GW_PIPE_LOW)
		kolk_http_server_resume(x->front);
	return *size > 0 || x->up.ended ? KOLK_OK : KOLK_PENDING;
}

/* What one side sent cannot be passed on. Events of either side change nothing after this (proxy.h). */
static void break_off(struct gw_exchange *x, uint32_t status)
{
	if (x->back != NULL)
		kolk_http_cancel(x->back);
	if (x->state == GW_ASKED)
		gw_answer_refusal(x, status, 0);
	else if (x->state == GW_PASSING)
		gw_proxy_cancel(x);
}

/* Does the upstream still want the request's body? Otherwise the rest is dropped. */
static bool wants_request(const struct gw_exchange *x)
{
	return x->back != NULL && x->state < GW_ANSWERED;
}

static void on_front_body(void *user, struct kolk_http_server_exchange *front, const void *data,
			  size_t size)
{
	struct gw_exchange *x = user;
	uint64_t max;

	x->received += size;
	if (gw_is_tunnel(x)) {
		gw_tunnel_send(x, data, size);
		return;
	}
	if (x->mcp != NULL)
		gw_mcp_body(x, data, size);
	if (!wants_request(x))
		return;
	max = x->target->route->body_bytes_max;
	if (max != 0 && x->received > max) {
		break_off(x, 413);
	} else if (!gw_pipe_push(&x->up, data, size)) {
		break_off(x, 503);
	} else {
		if (x->up.size >= GW_PIPE_HIGH)
			kolk_http_server_pause(front);
		kolk_http_more(x->back);
	}
}

static void on_front_body_end(void *user, struct kolk_http_server_exchange *front,
			      const struct kolk_http_field *trailers, size_t trailer_count)
{
	struct gw_exchange *x = user;

	(void)front;
	if (gw_is_tunnel(x)) {
		gw_tunnel_send_end(x);
		return;
	}
	if (x->mcp != NULL)
		gw_mcp_body_end(x);
	x->up.ended = true;
	if (!wants_request(x))
		return;
	if (gw_forward_request_trailers(x, trailers, trailer_count))
		kolk_http_more(x->back);
	else
		break_off(x, 431);
}

/* ---- answer: back's body goes through down */

static enum kolk_err pull_answer(void *user, void *buffer, size_t capacity, size_t *size)
{
	struct gw_exchange *x = user;

	*size = gw_pipe_take(&x->down, buffer, capacity);
	x->sent += *size;
	if (x->down.size <= GW_PIPE_LOW) {
		if (x->back != NULL)
			kolk_http_resume(x->back);
		gw_tunnel_receive(x);
	}
	return *size > 0 || x->down.ended ? KOLK_OK : KOLK_PENDING;
}

static void on_informational(void *user, struct kolk_http_exchange *back,
			     const struct kolk_http_head *head)
{
	struct gw_exchange *x = user;
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);

	(void)back;
	if (head->status == 100)
		return; /* the library sends a 100 of its own when the body is read */
	if (gw_forward_answer(x, head, &answer))
		(void)!kolk_http_server_inform(x->front, head->status, answer.fields,
					       answer.field_count);
}

/* Set the length of the answer, and where its body comes from. */
static void frame(const struct gw_exchange *x, const struct kolk_http_head *head,
		  struct kolk_http_answer *answer)
{
	bool sized = head->body_size != KOLK_HTTP_CHUNKED;

	if (head->status == 204 || head->status == 205)
		return;
	if (head->status == 304 || strcmp(x->head->method, "HEAD") == 0) {
		answer->pull_size = sized ? head->body_size : 0; /* announced, not sent */
		return;
	}
	answer->pull = pull_answer;
	answer->pull_size = head->body_size;
	if (head->status == 101) {
		answer->pull_size = KOLK_HTTP_CHUNKED;
		answer->upgrade = x->head->upgrade;
	} else if (!sized) {
		answer->trailers = x->passed->down_trailers.at;
		answer->trailer_count = GW_TRAILERS_MAX;
	}
}

static void on_head(void *user, struct kolk_http_exchange *back, const struct kolk_http_head *head)
{
	struct gw_exchange *x = user;
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);

	if (x->traced)
		gw_trace_head(x, back, head);
	if (!gw_forward_answer(x, head, &answer)) {
		break_off(x, 503);
		return;
	}
	answer.status = head->status;
	frame(x, head, &answer);
	if (kolk_http_server_answer(x->front, &answer) != KOLK_OK) {
		break_off(x, 502);
		return;
	}
	x->status = head->status;
	x->state = GW_PASSING;
}

static void on_back_body(void *user, struct kolk_http_exchange *back, const void *data, size_t size)
{
	struct gw_exchange *x = user;

	if (x->front == NULL)
		return;
	if (x->down.size == 0 && kolk_http_server_write(x->front, data, size)) {
		x->sent += size;
	} else if (!gw_pipe_push(&x->down, data, size)) {
		break_off(x, 503);
	} else {
		if (x->down.size >= GW_PIPE_HIGH)
			kolk_http_pause(back);
		kolk_http_server_more(x->front);
	}
}

static void on_upgraded(void *user, struct kolk_http_exchange *back, const struct kolk_lease *lease,
			const void *data, size_t size)
{
	(void)back;
	gw_tunnel_open(user, lease, data, size);
}

/* ---- the upstream request: begun, ended, begun again */

static void dispatch(struct gw_exchange *x);
static void pass_on(struct gw_exchange *x);

/* A pool may drain because a reload removed it. If nothing of the request's body has been passed on,
 * the request is routed again, by the new configuration. False = that is not possible. */
static bool dispatch_again(struct gw_exchange *x)
{
	struct gw_loop *loop = x->loop;

	if (x->received > 0 || x->state != GW_ASKED)
		return false;
	if (loop->reloading) {
		x->deferred = true;
		x->next = loop->deferred;
		loop->deferred = x;
		return true;
	}
	if (x->view == loop->view)
		return false;
	gw_status_withdraw(x);
	x->member = NULL;
	x->moved = false;
	if (x->traced)
		x->trace->pool = NULL; /* it may be freed, since the exchange does not use it now */
	gw_view_leave(x->view, loop->index);
	x->view = gw_view_use(loop->view, loop->index);
	dispatch(x);
	return true;
}

/* The upstream request ended with err, or could not begin. */
static void fail(struct gw_exchange *x, enum kolk_err err, const char *phase)
{
	if (x->state >= GW_ANSWERED || (err == KOLK_E_DRAINING && dispatch_again(x)))
		return; /* answered already, or routed again */
	if (x->member != NULL && gw_upstream_moves(x, err, phase)) {
		pass_on(x);
		return;
	}
	x->failed = err;
	x->phase = phase;
	if (x->state == GW_ASKED)
		gw_answer_failure(x, err, phase);
	else
		gw_proxy_cancel(x);
}

void gw_proxy_run_deferred(struct gw_loop *loop)
{
	struct gw_exchange *x = loop->deferred, *next;

	loop->deferred = NULL;
	for (; x != NULL; x = next) {
		next = x->next;
		x->deferred = false;
		fail(x, KOLK_E_DRAINING, "acquire");
	}
}

static void withdraw(struct gw_exchange *x)
{
	struct gw_exchange **at = &x->loop->deferred;

	while (x->deferred && *at != x)
		at = &(*at)->next;
	if (x->deferred)
		*at = x->next;
	x->deferred = false;
}

static void on_back_end(void *user, struct kolk_http_exchange *back, enum kolk_err err,
			const struct kolk_http_field *trailers, size_t trailer_count)
{
	struct gw_exchange *x = user;
	const char *phase = kolk_http_phase_of(err, back);

	if (x->member != NULL)
		gw_upstream_ended(x, err);
	x->back = NULL;
	if (x->traced)
		gw_trace_answered(x, back);
	if (x->front == NULL) {
		gw_exchange_put(x);
	} else if (err != KOLK_OK) {
		fail(x, err, phase);
	} else if (!gw_forward_answer_trailers(x, trailers, trailer_count)) {
		fail(x, KOLK_E_LIMIT, "response");
	} else if (!gw_is_tunnel(x)) {
		x->down.ended = true;
		kolk_http_server_more(x->front);
	}
}

static const struct kolk_http_handler back_handler = {
	.size = sizeof back_handler, .informational = on_informational, .head = on_head,
	.body = on_back_body, .upgraded = on_upgraded, .end = on_back_end
};

static enum kolk_err start(struct gw_exchange *x, struct kolk_http_request *request)
{
	struct kolk_pool *pool = x->target->pool;
	struct kolk_key_options who;

	if (pool == NULL)
		pool = gw_upstream_choose(x, request);
	if (pool == NULL)
		return KOLK_E_DRAINING;
	if (x->traced)
		gw_trace_ask(x, pool);
	gw_warm_use_pool(x->loop, kolk_pool_name(pool), x->tenant);
	if (x->tenant[0] == '\0')
		return kolk_http_start(x->loop->http, kolk_pool_key(pool), request, &back_handler, x,
				       &x->back);
	who = (struct kolk_key_options)KOLK_INIT(kolk_key_options);
	who.tenant = x->tenant;
	return kolk_http_start_as(x->loop->http, pool, &who, request, &back_handler, x, &x->back);
}

static void pass_on(struct gw_exchange *x)
{
	const struct kolk_http_request_head *head = x->head;
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	enum kolk_err err;

	if (x->passed == NULL)
		x->passed = calloc(1, sizeof *x->passed);
	if (x->passed == NULL || !gw_forward_request(x, &request)) {
		gw_answer_refusal(x, 503, 0);
		return;
	}
	if (head->body_size != 0) {
		request.pull = pull_request;
		request.pull_size = head->body_size;
		request.expect_continue = head->expect_continue;
		if (head->body_size == KOLK_HTTP_CHUNKED) {
			request.trailers = x->passed->up_trailers.at;
			request.trailer_count = GW_TRAILERS_MAX;
		}
	}
	if (x->target->balancer != NULL && x->target->balancer->count == 0) {
		gw_answer_no_members(x);
		return;
	}
	err = start(x, &request);
	if (err == KOLK_PENDING)
		return;
	if (x->member != NULL)
		gw_upstream_ended(x, err);
	fail(x, err, kolk_http_phase_of(err, NULL));
}

/* ---- what becomes of a request */

static void dispatch(struct gw_exchange *x)
{
	const struct kolk_http_request_head *head = x->head;
	const struct gw_route *route;
	struct kolk_stream_peer peer = KOLK_INIT(kolk_stream_peer);
	uint64_t wait_ns;
	uint32_t status;

	kolk_stream_peer(kolk_http_server_stream(x->front), &peer);
	memcpy(x->client, peer.address, sizeof x->client);
	x->tls = peer.tls_version != 0;
	x->trusted = gw_config_trusts(x->view->config, &peer);
	if (x->loop->tracer != NULL && !x->traced)
		gw_trace_begin(x);
	if (gw_answer_metadata(x))
		return;
	x->target = gw_view_find(x->view, head);
	gw_status_begin(x);
	if (x->target == NULL || gw_target_refuses(x->target, head->target)) {
		gw_answer_refusal(x, x->target == NULL ? 404 : 400, 0);
		return;
	}
	route = x->target->route;
	if (route->cors_origins != NULL && gw_preflight_method(head) != NULL) {
		gw_answer_preflight(x);
		return;
	}
	x->asking->tenant[0] = '\0';
	status = route->tenant == GW_TENANT_NONE ?
			 0 : gw_tenant_of(x->view->config, head, &peer, x->asking->tenant);
	wait_ns = status != 0 || x->charged ? 0 : gw_rate_take(x->loop->gateway->rates, route,
							       x->tenant, x->begin_ns);
	x->charged |= route->requests_per_second != 0;
	if (status == 0 && wait_ns != 0)
		status = 429;
	if (status == 0 && route->body_bytes_max != 0 && head->body_size != KOLK_HTTP_CHUNKED &&
	    head->body_size > route->body_bytes_max)
		status = 413;
	if (status == 503)
		gw_answer_no_keys(x);
	else if (status != 0)
		gw_answer_refusal(x, status, wait_ns);
	else if (x->target->mcp != NULL)
		gw_mcp_request(x);
	else if (route->action == GW_ACTION_POOL)
		pass_on(x);
	else
		gw_answer_route(x);
}

static void *on_request(void *server_user, struct kolk_http_server_exchange *front,
			const struct kolk_http_request_head *head)
{
	struct gateway *gateway = server_user;
	struct kolk_loop *loop = kolk_stream_loop(kolk_http_server_stream(front));
	struct gw_exchange *x = gw_exchange_get(&gateway->loops[kolk_loop_index(loop)]);

	if (x == NULL) {
		kolk_http_server_cancel(front);
		return NULL;
	}
	x->front = front;
	x->head = head;
	x->begin_ns = kolk_loop_now(loop);
	if (head->body_size != 0)
		kolk_http_server_pause(front); /* until the upstream reads the body */
	dispatch(x);
	return x;
}

static void on_front_end(void *user, struct kolk_http_server_exchange *front, enum kolk_err err)
{
	struct gw_exchange *x = user;

	(void)front;
	if (x == NULL)
		return;
	x->took_ns = kolk_in_ns(0) - x->begin_ns;
	gw_log_exchange(x, err);
	gw_status_end(x, err);
	gw_drain_count(x, err);
	if (x->traced)
		gw_trace_end(x, err);
	x->front = NULL;
	x->head = NULL;
	withdraw(x);
	if (x->mcp != NULL)
		gw_mcp_front_end(x);
	if (x->back != NULL) { /* on_back_end follows, by itself if all was passed on */
		if (err != KOLK_OK || !x->up.ended)
			kolk_http_cancel(x->back);
	} else if (gw_is_tunnel(x)) {
		gw_tunnel_close(x); /* gw_proxy_tunnel_ended follows, or has run already */
	} else {
		gw_exchange_put(x);
	}
}

static void on_refused(void *server_user, const struct kolk_stream *stream, uint32_t status)
{
	struct gateway *gateway = server_user;
	struct gw_loop *loop = &gateway->loops[kolk_loop_index(kolk_stream_loop(stream))];

	gw_log_refused(loop, stream, status);
	gw_status_refused(loop, status);
}

const struct kolk_http_server_handler gw_front_handler = {
	.size = sizeof gw_front_handler, .request = on_request, .body = on_front_body,
	.body_end = on_front_body_end, .end = on_front_end, .refused = on_refused
};
