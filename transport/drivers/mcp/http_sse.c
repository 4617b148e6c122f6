/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_sse.c - a session of HTTP+SSE (2024-11-05) is made: GET of a stream -> its event `endpoint`
 * -> initialize -> notifications/initialized, posted there. The stream is the session: it ends with
 * it.
 */
#include <stdlib.h>

#include "transport/drivers/mcp/inside.h"

struct making {
	struct mcp_post post;
	struct kolk_resource_op *op;
	struct mcp_loop *loop;
	struct mcp_session *session;
	struct kolk_timer timer;
	uint64_t deadline_ns, id; /* id: of initialize */
	enum kolk_err err;      /* it fails with that, when nothing of it runs */
	const char *detail;
	char *body;
	bool posting;           /* post's end will run */
	bool answered, initialized;
};

static const char initialized[] = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}";

/* ---- it fails */

/* Whether the request that it failed in had a connection. */
static bool is_connected(const struct making *making)
{
	return making->session->endpoint == NULL ? making->session->pipe->stream->get.carried :
						   making->post.carried;
}

static void failed(void *user)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct making *making = user;

	failure.err = kolk__mcp_making_error(making->err, is_connected(making));
	failure.phase = failure.err == KOLK_E_QUEUE_FULL ? KOLK_PHASE_WAIT : KOLK_PHASE_READY;
	failure.detail = making->detail;
	kolk__mcp_session_free(making->session);
	kolk_resource_failed(making->op, &failure);
	free(making->body);
	free(making);
}

static void end_stream(struct making *making)
{
	kolk__mcp_stream_close(making->session->pipe->stream, failed, making);
}

static void fail(struct making *making, enum kolk_err err, const char *detail)
{
	struct mcp_pipe *pipe = making->session->pipe;

	if (making->err != KOLK_OK)
		return;
	making->err = err;
	making->detail = detail;
	kolk_timer_stop(&making->timer);
	pipe->making = NULL;
	kolk__mcp_stream_leave(pipe->stream);
	if (making->posting)
		kolk__mcp_post_cancel(&making->post, err);
	else
		end_stream(making);
}

static void on_timer(struct kolk_timer *timer, void *user)
{
	struct making *making = user;

	(void)timer;
	fail(making, KOLK_E_TIMEOUT, making->session->endpoint == NULL ? "endpoint" : "initialize");
}

/* ---- it goes on */

static void post_ended(struct mcp_post *post, enum kolk_err err);

static void post(struct making *making, const char *body, bool replayable)
{
	static const struct mcp_post_handler handler = { .end = post_ended };
	const struct mcp_post_options options = { .method = "POST",
						  .identity = making->session->identity,
						  .session = making->session, .body = body,
						  .body_size = strlen(body),
						  .replayable = replayable,
						  .deadline_ns = making->deadline_ns };
	enum kolk_err err = kolk__mcp_post_start(&making->post, making->loop, &handler, &options);

	making->posting = err == KOLK_PENDING;
	if (!making->posting)
		fail(making, err, "initialize");
}

/* Quiet, or the stream has ended. */
static void on_step(void *user, enum kolk_err err)
{
	struct making *making = user;
	struct mcp_pipe *pipe = making->session->pipe;
	struct kolk_mcp *mcp = making->loop->mcp;

	if (err != KOLK_OK) {
		if (pipe->stream->get.status >= 400) { /* it may speak another version by now */
			kolk__store_relaxed(&mcp->http_sse_until_ns, 0);
			kolk__mcp_era_forget(mcp);
		}
		fail(making, err, making->session->endpoint == NULL ? "endpoint" : "initialize");
		return;
	}
	pipe->making = NULL;
	kolk_timer_stop(&making->timer);
	if (mcp->options.transport == KOLK_MCP_HTTP_AUTO)
		kolk__store_relaxed(&mcp->http_sse_until_ns, kolk_in_ns(MCP_ERA_NS));
	kolk_resource_created(making->op, making->session);
	free(making->body);
	free(making);
}

static void go_on(struct making *making)
{
	struct mcp_pipe *pipe = making->session->pipe;

	if (making->posting || !making->answered)
		return;
	if (!making->initialized) {
		making->initialized = true;
		post(making, initialized, true);
		return;
	}
	pipe->making_waits = false;
	kolk__mcp_stream_leave(pipe->stream);
	kolk__mcp_pipe_settle(pipe);
}

static void post_ended(struct mcp_post *post, enum kolk_err err)
{
	struct making *making = mcp_container_of(post, struct making, post);

	making->posting = false;
	if (making->err != KOLK_OK)
		end_stream(making);
	else if (err != KOLK_OK)
		fail(making, err, "initialize");
	else if (post->status == 401 || post->status == 403) {
		kolk__mcp_refused(making->session->identity, post);
		fail(making, KOLK_E_AUTH, kolk__mcp_initialize_failed(post->status));
	} else if (post->status < 200 || post->status > 299)
		fail(making, KOLK_E_SERVER, kolk__mcp_initialize_failed(post->status));
	else
		go_on(making);
}

static void on_message(void *user, const struct mcp_message *message)
{
	struct making *making = user;
	enum kolk_err err;

	if (message->method.size > 0)
		kolk__mcp_note_pong(making->loop, making->session->pipe, message);
	if (message->method.size > 0 || making->answered ||
	    !kolk__mcp_is_answer_to(message, making->id))
		return;
	making->answered = true;
	err = kolk__mcp_session_take(making->session, message);
	if (err != KOLK_OK)
		fail(making, err, err == KOLK_E_UNSUPPORTED ? "protocolVersion" :
							      "initialize refused");
	else
		go_on(making);
}

static void on_endpoint(void *user, struct mcp_text endpoint)
{
	struct making *making = user;
	enum kolk_err err = kolk__mcp_endpoint(making->loop->mcp, endpoint,
					       &making->session->endpoint);

	making->body = err != KOLK_OK ? NULL :
		       kolk__mcp_initialize_text(making->loop, making->session->identity, &making->id);
	if (err != KOLK_OK)
		fail(making, err, "endpoint");
	else if (making->body == NULL)
		fail(making, KOLK_E_MEMORY, "initialize");
	else
		post(making, making->body, false);
}

/* ---- it begins */

static struct making *making_make(struct mcp_loop *loop, struct mcp_identity *identity)
{
	struct making *making = calloc(1, sizeof *making);
	struct mcp_session *session = calloc(1, sizeof *session);
	struct mcp_stream *stream = kolk__mcp_stream_make(loop, making, on_endpoint);

	if (stream != NULL && session != NULL && making != NULL)
		session->pipe = kolk__mcp_pipe_open_stream(loop, stream);
	if (session == NULL || session->pipe == NULL) {
		if (stream != NULL)
			kolk__mcp_stream_free(stream);
		free(session);
		free(making);
		return NULL;
	}
	session->identity = identity;
	session->pipe->session = session;
	session->pipe->making = making;
	session->pipe->making_waits = true;
	session->pipe->making_message = on_message;
	session->pipe->making_step = on_step;
	making->loop = loop;
	making->session = session;
	return making;
}

void kolk__mcp_http_sse_create(struct mcp_loop *loop, struct mcp_identity *identity,
			       struct kolk_resource_op *op, uint64_t deadline_ns)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct making *making = making_make(loop, identity);
	enum kolk_err err;

	if (making == NULL) {
		failure.err = KOLK_E_MEMORY;
		kolk__mcp_identity_unref(identity);
		kolk_resource_failed(op, &failure);
		return;
	}
	making->op = op;
	making->deadline_ns = kolk__mcp_making_deadline(deadline_ns);
	kolk__mcp_stream_take(making->session->pipe->stream, loop);
	(void)kolk_timer_start(loop->loop, &making->timer, making->deadline_ns, on_timer, making);
	err = kolk__mcp_stream_begin(making->session->pipe->stream, identity);
	if (err != KOLK_PENDING)
		fail(making, err, "endpoint");
}

/* ---- it ends */

static void ended(void *user)
{
	struct mcp_session *session = user;
	struct kolk_resource_op *op = session->ending;

	kolk__mcp_session_free(session);
	kolk_resource_done(op);
}

void kolk__mcp_http_sse_destroy(struct mcp_session *session, struct kolk_resource_op *op)
{
	kolk__store_relaxed(&session->identity->gone, true);
	session->ending = op;
	kolk__mcp_stream_close(session->pipe->stream, ended, session);
}
