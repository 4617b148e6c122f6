/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/mcp.h - calls to an MCP server (modelcontextprotocol.io) over sessions that are pooled.
 *
 * An upstream is a server: a pool of connections to it, which the embedder adds
 * (kolk_driver_http(), its address, TLS), and a pool of sessions, which kolk_mcp_open adds. A
 * session is made by `initialize` -> version check -> `notifications/initialized`, kept, and ended
 * by DELETE; a call on a session that is there costs no other round trip. Sessions have limits of
 * their own (kolk_engine_options.resources_max must not be 0), and are seen, drained and counted as
 * connections are: kolk_mcp_pool.
 *
 * Whose sessions a client may use is `isolation`, how it uses them is `sharing`. A client is one
 * caller's view of an upstream, on one loop: an identity, and what it tells the server of itself.
 * Only the envelope of a message is read; params, results and errors are passed on byte for byte.
 *
 * Threads:   kolk_mcp_open, _close, _pool and _stats from any; those of clients and calls, and all
 *            handlers, on the client's loop. kolk_mcp_call is for plain threads and blocks.
 * Lifetime:  a call lives from kolk_mcp_start until its `end` has returned; a client until
 *            kolk_mcp_client_close, after its last call; an upstream until kolk_mcp_close, after
 *            its last client; the pool of connections longer than that.
 * Handlers:  run from step, never inside kolk_mcp_start. They may call everything here that takes a
 *            client or a call. What they are shown lives until they return.
 */
#ifndef KOLK_MCP_H
#define KOLK_MCP_H

#include <kolk/http.h>
#include <kolk/options.h>
#include <kolk/pool.h>
#include <kolk/scope.h>

struct kolk_mcp;
struct kolk_mcp_client;
struct kolk_mcp_call;
struct kolk_mcp_envelope;

/* The eras of the protocol. Versions up to 2025-11-25 have sessions. In 2026-07-28 requests
 * are stateless: nothing below about sessions holds, isolation and sharing do nothing, and there is
 * no kolk_mcp_reply: what the server needs is in results ("resultType":"input_required"). The
 * library adds to params what every request says (_meta: version, capabilities, client_info, unless
 * the caller did), and the fields MCP-Protocol-Version, Mcp-Method and Mcp-Name; Mcp-Param-* are
 * the caller's. */
enum kolk_mcp_era {
	/* The server is asked (server/discover) before the first call, for all callers at once, and
	 * again after an hour, or when it answers as one of the other era does. */
	KOLK_MCP_ERA_AUTO = 0,
	KOLK_MCP_LEGACY,
	KOLK_MCP_MODERN
};

/* How messages travel. */
enum kolk_mcp_transport {
	KOLK_MCP_HTTP = 0, /* Streamable HTTP: the pool's driver is kolk_driver_http() */
	/* Lines to and from a child process: the pool has kolk_pool_options.child and no driver. A
	 * session is a child, taken for the client's tenant; its end is the child's
	 * (kolk/child.h). With era MODERN a child has no session, and serves all clients of its
	 * tenant that say the same of themselves, up to requests_max calls at a time: sharing is
	 * MULTIPLEXED. fields, credentials, head and status are not used. A message of the child
	 * that is too long is dropped, and the call that it answers ends with E_LIMIT; all calls of
	 * the child do, if it breaks off and does not say which. A child that ends has lost its
	 * session. */
	KOLK_MCP_STDIO,
	/* HTTP+SSE, of servers of 2024-11-05 (deprecated): `path` is that of the stream (GET), whose
	 * first event names the endpoint that messages are posted to; one of another origin fails the
	 * session (E_PROTOCOL). All answers come on the stream. The stream is the session: when it
	 * ends, the session is lost. It holds a connection for as long (HTTP/2: a stream), so the
	 * pool's connections_max must be larger than the sessions of a tenant. Legacy era alone. Not
	 * with kolk_http_driver_options.base_path: it belongs into `path`. */
	KOLK_MCP_HTTP_SSE,
	/* HTTP; of servers that answer initialize with 400, 404 or 405, HTTP_SSE. That is believed
	 * for an hour. */
	KOLK_MCP_HTTP_AUTO,
	/* Text messages of a WebSocket (RFC 6455, subprotocol "mcp"), which an HTTP/1.1 connection
	 * is upgraded to: the pool's driver is kolk_driver_http(), and over TLS it offers HTTP/1.1
	 * alone (struct kolk_http_driver_options.protocols). A session is a connection, and ends
	 * with it. Legacy era alone. fields, head and status are not used. A frame that breaks the
	 * rules closes the connection with its code; a message that is too long is as of STDIO.
	 * E_UNSUPPORTED from kolk_mcp_open: the library was built without libwslay. */
	KOLK_MCP_WEBSOCKET
};

/* Whose sessions may be used again: nothing of MCP makes a used session new. */
enum kolk_mcp_isolation {
	KOLK_MCP_ISOLATION_SESSION = 0, /* those of the same tenant, credential and session */
	KOLK_MCP_ISOLATION_TENANT,      /* of the same tenant and credential */
	KOLK_MCP_ISOLATION_SHARED       /* of the same credential: tenants are not looked at */
};                                      /* always: and of the same protocol version, capabilities
                                         * and client_info, which a session keeps */

/* How a client uses sessions. */
enum kolk_mcp_sharing {
	/* One session for each client, made at its first call, never shared while the client is
	 * open. With isolation session it ends with the client, and may be evicted between two calls
	 * (limits, idle time-out): the client is lost then (kolk_mcp_result.lost). With others it
	 * is held until the client is closed, and serves another client then. */
	KOLK_MCP_BOUND = 0,
	/* The same, but no other client sent anything on the session before, and it is ended with
	 * its client: idle_min of them are kept ready. A client that asked for initialize alone
	 * leaves it to the next one, but with isolation session. */
	KOLK_MCP_VIRGIN,
	/* A session for each call, which serves no other one at that time: for servers that keep
	 * nothing between two calls. */
	KOLK_MCP_EXCLUSIVE,
	/* Up to requests_max calls at a time on one session, also of several clients of the same
	 * identity on a loop. Capabilities are "{}": requests of the server are refused. */
	KOLK_MCP_MULTIPLEXED
};

/* An upstream. Texts are copied. */
struct kolk_mcp_options {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t isolation;          /* enum kolk_mcp_isolation */
	uint32_t sharing;            /* enum kolk_mcp_sharing */
	uint32_t requests_max;       /* MULTIPLEXED: calls at a time on a session; 0 = 100 */
	uint32_t era;                /* enum kolk_mcp_era; STDIO, HTTP_SSE: 0 = legacy, it is not asked */
	uint32_t transport;          /* enum kolk_mcp_transport */
	const char *name;            /* of the pool of sessions; NULL = that of the connections and
	                              * ".mcp" */
	const char *path;            /* of the MCP endpoint; NULL = "/mcp"; visible ASCII */

	/* The pool of sessions, as of struct kolk_pool_options. */
	uint32_t sessions_max;       /* per key; 0 = 10 */
	uint32_t pool_sessions_max;  /* all keys; 0 = KOLK_UNLIMITED */
	uint32_t idle_min;           /* per key, kept ready; 0 = none */
	uint32_t waiters_max;        /* calls that wait for a session or the era, per key; 0 = 1000 */
	uint64_t idle_timeout_ns;    /* of sessions; 0 = 30 min; KOLK_FOREVER */
	uint64_t lifetime_ns;        /* of sessions; 0 = 24 h; KOLK_FOREVER */
	uint64_t acquire_timeout_ns; /* the longest wait for a session; 0 = 10 s */
	/* To make one; 0 = 10 s. E_QUEUE_FULL: no connection, or child, was to be had in that time,
	 * which is not counted as a fault of the server. */
	uint64_t initialize_timeout_ns;
	uint64_t ping_interval_ns;   /* WEBSOCKET: idle ones get a ping frame, up to 10 % earlier;
	                              * 0 = 15 s; KOLK_FOREVER. Not MCP's ping */

	uint64_t request_timeout_ns; /* of a call without a deadline, from its start; 0 = that of the
	                              * connections' pool; KOLK_FOREVER */
	uint64_t message_bytes_max;  /* of a message of the server; more is E_LIMIT; 0 = 16 MiB;
	                              * 1 KiB .. 1 GiB */

	/* What clients tell of themselves unless their own options say otherwise. */
	const char *client_name;     /* NULL = "kolk" */
	const char *client_version;  /* NULL = that of the library */
	const char *capabilities;    /* JSON, an object; NULL = "{}" */
	const char *protocol_version; /* that is asked for; NULL = "2025-11-25". A server may answer
	                              * with an older one */

	/* The token of a request: asked for on the loop, for each request anew, and sent as
	 * "Authorization: Bearer SECRET". key is the session's. NULL = none is sent. After 401 to a
	 * call, to `initialize`, to the request for a WebSocket or to the question for the era it is
	 * asked once more; another token is tried, once. */
	kolk_credentials_fn *credentials;
	void *credentials_user;
	struct kolk_failure *failure; /* NULL, or filled when open fails; borrowed */
};                                   /* since 0.1 */

/* A client. All is copied. */
struct kolk_mcp_client_options {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t reserved;           /* zero */
	/* Whose it is: tenant, credential, session (at most 255 bytes each of tenant and session).
	 * credential is whom the token belongs to, not the token: a token that was refreshed must
	 * find the same sessions. session is required with isolation session, unless the client
	 * has a session of its own (BOUND, VIRGIN). NULL = no tenant. */
	const struct kolk_key_options *who;
	/* For `initialize`; NULL = the upstream's. */
	const char *protocol_version;
	const char *capabilities;    /* JSON, an object; not with MULTIPLEXED */
	const char *client_info;     /* JSON, an object: {"name":...,"version":...} */
	/* What `credentials` of the upstream is called with for this client's requests and for
	 * sessions of its identity; lives until kolk_mcp_close, and is the same for the same `who`.
	 * NULL = credentials_user. */
	void *credentials_user;
	/* NULL, or it is closed when this ends, unless it was before: from any thread, on its loop's
	 * next step if that is another. kolk_mcp_client_close is called by the scope's thread then,
	 * or while it waits for that. */
	struct kolk_scope *scope;
};                                   /* since 0.1 */

/* A request or a notification. All of it is copied by kolk_mcp_start. */
struct kolk_mcp_request {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t notification;       /* 1 = no answer is expected but its acceptance */
	const char *method;          /* required; up to 128 bytes of printable ASCII, no blanks, quotes
	                              * or backslashes. "initialize" makes the session, or takes a
	                              * pooled one, and tells what its server said: no round trip
	                              * of its own. (Modern: E_UNSUPPORTED) */
	const void *params;          /* JSON, an object; NULL = none. Not checked beyond its
	                              * envelope: it must be well-formed */
	size_t params_size;
	/* More fields of the HTTP request, as traceparent: rules as of struct kolk_http_request;
	 * up to 48, and none that is this library's (Accept, Content-Type, Mcp-Session-Id,
	 * Mcp-Protocol-Version, Mcp-Method, Mcp-Name, Last-Event-ID; Authorization with
	 * credentials): E_OPTIONS. */
	const struct kolk_http_field *fields;
	uint32_t field_count;
	/* 1 = it does no harm when it is done twice: it is sent once more when its connection failed
	 * without a byte of an answer. A request that its session's loss kept from being processed
	 * (404) is always sent once more, on a new session, except of BOUND and VIRGIN clients. */
	uint32_t replayable;
	uint64_t deadline_ns;        /* of all of it; absolute; 0 = request_timeout_ns from now;
	                              * KOLK_FOREVER. Then it is cancelled as by kolk_mcp_cancel */
	/* NULL, or it is cancelled when this ends, which is on the loop; its `end` still runs. */
	struct kolk_scope *scope;
	/* NULL, or, without params, those of a message that was read (kolk_mcp_read,
	 * kolk_mcp_read_array): they are not read again. */
	const struct kolk_mcp_envelope *message;
};                                   /* since 0.1 */

/* A message of the server that is no answer. Neither text ends with a zero. */
struct kolk_mcp_message {
	uint32_t size;               /* of this struct */
	uint32_t method_size;
	const char *method;
	const void *params;          /* JSON; NULL = none. The progress token is the caller's */
	size_t params_size;
	const void *id;              /* of a request: JSON, for kolk_mcp_reply; NULL otherwise */
	size_t id_size;
	/* Modern: the subscriptionId in params._meta, JSON; NULL = none. It is the library's id of the
	 * call, which stands for the caller's. */
	const void *subscription;
	size_t subscription_size;
	/* On a stream of kolk_mcp_listen over HTTP: the last id that the stream's events had, up to
	 * this message's, for kolk_mcp_listen_after; NULL = none. */
	const char *event_id;
	size_t event_id_size;
	/* Likewise: 1 = its event says that the server wants its client to wait for retry_ms before it
	 * asks for the stream again. */
	uint32_t has_retry;
	uint32_t reserved;
	uint64_t retry_ms;
};

/* How a call ended. */
struct kolk_mcp_result {
	uint32_t size;               /* sizeof; set by KOLK_INIT for kolk_mcp_call */
	/* KOLK_OK = there is a result, or a notification was accepted. E_SERVER: the server answered
	 * with an error (`error`), or with another HTTP status. E_AUTH: 401 or 403. E_CLOSED with
	 * lost. E_LIMIT: message_bytes_max. E_PROTOCOL: no MCP. E_TIMEOUT, E_CANCELLED, E_MEMORY (a
	 * child or a WebSocket did not get the call), and those of kolk_acquire and of
	 * kolk_http_handler.end. */
	enum kolk_err err;
	const void *result;          /* JSON; NULL = none */
	size_t result_size;
	const void *error;           /* JSON, an object {"code":...,"message":...}; NULL = none */
	size_t error_size;
	int32_t error_code;          /* of it; 0 = none */
	uint32_t status;             /* of the HTTP answer; 0 = none came */
	uint32_t lost;               /* 1 = the session of this client is gone, and what the server
	                              * kept in it: every later call of the client ends so, too */
	uint32_t reused;             /* 1 = on a session that was used before */
	uint32_t remade;             /* 1 = its session was lost, and it was sent on a new one */
	uint32_t reserved;
	void *memory;                /* kolk_mcp_call: what kolk_mcp_result_free frees */
	/* WWW-Authenticate of 401 or 403, several as one list; also of a session that could not be
	 * made for that. NULL = none. */
	const char *challenge;
};                                   /* since 0.1 */

/* What a call tells. All may be NULL but `end`. user is kolk_mcp_start's. */
struct kolk_mcp_handler {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t reserved;           /* zero */
	/* The head of its HTTP answer: status, WWW-Authenticate. Again if it is sent once more. */
	void (*head)(void *user, struct kolk_mcp_call *call, const struct kolk_http_head *head);
	/* A notification that belongs to it, as notifications/progress, as soon as it has come. */
	void (*notification)(void *user, struct kolk_mcp_call *call,
			     const struct kolk_mcp_message *message);
	/* The server asks something; answer with kolk_mcp_reply, now or until `end`. NULL = it is told
	 * that there is no such method. `ping` is answered by the library. */
	void (*request)(void *user, struct kolk_mcp_call *call,
			const struct kolk_mcp_message *message);
	/* The end, exactly once, unless kolk_mcp_start refused. */
	void (*end)(void *user, struct kolk_mcp_call *call, const struct kolk_mcp_result *result);
	/* On a stream of kolk_mcp_listen over HTTP: an event without a message, that has an id or says
	 * how long to wait. Of event only these are set. */
	void (*mark)(void *user, struct kolk_mcp_call *call, const struct kolk_mcp_message *event);
};                                   /* since 0.1 */

/* A part of a text that was read; size 0 = it is not there. */
struct kolk_mcp_part {
	const char *data;
	size_t size;
};

/* What a proxy has to know of a message of a client. Parts are JSON, in the text that was read. */
struct kolk_mcp_envelope {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	int32_t fault_code;          /* of JSON-RPC, for the error that answers it; 0 = none */
	const char *fault;           /* static text; NULL = none */
	struct kolk_mcp_part id;     /* a string or an integer, as it is written */
	struct kolk_mcp_part params, result, error;
	struct kolk_mcp_part request_id; /* params.requestId, of notifications/cancelled */
	struct kolk_mcp_part capabilities, client_info; /* params.capabilities, .clientInfo */
	struct kolk_mcp_part name;   /* params.name, or params.uri if there is none: a string */
	struct kolk_mcp_part meta;   /* params._meta */
	struct kolk_mcp_part meta_capabilities; /* the client's capabilities in it */
	char method[129];            /* decoded; "" = it is an answer */
	char version[33];            /* params.protocolVersion, decoded; "" = none */
	char meta_version[33];       /* the protocol version in _meta, likewise */
	char modern;                 /* 1 = _meta says what only requests of 2026-07-28 say */
	char reserved[4];
	struct kolk_mcp_part meta_token; /* the progress token in it: a string, an integer, or null */
};                                   /* since 0.1 */

/* Since the upstream was opened. Sessions themselves are counted by their pool: created, reused,
 * dial (the time to make one), destroyed (kolk_pool_stats). */
struct kolk_mcp_stats {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t clients;            /* open now */
	uint64_t calls;              /* that began */
	uint64_t cancelled;          /* ended with E_CANCELLED or E_TIMEOUT */
	uint64_t lost;               /* sessions that the server did not know any more, or whose
	                              * stream (HTTP_SSE) ended */
	uint64_t remade;             /* calls that were sent once more for that */
	uint64_t close_failed;       /* sessions whose end the server did not confirm in time */
	uint64_t isolation_violations; /* sessions that a client may not have: always 0 */
	uint64_t virgin_hits;        /* VIRGIN: clients whose session was ready before they asked */
};                                   /* since 0.1 */

KOLK_BEGIN

/* The rows of struct kolk_mcp_options (kolk/options.h). */
KOLK_API const struct kolk_option_table *kolk_mcp_option_table(void);

/* Open an upstream on a pool of connections (see enum kolk_mcp_transport), which are
 * taken for the client's tenant. options NULL = defaults. Makes nothing yet. Errors: E_OPTIONS,
 * and those of kolk_pool_add and kolk_http_open. That the pool has another driver is told by the
 * calls: E_UNSUPPORTED. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_mcp_open(struct kolk_pool *connections,
						     const struct kolk_mcp_options *options,
						     struct kolk_mcp **mcp);

/* End it: sessions are ended (DELETE; those that the deadline, absolute, leaves are given up), and
 * all is freed. Every client is closed before. Blocks; not on a loop. Errors: E_IN_USE (a client is
 * open), E_THREAD, E_TIMEOUT (a loop does not run); nothing is freed then, and it may be called
 * again. Before kolk_pool_close of the connections, and before the engine is destroyed. */
KOLK_API enum kolk_err kolk_mcp_close(struct kolk_mcp *mcp, uint64_t deadline_ns);

/* What its server is, as far as is known: KOLK_MCP_ERA_AUTO = it has not been asked, or has not
 * said. Any thread. */
KOLK_API enum kolk_mcp_era kolk_mcp_era(const struct kolk_mcp *mcp);

/* The pool of its sessions, for statistics, limits, rotation; not to be closed. */
KOLK_API struct kolk_pool *kolk_mcp_pool(const struct kolk_mcp *mcp);

/* Its numbers. Errors: E_OPTIONS (stats->size). */
KOLK_API enum kolk_err kolk_mcp_stats(const struct kolk_mcp *mcp, struct kolk_mcp_stats *stats);

/* How long answers took to begin, since the upstream was opened: from when a connection had the
 * request until the head of its answer; without HTTP, from when it was queued until the first
 * message for it. cumulative[i] = how many took less than bounds_ns[i] (ascending; 16 steps per
 * doubling: one that took up to 6.3 % less may not be in it; up to 137 s), count and sum of all in
 * *total and *sum_ns. The wait for a session, or for a connection, is not in it. Any thread. */
KOLK_API void kolk_mcp_first_bytes(const struct kolk_mcp *mcp, const uint64_t *bounds_ns,
				   size_t bounds, uint64_t *cumulative, uint64_t *total,
				   uint64_t *sum_ns);

/* Read the envelope of one whole message of JSON-RPC, strictly: what two readers could read in two
 * ways is refused. Any thread; allocates nothing. Errors: E_PROTOCOL (it is no message: fault and
 * fault_code say why), E_UNSUPPORTED (an array of messages), E_OPTIONS (envelope->size). */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_mcp_read(const void *text, size_t size,
						     struct kolk_mcp_envelope *envelope);
/* Read an array of messages (2025-03-26), as strictly, and show the envelope of each, in order;
 * parts are in text. Errors: E_PROTOCOL (it is no such array, or of more than KOLK_MCP_ARRAY_MAX):
 * the last one that is shown has the fault, and those before it are not to be served. */
enum { KOLK_MCP_ARRAY_MAX = 100 };
typedef void kolk_mcp_read_fn(void *user, const struct kolk_mcp_envelope *envelope);
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_mcp_read_array(const void *text, size_t size,
							   kolk_mcp_read_fn *show, void *user);
/* Write what a string of JSON says to text, which has string.size bytes; returns how many. */
KOLK_API size_t kolk_mcp_decode(struct kolk_mcp_part string, char *text);

/* ---- on a loop */

/* Open a client on a loop, from any thread. options NULL = no tenant, the upstream's profile.
 * Makes nothing yet. Takes locks: keep it for the requests of a caller. Errors: E_OPTIONS,
 * E_MEMORY, and those of kolk_key_open. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_mcp_client_open(struct kolk_mcp *mcp, struct kolk_loop *loop,
		     const struct kolk_mcp_client_options *options,
		     struct kolk_mcp_client **client);

/* The token of the client's sessions, where the upstream has no `credentials`: sent with all that
 * follows (Authorization: Bearer TOKEN), but for a request with such a field of its own, and kept
 * to end sessions with. All clients of an identity have the one that was set last. Copied. NULL =
 * none. Errors: E_OPTIONS (a byte that no token has; `credentials`), E_MEMORY. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_mcp_client_set_token(struct kolk_mcp_client *client, const char *token);

/* Make idle_min sessions for clients of its identity and wait until they are ready; deadline_ns
 * 0 = do not wait. So many are kept while one of these clients is open. Blocks; not on a loop. (Not
 * kolk_pool_warm: that would make some of no client's.) Errors: as kolk_key_warm. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_mcp_client_warm(struct kolk_mcp_client *client,
							    uint64_t deadline_ns);

/* Close it: calls under way end with E_CANCELLED, from step; then it is freed. On its loop. */
KOLK_API void kolk_mcp_client_close(struct kolk_mcp_client *client);

/* Begin a request or a notification. KOLK_PENDING: *call (may be NULL) is set, and `end` will run.
 * Any other value: refused, no handler runs: E_OPTIONS (the request breaks a rule
 * above), E_MEMORY, E_THREAD. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_mcp_start(struct kolk_mcp_client *client, const struct kolk_mcp_request *request,
	       const struct kolk_mcp_handler *handler, void *user, struct kolk_mcp_call **call);

/* End it early: `end` runs from step with E_CANCELLED, no other handler before it. The server is
 * told (notifications/cancelled, never for initialize), its late answer is dropped, and the session
 * kept. Modern: its stream is closed or reset at once. Nothing happens when it has ended already
 * and `end` is about to run. */
KOLK_API void kolk_mcp_cancel(struct kolk_mcp_call *call);

/* Answer a request of the server (handler.request) on the session of the call. id: as shown. One of
 * result and error is JSON of that size, the other NULL; all is copied. Errors: E_OPTIONS,
 * E_MEMORY, E_CLOSED (the call has no session any more). */
KOLK_API enum kolk_err kolk_mcp_reply(struct kolk_mcp_call *call, const void *id, size_t id_size,
				      const struct kolk_mcp_result *answer);

/* Show no more messages of the call until kolk_mcp_resume: the server is slowed down. At most what
 * was received together with the last one still comes. */
KOLK_API void kolk_mcp_pause(struct kolk_mcp_call *call);
KOLK_API void kolk_mcp_resume(struct kolk_mcp_call *call);

/* Hear what the server says outside of calls (GET, one for each session): notification and request
 * of handler, until the server ends it, or it is cancelled. BOUND and VIRGIN only; the client's
 * session is made if there is none. `end`: E_SERVER with status 405 = the server has no such
 * stream. Errors: E_UNSUPPORTED (EXCLUSIVE, MULTIPLEXED), and those of kolk_mcp_start. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_mcp_listen(struct kolk_mcp_client *client, const struct kolk_mcp_handler *handler, void *user,
		struct kolk_mcp_call **call);

/* Likewise, from behind an event on (Last-Event-ID; Streamable HTTP, "Resumability and
 * Redelivery"): what the server kept of that event's stream comes first. event_id: 1 to 1 024 bytes
 * without control characters, copied, else E_OPTIONS; NULL = as kolk_mcp_listen. A server that does
 * not know the event may refuse, or begin with what is new. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_mcp_listen_after(struct kolk_mcp_client *client, const char *event_id,
		      const struct kolk_mcp_handler *handler, void *user,
		      struct kolk_mcp_call **call);

/* ---- on a plain thread */

/* Make a request and wait for its end, with a client whose loop is run by another. Notifications
 * are dropped, requests of the server refused. result is filled also on an error and is to be
 * freed. Returns result->err, or what kolk_mcp_start refused with; E_THREAD on a loop. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_mcp_call(struct kolk_mcp_client *client,
						     const struct kolk_mcp_request *request,
						     struct kolk_mcp_result *result);
KOLK_API void kolk_mcp_result_free(struct kolk_mcp_result *result);

KOLK_END

#endif
