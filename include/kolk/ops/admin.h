/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/ops/admin.h - an HTTP server for operators: status, metrics, actions, the live page.
 *
 * It listens on a Unix socket that only its owner may use, or on TCP with a bearer token. One
 * thread of its own serves everybody; an action that waits (cleanup, warm-up) makes the others
 * wait for at most two seconds. Routes and examples: docs/operations.md.
 *
 * While one is open, pools are closed by kolk_admin_pool_close (and kolk_config_reap).
 */
#ifndef KOLK_OPS_ADMIN_H
#define KOLK_OPS_ADMIN_H

#include <kolk/engine.h>
#include <kolk/pool.h>

struct kolk_admin;

/* Load the configuration again and apply it. Writes what happened (one line, no secrets) into
 * text. KOLK_OK, or why nothing changed. Runs on the server's thread: a program that reloads
 * elsewhere too (a second server, SIGHUP) lets one wait for the other. */
typedef enum kolk_err kolk_reload_fn(void *user, char *text, size_t capacity);

/* What a program adds to the status or to the metrics: a text that the server gives to free().
 * NULL = no memory: the request is answered with 500. Runs on the server's thread, and while it
 * runs kolk_admin_pool_close waits: it may look at pools, and must not wait for a thread that
 * closes one. */
typedef char *kolk_admin_text_fn(void *user);

#define KOLK_ADMIN_TOKEN_MIN 16

struct kolk_admin_options {
	uint32_t size;        /* sizeof; set by KOLK_INIT */
	uint32_t token_size;  /* bytes */
	/* "unix:/path" (made with mode 0600; a socket file without a listener is replaced)
	 * or "ip:port", "[ip]:port" (port 0 = the system's choice). Required. */
	const char *listen;
	/* Who shows it as "Authorization: Bearer TOKEN" may do everything. Required on TCP, at
	 * least KOLK_ADMIN_TOKEN_MIN bytes; NULL = none. Only its digest is kept. */
	const void *token;
	/* Names besides "localhost" and addresses by which browsers may reach it, NULL-terminated:
	 * for another Host an action is refused, and on a Unix socket reading too (DNS
	 * rebinding). Programs on a Unix socket may send none, or "kolk". NULL = none. Copied. */
	const char *const *hosts;
	uint32_t clients_max;  /* connections at once, more are closed at once; 1 .. 1024; 0 = 16 */
	uint32_t unused;       /* not looked at: a connection serves one request */
	uint32_t body_max;     /* bytes, up to 16 MiB; 0 = 64 KiB */
	/* Tenants with rows of their own in /metrics, those with the most connections and waiters;
	 * the row "(rest)" has the sum of the others. 1 .. 10 000; KOLK_NONE; 0 = 20. */
	uint32_t metrics_tenants_max;
	/* From a connection's begin, or the end of its last request, to the end of its next; 0 = 10 s. */
	uint64_t request_timeout_ns;
	kolk_reload_fn *reload; /* NULL = PUT /api/config is refused */
	void *reload_user;
	kolk_log_fn *on_log;    /* NULL = silence; subject "admin" */
	void *log_user;
	struct kolk_failure *failure; /* NULL, or filled when open fails; borrowed */
	/* JSON, which becomes the member "program" of the status: null when it is none. NULL = no
	 * such member. */
	kolk_admin_text_fn *program_status;
	/* Whole families in the text format of Prometheus, with names that the library's do not have;
	 * each line ends with '\n'. They follow the engine's. NULL = none. */
	kolk_admin_text_fn *program_metrics;
	void *program_user;
	/* on_log gets a line of statistics of each pool (subject "stats", INFO) so often; 0 = 60 s;
	 * KOLK_AT_ONCE = never. */
	uint64_t log_stats_interval_ns;
};                                    /* since 0.1 */

KOLK_BEGIN

/* Open the server; the engine must outlive it. Errors: E_OPTIONS (failure->field), E_IN_USE
 * (another process listens there), E_IO (failure->os_error), E_MEMORY. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_admin_open(struct kolk_engine *engine,
						       const struct kolk_admin_options *options,
						       struct kolk_admin **admin);

/* Where it listens, as "unix:/path" or "ip:port" with the port that it got; lives as long as
 * the server. */
KOLK_API const char *kolk_admin_address(const struct kolk_admin *admin);

/* Cut every client off, stop the thread, remove the socket file. Blocks. NULL is allowed. */
KOLK_API void kolk_admin_close(struct kolk_admin *admin);

/* kolk_pool_close for programs with an admin server: no request of any server looks at the pool
 * meanwhile. Waits for those that do (two seconds at most); later ones wait for it. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_admin_pool_close(struct kolk_pool *pool,
							     uint64_t deadline_ns);

KOLK_END

#endif
