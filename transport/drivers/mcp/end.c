/* SPDX-License-Identifier: Apache-2.0 */
/*
 * end.c - sessions of Streamable HTTP are ended: DELETE.
 *
 * The calls of its tenant may have all connections. A session that is dropped then stays at the
 * server, so DELETE waits for a connection for as long as a call may last, END_MAX_NS at most; once
 * a connection has it, the server has END_ANSWER_NS. Meanwhile the session counts against all
 * limits of its pool, as it does at the server; those of makings that failed are in no pool, so no
 * more than ENDS_MAX of a loop wait for longer than END_ANSWER_NS. When the upstream is closed, its
 * deadline ends what still waits.
 */
#include <stdlib.h>

#include "transport/drivers/mcp/inside.h"

#define END_ANSWER_NS KOLK_S_NS
#define END_MAX_NS (60 * KOLK_S_NS)
/* How often one that is under way is looked at: whether it was sent, or is to be given up. */
#define END_LOOK_NS (100 * KOLK_MS_NS)
enum { ENDS_MAX = 256 };

struct ending {
	struct mcp_post post;
	struct kolk_resource_op *op; /* NULL = of a making that failed */
	struct mcp_session *session;
	struct kolk_timer timer;
	uint64_t deadline_ns;
	bool again;                  /* it was sent once more */
};

static void end_done(struct mcp_session *session, struct kolk_resource_op *op)
{
	kolk__mcp_session_free(session);
	if (op != NULL)
		kolk_resource_done(op);
}

static enum kolk_err send_delete(struct ending *ending, struct mcp_loop *loop);

/* The connection ended without an answer: the session may be there yet, and once it is gone another
 * DELETE does no harm. */
static bool is_sent_again(struct ending *ending, enum kolk_err err)
{
	if ((err != KOLK_E_CLOSED && err != KOLK_E_RESET) || ending->again)
		return false;
	ending->again = true;
	return send_delete(ending, ending->post.loop) == KOLK_PENDING;
}

static void delete_ended(struct mcp_post *post, enum kolk_err err)
{
	struct ending *ending = mcp_container_of(post, struct ending, post);
	struct mcp_loop *loop = post->loop;

	if (is_sent_again(ending, err))
		return;
	/* 405: the server lets no client end sessions. 404: it had ended it. */
	if (err != KOLK_OK || post->status >= 500 || post->status == 401 || post->status == 403)
		kolk__add_relaxed(&loop->counts.close_failed, 1);
	kolk_timer_stop(&ending->timer);
	loop->ends--;
	end_done(ending->session, ending->op);
	if (ending->op == NULL)
		kolk__mcp_client_freed(loop->mcp);
	free(ending);
}

static enum kolk_err send_delete(struct ending *ending, struct mcp_loop *loop)
{
	static const struct mcp_post_handler handler = { .end = delete_ended };
	const struct mcp_post_options options = { .method = "DELETE",
						  .identity = ending->session->identity,
						  .session = ending->session, .replayable = true,
						  .deadline_ns = ending->deadline_ns };

	return kolk__mcp_post_start(&ending->post, loop, &handler, &options);
}

/* Whether it is to be given up before its deadline. */
static bool is_over(const struct ending *ending, uint64_t now_ns)
{
	const struct kolk_http_exchange *exchange = ending->post.exchange;
	uint64_t carried_ns = exchange != NULL ? kolk_http_carried_ns(exchange) : 0;

	return (carried_ns != 0 && now_ns >= carried_ns + END_ANSWER_NS) ||
	       now_ns >= kolk__load_relaxed(&ending->post.loop->mcp->close_until_ns);
}

static void look(struct kolk_timer *timer, void *user)
{
	struct ending *ending = user;

	if (is_over(ending, kolk_in_ns(0)))
		kolk__mcp_post_cancel(&ending->post, KOLK_E_TIMEOUT);
	else
		(void)kolk_timer_start(ending->post.loop->loop, timer, kolk_in_ns(END_LOOK_NS), look,
				       ending);
}

static uint64_t longest_ns(const struct mcp_loop *loop)
{
	uint64_t call_ns = loop->mcp->options.request_timeout_ns;

	if (loop->ends >= ENDS_MAX)
		return END_ANSWER_NS;
	return call_ns < END_MAX_NS ? call_ns : END_MAX_NS;
}

/* False: it could not begin. */
static bool begin(struct mcp_loop *loop, struct mcp_session *session, struct kolk_resource_op *op)
{
	struct ending *ending = calloc(1, sizeof *ending);

	if (ending == NULL)
		return false;
	ending->op = op;
	ending->session = session;
	ending->deadline_ns = kolk_in_ns(longest_ns(loop));
	if (send_delete(ending, loop) != KOLK_PENDING) {
		free(ending);
		return false;
	}
	loop->ends++;
	if (op == NULL)
		kolk__mcp_wait_for_end(loop->mcp);
	(void)kolk_timer_start(loop->loop, &ending->timer, kolk_in_ns(END_LOOK_NS), look, ending);
	return true;
}

void kolk__mcp_session_end(struct mcp_loop *loop, struct mcp_session *session,
			   struct kolk_resource_op *op)
{
	const bool tells = session->id != NULL && !session->lost;

	kolk__store_relaxed(&session->identity->gone, true);
	if (op != NULL && kolk__mcp_pipe_session_end(loop, session, op))
		return;
	if (tells && begin(loop, session, op))
		return;
	if (tells)
		kolk__add_relaxed(&loop->counts.close_failed, 1);
	end_done(session, op);
}
