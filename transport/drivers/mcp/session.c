/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - sessions as resources of a pool: initialize -> version check ->
 * notifications/initialized -> ready; at its end end.c.
 *
 * A making that fails after the server has made a session ends that one; if the answer to
 * initialize never came, its session is the server's to time out.
 */
#include <stdio.h>
#include <stdlib.h>

#include "transport/drivers/mcp/inside.h"

struct making {
	struct mcp_post post;
	struct kolk_resource_op *op;
	struct mcp_loop *loop;
	struct mcp_session *session;
	uint64_t deadline_ns;
	enum kolk_err err;      /* E_SERVER: the server refused */
	const char *detail;
	bool answered;
	uint64_t id;            /* of initialize */
	bool renewed;           /* another token was tried */
	char *body;
};

static const char initialized[] = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}";

/* But for its identity. */
static void session_free(struct kolk_mcp *mcp, struct mcp_session *session)
{
	(void)pthread_mutex_lock(&mcp->lock);
	kolk__mcp_unshare(session->initialize);
	(void)pthread_mutex_unlock(&mcp->lock);
	free(session->id);
	free(session->endpoint);
	free(session);
}

void kolk__mcp_session_free(struct mcp_session *session)
{
	struct kolk_mcp *mcp = session->identity->mcp;

	kolk__mcp_identity_unref(session->identity);
	if (session->pipe != NULL)
		kolk__mcp_pipe_close(session->pipe);
	session_free(mcp, session);
}

/* ---- create */

uint64_t kolk__mcp_making_deadline(uint64_t deadline_ns)
{
	uint64_t now_ns = kolk_in_ns(0);
	uint64_t margin_ns = deadline_ns > now_ns ? (deadline_ns - now_ns) / 4 : 0;

	if (deadline_ns == KOLK_FOREVER)
		return KOLK_FOREVER;
	return deadline_ns - (margin_ns < MCP_MARGIN_NS ? margin_ns : MCP_MARGIN_NS);
}

enum kolk_err kolk__mcp_making_error(enum kolk_err err, bool connected)
{
	if (err != KOLK_E_TIMEOUT)
		return err;
	return connected ? KOLK_E_DIAL_TIMEOUT : KOLK_E_QUEUE_FULL;
}

static void making_failed(struct making *making, enum kolk_err err, const char *detail)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);

	failure.err = err;
	failure.phase = err == KOLK_E_QUEUE_FULL ? KOLK_PHASE_WAIT : KOLK_PHASE_READY;
	failure.detail = detail;
	if (making->session != NULL)
		kolk__mcp_session_end(making->loop, making->session, NULL);
	kolk_resource_failed(making->op, &failure);
	free(making->body);
	free(making);
}

static void send_initialized(struct making *making);

/* The token was refused, and there is another one, which was not tried. */
static bool is_renewed(struct making *making, enum kolk_err err)
{
	if (err != KOLK_OK || making->renewed ||
	    !kolk__mcp_token_renewed(&making->post, making->session->identity))
		return false;
	making->renewed = true;
	return true;
}

static void initialized_ended(struct mcp_post *post, enum kolk_err err)
{
	struct making *making = mcp_container_of(post, struct making, post);

	err = kolk__mcp_making_error(err, post->carried);
	if (is_renewed(making, err))
		send_initialized(making);
	else if (err == KOLK_OK && (post->status < 200 || post->status > 299)) {
		making_failed(making, KOLK_E_SERVER, "notifications/initialized refused");
	} else if (err != KOLK_OK) {
		making_failed(making, err, "notifications/initialized");
	} else {
		kolk_resource_created(making->op, making->session);
		free(making->body);
		free(making);
	}
}

static void send_initialized(struct making *making)
{
	static const struct mcp_post_handler handler = { .end = initialized_ended };
	struct mcp_post_options options = { .method = "POST",
					    .identity = making->session->identity,
					    .session = making->session, .body = initialized,
					    .body_size = sizeof initialized - 1,
					    .replayable = true,
					    .deadline_ns = making->deadline_ns };
	enum kolk_err err = kolk__mcp_post_start(&making->post, making->loop, &handler, &options);

	if (err != KOLK_PENDING)
		making_failed(making, err, "notifications/initialized");
}

static void on_head(struct mcp_post *post, const struct kolk_http_head *head)
{
	struct making *making = mcp_container_of(post, struct making, post);
	const char *id = kolk_http_field(head->fields, head->field_count, "mcp-session-id");

	if (id != NULL && head->status == 200 && making->session->id == NULL) {
		making->session->id = strdup(id);
		if (making->session->id == NULL)
			making->err = KOLK_E_MEMORY;
	}
}

enum kolk_err kolk__mcp_session_take(struct mcp_session *session,
				     const struct mcp_message *message)
{
	struct kolk_mcp *mcp = session->identity->mcp;

	if (message->too_long)
		return KOLK_E_LIMIT;
	if (message->result.size == 0)
		return KOLK_E_SERVER;
	if (!kolk__mcp_version_known(message->version))
		return KOLK_E_UNSUPPORTED;
	memcpy(session->version, message->version.data, message->version.size);
	(void)pthread_mutex_lock(&mcp->lock);
	kolk__mcp_unshare(session->initialize); /* of an answer that was refused */
	session->initialize = kolk__mcp_share(mcp, message->result.data, message->result.size);
	(void)pthread_mutex_unlock(&mcp->lock);
	return session->initialize != NULL ? KOLK_OK : KOLK_E_MEMORY;
}

static void on_message(struct mcp_post *post, const struct mcp_message *message)
{
	struct making *making = mcp_container_of(post, struct making, post);

	if (message->method.size > 0 || making->answered ||
	    !kolk__mcp_is_answer_to(message, making->id))
		return;
	making->answered = true;
	if (making->err == KOLK_OK) /* on_head may have found no memory */
		making->err = kolk__mcp_session_take(making->session, message);
	making->detail = making->err == KOLK_E_SERVER	   ? "initialize refused" :
			 making->err == KOLK_E_UNSUPPORTED ? "protocolVersion" : NULL;
}

const char *kolk__mcp_initialize_failed(uint32_t status)
{
	static const struct {
		uint32_t status;
		const char *detail;
	} known[] = {
		{ 400, "initialize: 400" }, { 401, "initialize: 401" }, { 403, "initialize: 403" },
		{ 404, "initialize: 404" }, { 405, "initialize: 405" }, { 406, "initialize: 406" },
		{ 415, "initialize: 415" }, { 429, "initialize: 429" }, { 500, "initialize: 500" },
		{ 502, "initialize: 502" }, { 503, "initialize: 503" }, { 504, "initialize: 504" },
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (known[i].status == status)
			return known[i].detail;
	return "initialize";
}

/* What the answer to initialize comes to. */
static enum kolk_err judge(struct making *making, enum kolk_err err)
{
	uint32_t status = making->post.status;

	if (making->detail == NULL || status != 200)
		making->detail = kolk__mcp_initialize_failed(status);
	if (err != KOLK_OK)
		return err;
	if (status == 401 || status == 403)
		return KOLK_E_AUTH;
	if (status != 200)
		return KOLK_E_SERVER;
	return making->answered ? making->err : KOLK_E_PROTOCOL;
}

static enum kolk_err send_initialize(struct making *making);

/* What a server of HTTP+SSE says of a POST: it is asked by GET then. */
static bool try_http_sse(struct making *making)
{
	struct mcp_session *session = making->session;
	uint32_t status = making->post.status;

	if (making->loop->mcp->options.transport != KOLK_MCP_HTTP_AUTO ||
	    (status != 400 && status != 404 && status != 405))
		return false;
	kolk__mcp_http_sse_create(making->loop, session->identity, making->op,
				  making->deadline_ns);
	session_free(making->loop->mcp, session);
	free(making->body);
	free(making);
	return true;
}

static void initialize_ended(struct mcp_post *post, enum kolk_err err)
{
	struct making *making = mcp_container_of(post, struct making, post);

	err = kolk__mcp_making_error(err, post->carried);
	if (is_renewed(making, err)) {
		free(making->body);
		making->body = NULL;
		making->answered = false;
		making->err = KOLK_OK;
		making->detail = NULL;
		err = send_initialize(making);
		if (err != KOLK_PENDING)
			making_failed(making, err, "initialize");
		return;
	}
	err = judge(making, err);
	if (err == KOLK_E_AUTH)
		kolk__mcp_refused(making->session->identity, post);
	if (err == KOLK_E_SERVER && try_http_sse(making))
		return;
	if (err == KOLK_E_SERVER && post->status >= 400 && post->status < 500)
		kolk__mcp_era_forget(making->loop->mcp); /* perhaps it knows no sessions any more */
	if (err != KOLK_OK)
		making_failed(making, err, making->detail);
	else
		send_initialized(making);
}

char *kolk__mcp_initialize_text(struct mcp_loop *loop, const struct mcp_identity *identity,
				uint64_t *id)
{
	static const char format[] = "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":\"initialize\","
				     "\"params\":%s}";
	size_t max = sizeof format + 20 + identity->params->size;
	char *text = malloc(max);

	*id = kolk__mcp_next_id(loop);
	if (text != NULL)
		(void)snprintf(text, max, format, (unsigned long long)*id, identity->params->text);
	return text;
}

static enum kolk_err send_initialize(struct making *making)
{
	static const struct mcp_post_handler handler = { .head = on_head, .message = on_message,
							 .end = initialize_ended };
	struct mcp_post_options options = { .method = "POST",
					    .identity = making->session->identity,
					    .deadline_ns = making->deadline_ns };

	making->body = kolk__mcp_initialize_text(making->loop, options.identity, &making->id);
	if (making->body == NULL)
		return KOLK_E_MEMORY;
	options.body = making->body;
	options.body_size = strlen(making->body);
	return kolk__mcp_post_start(&making->post, making->loop, &handler, &options);
}

static struct making *making_make(struct kolk_mcp *mcp, struct mcp_identity *identity)
{
	struct making *making = calloc(1, sizeof *making);

	if (making != NULL)
		making->session = calloc(1, sizeof *making->session);
	if (making == NULL || making->session == NULL) {
		free(making);
		return NULL;
	}
	making->loop = kolk__mcp_loop(mcp, kolk_loop_current());
	making->session->identity = identity;
	return making;
}

/* Whether a session is asked for by GET at once. */
static bool is_http_sse(const struct kolk_mcp *mcp)
{
	return mcp->options.transport == KOLK_MCP_HTTP_SSE ||
	       (mcp->options.transport == KOLK_MCP_HTTP_AUTO &&
		kolk_in_ns(0) < kolk__load_relaxed(&mcp->http_sse_until_ns));
}

static void begin_create(void *user, struct kolk_resource_op *op,
			 const struct kolk_resource_request *request)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct mcp_identity *identity = kolk__mcp_identity_of(user, request->key);
	struct making *making;
	enum kolk_err err;

	if (identity != NULL &&
	    kolk__mcp_pipe_session_create(kolk__mcp_loop(user, kolk_loop_current()), identity, op,
					  request->deadline_ns))
		return;
	if (identity != NULL && is_http_sse(user)) {
		kolk__mcp_http_sse_create(kolk__mcp_loop(user, kolk_loop_current()), identity, op,
					  request->deadline_ns);
		return;
	}
	making = identity != NULL ? making_make(user, identity) : NULL;
	if (making == NULL) {
		/* No client is left that it could be made for; or no memory. */
		failure.err = identity == NULL ? KOLK_E_DRAINING : KOLK_E_MEMORY;
		if (identity != NULL)
			kolk__mcp_identity_unref(identity);
		kolk_resource_failed(op, &failure);
		return;
	}
	making->op = op;
	making->deadline_ns = kolk__mcp_making_deadline(request->deadline_ns);
	err = send_initialize(making);
	if (err != KOLK_PENDING)
		making_failed(making, err, "initialize");
}

static void begin_ping(void *user, struct kolk_resource_op *op, void *resource)
{
	kolk__mcp_pipe_session_ping(kolk__mcp_loop(user, kolk_loop_current()), resource, op);
}

static void begin_destroy(void *user, struct kolk_resource_op *op, void *resource)
{
	struct mcp_session *session = resource;

	if (session->endpoint != NULL)
		kolk__mcp_http_sse_destroy(session, op);
	else
		kolk__mcp_session_end(kolk__mcp_loop(user, kolk_loop_current()), session, op);
}

const struct kolk_resource_driver kolk__mcp_sessions = {
	.size = sizeof kolk__mcp_sessions,
	.name = "mcp",
	.begin_create = begin_create,
	.begin_ping = begin_ping,
	.begin_destroy = begin_destroy,
};
