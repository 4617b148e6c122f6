/* SPDX-License-Identifier: Apache-2.0 */
/* inside.h - what the files of the MCP client call of one another; mcp.h has the structs. */
#ifndef KOLK_DRIVERS_MCP_INSIDE_H
#define KOLK_DRIVERS_MCP_INSIDE_H

#include "transport/drivers/mcp/mcp.h"

/* --- options.c --- */
enum kolk_err kolk__mcp_options_read(struct kolk_mcp *mcp, const struct kolk_mcp_options *options,
				     const char **field);
/* kolk_failure of options, if there is one. Returns err. */
enum kolk_err kolk__mcp_refuse(const struct kolk_mcp_options *options, enum kolk_err err,
			       const char *field);

/* --- upstream.c --- */
struct mcp_loop *kolk__mcp_loop(struct kolk_mcp *mcp, const struct kolk_loop *loop);
/* On the loop: so long from its step's time on, which is read once; KOLK_FOREVER stays. */
static inline uint64_t kolk__mcp_in_ns(const struct mcp_loop *loop, uint64_t ns)
{
	uint64_t now_ns = kolk_loop_now(loop->loop);

	return ns < KOLK_FOREVER - now_ns ? now_ns + ns : KOLK_FOREVER;
}
void kolk__mcp_client_opened(struct kolk_mcp *mcp);
void kolk__mcp_client_freed(struct kolk_mcp *mcp);
/* kolk_mcp_close waits for something that is in no pool, until kolk__mcp_client_freed. */
void kolk__mcp_wait_for_end(struct kolk_mcp *mcp);

/* --- identity.c --- */
/* Find or make; one reference and one client are the caller's. */
enum kolk_err kolk__mcp_identity_open(struct kolk_mcp *mcp,
				      const struct kolk_mcp_client_options *options,
				      struct mcp_identity **identity);
/* A client goes, with its reference. */
void kolk__mcp_identity_close(struct mcp_identity *identity);
/* The one of this key, with a reference; NULL = no client has it, and no session. */
struct mcp_identity *kolk__mcp_identity_of(struct kolk_mcp *mcp, const struct kolk_key *key);
void kolk__mcp_identity_unref(struct mcp_identity *identity);
/* The upstream is being freed. */
void kolk__mcp_identities_free(struct kolk_mcp *mcp);

/* --- session.c --- */
extern const struct kolk_resource_driver kolk__mcp_sessions;

/* One that no request has told its end. */
void kolk__mcp_session_free(struct mcp_session *session);
/* The result of initialize is taken into the session. Errors: E_SERVER, E_UNSUPPORTED, E_MEMORY. */
enum kolk_err kolk__mcp_session_take(struct mcp_session *session,
				     const struct mcp_message *message);
/* When the making of a session gives up by itself: a bit before its time is over, to say why. */
uint64_t kolk__mcp_making_deadline(uint64_t deadline_ns);
/* What its end comes to: one that got no connection in time waited for others of its tenant, or of
 * the pool, and says nothing of the server. */
enum kolk_err kolk__mcp_making_error(enum kolk_err err, bool connected);
/* The detail of a session that was not made: what HTTP said to initialize. Static. */
const char *kolk__mcp_initialize_failed(uint32_t status);
/* The text of initialize, malloc'd, and its id. */
char *kolk__mcp_initialize_text(struct mcp_loop *loop, const struct mcp_identity *identity,
				uint64_t *id);

/* --- end.c --- */
/* The server is told that it has ended, then it is freed and the operation completed; op NULL = it
 * is of a making that failed. */
void kolk__mcp_session_end(struct mcp_loop *loop, struct mcp_session *session,
			   struct kolk_resource_op *op);

/* --- stdio.c --- */
void kolk__mcp_stdio_create(struct mcp_loop *loop, struct mcp_identity *identity,
			    struct kolk_resource_op *op, uint64_t deadline_ns);

/* --- http_sse.c --- */
void kolk__mcp_http_sse_create(struct mcp_loop *loop, struct mcp_identity *identity,
			       struct kolk_resource_op *op, uint64_t deadline_ns);
void kolk__mcp_http_sse_destroy(struct mcp_session *session, struct kolk_resource_op *op);

/* --- endpoint.c --- */
/* The target of requests to an endpoint, malloc'd. Errors: E_PROTOCOL (it is none, or one of
 * another origin), E_MEMORY. */
enum kolk_err kolk__mcp_endpoint(const struct kolk_mcp *mcp, struct mcp_text text, char **target);

/* --- ws.c --- */
void kolk__mcp_ws_create(struct mcp_loop *loop, struct mcp_identity *identity,
			 struct kolk_resource_op *op, uint64_t deadline_ns);

/* --- local.c --- */
void kolk__mcp_local_create(struct mcp_loop *loop, struct mcp_identity *identity,
			    struct kolk_resource_op *op, uint64_t deadline_ns);

/* --- pipe_session.c --- */
/* A session of a transport with a wire is made. False: over HTTP. */
bool kolk__mcp_pipe_session_create(struct mcp_loop *loop, struct mcp_identity *identity,
				   struct kolk_resource_op *op, uint64_t deadline_ns);
/* There is a pipe for it: initialize (not of a child that is shared), then the operation is
 * completed. */
void kolk__mcp_pipe_session(struct mcp_pipe *pipe, struct mcp_identity *identity,
			    struct kolk_resource_op *op, uint64_t deadline_ns);
/* There is none. */
void kolk__mcp_pipe_session_failed(struct mcp_identity *identity, struct kolk_resource_op *op,
				   enum kolk_err err);
/* Of an idle one: the operation is completed. */
void kolk__mcp_pipe_session_ping(struct mcp_loop *loop, struct mcp_session *session,
				 struct kolk_resource_op *op);
/* Say the last words, free it, complete the operation. False: there are none, nothing is done. */
bool kolk__mcp_pipe_session_end(struct mcp_loop *loop, struct mcp_session *session,
				struct kolk_resource_op *op);

/* --- group.c --- */
void kolk__mcp_group_init(struct mcp_group *group, struct mcp_loop *loop,
			  struct mcp_identity *identity);
/* The call waits for a session in its group, which it gets, and its client, if they have none:
 * kolk__mcp_call_send, or kolk__mcp_call_end_soon, will be called, also at once. */
void kolk__mcp_group_enqueue(struct kolk_mcp_call *call);
/* It does not wait any more. */
void kolk__mcp_group_remove(struct kolk_mcp_call *call);
/* It is done with its session. */
void kolk__mcp_group_leave(struct kolk_mcp_call *call);
/* Its session is lost: nothing else is sent on it. */
void kolk__mcp_group_lost(struct kolk_mcp_call *call);
/* No call is left: give back what is held. */
void kolk__mcp_group_close(struct mcp_group *group);

/* --- client.c --- */
/* Free it, if it is being closed and has no call. */
void kolk__mcp_client_check(struct kolk_mcp_client *client);
/* It has its group, unless it is EXCLUSIVE. False: no memory. */
bool kolk__mcp_client_ready(struct kolk_mcp_client *client);

/* --- legacy.c --- */
/* Before it is sent in a session: its message says nothing that only the modern era has. */
void kolk__mcp_legacy_strip(struct kolk_mcp_call *call);

/* --- token.c --- */
void kolk__mcp_tokens_free(struct mcp_identity *identity);
/* The field of a request, malloc'd; NULL = none. */
enum kolk_err kolk__mcp_authorization(const struct mcp_post_options *options, char **value);
uint64_t kolk__mcp_token_hash(const char *value);
/* It was answered with 401, and there is another token now. */
bool kolk__mcp_token_renewed(const struct mcp_post *post, struct mcp_identity *identity);
/* All fields of WWW-Authenticate as one; malloc'd; NULL = none. */
char *kolk__mcp_challenge(const struct kolk_http_head *head);
/* A session of the identity was refused; and what a call for one is told of it. */
void kolk__mcp_refused(struct mcp_identity *identity, const struct mcp_post *post);
void kolk__mcp_refusal(struct kolk_mcp_call *call, struct kolk_mcp_result *result);

/* --- call.c --- */
void kolk__mcp_call_send(struct kolk_mcp_call *call);
void kolk__mcp_call_end_soon(struct kolk_mcp_call *call, enum kolk_err err);
/* It is due: it ends with E_TIMEOUT; what is left of it on the wire, if it has ended. */
void kolk__mcp_call_expire(struct kolk_mcp_call *call);
/* A message for it has come. */
void kolk__mcp_call_message(struct kolk_mcp_call *call, const struct mcp_message *message);
/* What it was sent on broke; it is not on it any more. */
void kolk__mcp_call_broken(struct kolk_mcp_call *call, enum kolk_err err);

/* Its era is known: it waits for a session, or is sent. */
void kolk__mcp_call_go(struct kolk_mcp_call *call, enum kolk_mcp_era era);

/* Send it: a post of a call's own. */
void kolk__mcp_call_post(struct kolk_mcp_call *call, struct mcp_post_options *options);

/* --- due.c --- */
/* kolk__mcp_call_expire then, unless another time is set before; KOLK_FOREVER = never. */
void kolk__mcp_call_due(struct kolk_mcp_call *call, uint64_t due_ns);

/* --- first_byte.c --- */
/* Something for a call has come: the first is counted. */
void kolk__mcp_first_byte(struct kolk_mcp_call *call);

/* --- cancel.c --- */
/* The server is told, if it has it. */
void kolk__mcp_cancel_on_wire(struct kolk_mcp_call *call);
/* The note that says so has ended. */
void kolk__mcp_call_noted(struct kolk_mcp_call *call);
/* It is time for the second one. False: there is to be none. */
bool kolk__mcp_cancel_again(struct kolk_mcp_call *call);

/* --- resume.c --- */
/* Its stream ended without an answer. True: it will be asked for what follows, unless stopped. */
bool kolk__mcp_resume(struct kolk_mcp_call *call);
void kolk__mcp_resume_stop(struct kolk_mcp_call *call);
/* Of one that listens: what the event of a message says of its stream; an event without one. */
void kolk__mcp_resume_show(const struct kolk_mcp_call *call, struct kolk_mcp_message *shown);
void kolk__mcp_resume_mark(struct mcp_post *post);

/* --- modern.c --- */
/* A message of the modern era, and what its header says of it. */
struct mcp_modern {
	char version[16], method[132];
	char *name; /* as a field; NULL = none */
	char *body;
	size_t body_size;
};
/* Made of a message without _meta, or with one that is kept if it has a version. NULL: no
 * memory. */
struct mcp_modern *kolk__mcp_modern_make(const struct mcp_identity *identity, const char *body,
					 size_t body_size);
void kolk__mcp_modern_free(struct mcp_modern *modern);

/* --- era.c --- */
/* kolk__mcp_call_go now, or when the era is known; or kolk__mcp_call_end_soon. */
void kolk__mcp_era_enqueue(struct kolk_mcp_call *call);
/* It does not wait for that any more. */
void kolk__mcp_era_remove(struct kolk_mcp_call *call);
/* What was believed is refuted: ask again. */
void kolk__mcp_era_forget(struct kolk_mcp *mcp);

/* --- request.c --- */
/* Zeros but for its client; NULL = no memory. */
struct kolk_mcp_call *kolk__mcp_call_new(struct kolk_mcp_client *client);
/* Check a request, make a call with a copy of it. Errors: E_OPTIONS, E_MEMORY. */
enum kolk_err kolk__mcp_call_make(struct kolk_mcp_client *client,
				  const struct kolk_mcp_request *request,
				  struct kolk_mcp_call **call);
void kolk__mcp_call_free(struct kolk_mcp_call *call);
/* Its request is sent for good: free what is not needed any more. Else nothing happens. */
void kolk__mcp_call_forget(struct kolk_mcp_call *call);
/* The next id of a request. */
uint64_t kolk__mcp_next_id(struct mcp_loop *loop);

/* --- note.c --- */
/* Send a message (malloc'd, taken over) on a session and forget it; call, or NULL: told of its end
 * (kolk__mcp_call_noted), unless its `note` is cleared before. Errors: those of kolk_http_start. */
enum kolk_err kolk__mcp_note_send(struct mcp_loop *loop, const struct mcp_session *session,
				  char *message, struct kolk_mcp_call *call);
void kolk__mcp_note_forget(struct kolk_mcp_call *call);
/* Answer a request of the server that came on a pipe: rest is what follows the id, to the end of
 * the message. */
void kolk__mcp_note_answer(struct mcp_loop *loop, struct mcp_pipe *pipe, struct mcp_text id,
			   const char *rest);
/* Answer a message if it is a `ping`. */
void kolk__mcp_note_pong(struct mcp_loop *loop, struct mcp_pipe *pipe,
			 const struct mcp_message *message);

#endif
