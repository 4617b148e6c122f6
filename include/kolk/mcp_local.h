/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/mcp_local.h - an MCP server in the program itself, called instead of connected to.
 *
 * An embedder's functions stand for the server of an upstream (kolk/mcp.h): its sessions are made,
 * pooled, isolated and counted like all others, but there is neither a connection nor a process.
 * Messages are JSON-RPC, as on every transport, of the legacy era.
 *
 * Threads:   the functions of a server run on the loop of the client whose session it is, or on the
 *            one on which a session is made or ended: never two of a session at a time, but
 *            sessions of several loops side by side. From step; never inside kolk_mcp_start or
 *            inside kolk_mcp_local_send.
 * Lifetime:  what `user` points to lives until kolk_mcp_close has returned; a session from its
 *            `open` until its `close` has returned; what is shown until the function returns.
 * May call:  `message` and `close` everything that may be called on a loop; `close` nothing of this
 *            header but kolk_mcp_local_user.
 */
#ifndef KOLK_MCP_LOCAL_H
#define KOLK_MCP_LOCAL_H

#include <kolk/mcp.h>

/* A session, as its server sees it. */
struct kolk_mcp_local;

/* A server: functions, copied. open and close may be NULL. */
struct kolk_mcp_server {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t reserved;           /* zero */
	void *user;                  /* shown to open */
	/* A session begins; its `initialize` follows as a message. KOLK_OK, with what
	 * kolk_mcp_local_user is to return in *session_user; or an error, with which the making of
	 * the session fails. NULL = KOLK_OK, *session_user = user. */
	enum kolk_err (*open)(void *user, struct kolk_mcp_local *session, void **session_user);
	/* Required. The client sent a message: its envelope, and its text. It is a request, to be
	 * answered by kolk_mcp_local_answer, now or later; a notification; or the answer to a request
	 * of the server (envelope->method is empty). */
	void (*message)(void *session_user, struct kolk_mcp_local *session,
			const struct kolk_mcp_envelope *envelope,
			const struct kolk_mcp_part *text);
	/* The session has ended, exactly once for each that was opened. */
	void (*close)(void *session_user, struct kolk_mcp_local *session);
};                                   /* since 0.1 */

KOLK_BEGIN

/* Open an upstream whose server is in this program: as kolk_mcp_open, without a pool of
 * connections. options: transport is not used (E_OPTIONS unless 0), nor are path and credentials;
 * name NULL = "local.mcp"; request_timeout_ns 0 = 60 s. Errors: those of kolk_mcp_open; E_OPTIONS
 * also of a server without `message`. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_mcp_local_open(struct kolk_engine *engine, const struct kolk_mcp_server *server,
		    const struct kolk_mcp_options *options, struct kolk_mcp **mcp);

/* What open has set. */
KOLK_API void *kolk_mcp_local_user(const struct kolk_mcp_local *session);

/* Whose session it is: kolk_key_options.tenant of its clients; "" = it has none, or it
 * is shared by tenants (KOLK_MCP_ISOLATION_SHARED). In `open`, and as long as the session lasts. */
KOLK_API const char *kolk_mcp_local_tenant(const struct kolk_mcp_local *session);

/* Send a message to the client: a notification, or a request of the server's own with an id that it
 * chose. It reaches the client from step; of a client that makes no call and does not listen, with
 * its next call. text is one message of JSON-RPC, copied. From the loop of the session alone: in
 * `message`, and as long as a request of the client is not answered, nor cancelled (`message` was
 * shown notifications/cancelled), or its listening lasts. Errors: E_THREAD (another loop),
 * E_PROTOCOL (no message), E_CLOSED (the session has ended), E_LIMIT (message_bytes_max are not
 * fetched by the client yet), E_MEMORY. */
KOLK_API enum kolk_err kolk_mcp_local_send(struct kolk_mcp_local *session, const void *text,
					   size_t size);

/* Answer a request. id: as in its envelope. One of result and error is JSON of that size, the other
 * NULL; all is copied. Where and errors: as kolk_mcp_local_send; E_OPTIONS (id or the answer is not
 * JSON). No E_LIMIT for the first answer to a request that waits for one. */
KOLK_API enum kolk_err kolk_mcp_local_answer(struct kolk_mcp_local *session, const void *id,
					     size_t id_size, const struct kolk_mcp_result *answer);

/* End the session, as a server's process that exits: calls under way end with E_CLOSED, the client
 * has lost it. Where: as kolk_mcp_local_send. `close` follows. */
KOLK_API void kolk_mcp_local_end(struct kolk_mcp_local *session);

KOLK_END

#endif
