/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fixture.h - an MCP server for tests and benches, of every era: HTTP+SSE (2024-11-05), Streamable
 * HTTP with sessions (2025-03-26, 2025-06-18, 2025-11-25), stateless (2026-07-28); over HTTP/1.1,
 * HTTP/2 and stdio. Slow, faulty and lying by switches. One loop does all of it. The program is
 * kolk-mcp-fixture.
 *
 * Paths: /mcp; /sse and /message (2024-11-05); GET /numbers; POST /forget (all sessions, as after a
 * restart) and POST /end-streams (GET and listen streams, gracefully).
 */
#ifndef KOLK_MCP_FIXTURE_H
#define KOLK_MCP_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct mcp_fixture;

/* "Every N" = the N-th time, the 2 N-th, and so on; 0 = never. Defaults are 0. */
#define MCP_SWITCHES(X)                                                                        \
	/* how it serves */                                                                    \
	X(sse, "1 = answer with SSE always; 0 = where messages precede the result")            \
	X(stateless, "1 = no sessions: no id is given, none is asked for")                     \
	X(any_host, "1 = any Host and Origin; 0 = those of this machine")                      \
	X(page, "entries of a page of a list; 0 = all")                                        \
	X(session_ttl, "ms after which an idle session is forgotten")                          \
	X(idle, "ms after which an idle connection is closed; 0 = 60 s (Node: 5000)")          \
	X(streams, "HTTP/2: streams at once; 0 = 100")                                         \
	X(comment, "ms between comments on SSE streams")                                       \
	X(ttl, "ttlMs of what may be cached (2026-07-28)")                                     \
	X(private, "1 = that is for who asks alone; 0 = for all")                              \
	X(may_crash, "1 = the tool crash ends the process")                                    \
	/* slow */                                                                             \
	X(delay, "ms before each request but initialize is served")                            \
	X(init_delay, "ms before initialize and server/discover are served")                   \
	/* faulty */                                                                           \
	X(lose, "a session is lost after so many requests: 404")                               \
	X(lose_400, "likewise: 400, and words about the session")                              \
	X(lose_410, "likewise: 410")                                                           \
	X(reset, "every N requests: the connection (the stream) is reset")                     \
	X(fail, "every N requests: fail_status")                                               \
	X(fail_status, "0 = 503")                                                              \
	X(init_status, "initialize and server/discover are answered with this status")         \
	X(cut, "every N answers: reset in the middle of it")                                   \
	X(ignore_end, "stdio: 1 = the end of the input is ignored")                            \
	X(ignore_term, "1 = SIGTERM is ignored")                                               \
	X(noise, "stdio: bytes to the standard error before each line is read")                \
	/* lying */                                                                            \
	X(wrong_id, "every N answers: to another id")                                          \
	X(twice, "every N answers: twice")                                                     \
	X(unknown_id, "every N answers: before it one to an id that was never used")           \
	X(bad_json, "every N answers: JSON that breaks off")                                   \
	X(wrong_jsonrpc, "every N answers: \"jsonrpc\": \"1.0\"")                              \
	X(huge, "every N answers: huge_bytes of blanks in it, in one line")                    \
	X(huge_bytes, "0 = 16 MiB")                                                            \
	X(init_version, "1 = initialize agrees on 1999-01-01")                                 \
	X(init_sse, "1 = initialize is answered with SSE")                                     \
	X(no_session_id, "1 = initialize gives no session id, and requests without are refused") \
	X(accepted_body, "1 = 202 has a body")                                                 \
	X(conflict, "1 = each GET is answered with 409")                                       \
	X(early, "1 = a notification before what the server says of itself")                   \
	X(late, "1 = what was cancelled is answered all the same, soon after")

struct mcp_options {
	const char *listen;      /* as kolk_listener_options.address, tls:// with a certificate; NULL =
	                          * no HTTP */
	const char *certificate; /* PEM files; NULL = plain */
	const char *key;
	const char *versions;    /* "2025-06-18,2026-07-28"; NULL = all */
	/* A file of tokens, looked at for each request to /mcp: lines "TOKEN PRINCIPAL", or "TOKEN
	 * PRINCIPAL narrow" (403: its scope does not do). Without such a token 401. A session is its
	 * principal's. NULL = any may ask. */
	const char *tokens;
	void (*on_refused)(void *user); /* before each 401, on the fixture's loop; NULL = nothing */
	void *on_refused_user;
	/* HTTP+SSE: what the event `endpoint` says in front of the session's id, "%s" for Host;
	 * NULL = "/message?sessionId="; "" = the event never comes. */
	const char *endpoint;
	bool stdio;              /* answers to the standard output; mcp_fixture_line gives requests */
#define MCP_SWITCH(name, text) uint32_t name;
	MCP_SWITCHES(MCP_SWITCH)
#undef MCP_SWITCH
};

/* What it counted; `open` and `now` are gauges. calls_now is without initialize and server/discover. */
#define MCP_NUMBERS(X)                                                                         \
	X(sessions_open) X(sessions_created) X(sessions_initialized) X(sessions_deleted)       \
	X(sessions_lost)         /* by lose, session_ttl or /forget */                         \
	X(session_missing) X(session_unknown) /* requests that were refused: 400, 404 */       \
	X(before_initialized)    /* requests but ping in a session that is not initialized */  \
	X(version_missing)       /* no MCP-Protocol-Version, though the era wants it */        \
	X(header_mismatches)     /* of them and others: -32020 */                              \
	X(requests) X(notifications) X(batches) X(answers) X(tool_calls) X(calls_now)          \
	X(duplicate_ids)         /* of requests that run at once in one session */             \
	X(duplicate_tokens)      /* of progress, likewise */                                   \
	X(leaks)                 /* the tool counter was called by two owners in one session */ \
	X(cancels_disconnect) X(cancels_notified) X(cancels_unknown) /* of calls not there */  \
	X(asks) X(replies) X(replies_unknown) /* requests to the client, and their answers */  \
	X(get_streams_now) X(listen_streams_now) X(pushed) X(dropped) /* to them; for want of one */ \
	X(resumes) X(replayed)   /* GET with Last-Event-ID; events sent again */               \
	X(refused)               /* for their token: 401, 403 */                               \
	X(foreign)               /* requests in a session of another principal */              \
	X(faults) X(lies)

enum mcp_number {
#define MCP_NUMBER(name) MCP_N_##name,
	MCP_NUMBERS(MCP_NUMBER)
#undef MCP_NUMBER
	MCP_NUMBER_COUNT
};

/* Set a switch by its name, "_" or "-" in it, or versions, listen, certificate, key; value is
 * borrowed. False = there is no such one, or no such value. */
bool mcp_options_set(struct mcp_options *options, const char *name, const char *value);
void mcp_options_print(FILE *file);

/* NULL = it could not be opened, and why is on the standard error. Ended by mcp_fixture_close. */
struct mcp_fixture *mcp_fixture_open(const struct mcp_options *options);
void mcp_fixture_close(struct mcp_fixture *fixture);
/* "127.0.0.1:PORT"; "" without HTTP. */
const char *mcp_fixture_address(const struct mcp_fixture *fixture);
/* Any thread. */
uint64_t mcp_fixture_number(struct mcp_fixture *fixture, enum mcp_number number);
/* Requests that come from now on are not served before it is let go: a test waits for whatever is to
 * come first. They count as calls_now. Any thread. */
void mcp_fixture_hold(struct mcp_fixture *fixture, bool held);
/* stdio: one line of the input, copied. Any thread. */
void mcp_fixture_line(struct mcp_fixture *fixture, const char *line, size_t size);

#endif
