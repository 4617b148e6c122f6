/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin.h - the admin server in two parts: admin.c has the sockets and the thread, routes.c is a
 * function from a request to a response that knows neither.
 */
#ifndef KOLK_OPS_ADMIN_INTERNAL_H
#define KOLK_OPS_ADMIN_INTERNAL_H

#include <kolk/ops/admin.h>

#include "tools/ops/metrics.h"
#include "tools/ops/pool_stats.h"
#include "tools/ops/status.h"

enum { KOLK__DIGEST = 32 };

/* What the routes need of the server. */
struct kolk__admin_server {
	struct kolk_engine *engine;
	bool tcp, has_token;
	unsigned char token_digest[KOLK__DIGEST];
	char **hosts;               /* NULL = none */
	kolk_reload_fn *reload;
	void *reload_user;
	kolk_log_fn *on_log;
	void *log_user;
	uint32_t metrics_tenants;   /* with rows in the metrics */
	struct kolk__program program;
	uint64_t wait_ns;           /* how long an action may wait */
	uint64_t refused_logged_ns; /* when a wrong token was last written to the log */
	struct kolk__trend trend;
	struct kolk__stats_log stats_log;
	char page_policy[256];      /* Content-Security-Policy of the page */
};

struct kolk__pair {
	const char *name, *value;
};

struct kolk__request {
	const char *method, *path;
	const struct kolk__pair *query;
	size_t query_count;
	/* Headers; NULL = not there. */
	const char *host, *origin, *fetch_site, *authorization, *content_type, *content_encoding;
	const char *body;
	size_t body_size;
	bool fetched;   /* a browser sends it: there is a Sec-Fetch- header */
	bool too_large; /* the body is longer than body_max and was not kept */
	bool malformed; /* what HTTP allows and no route accepts, as %00 in a name */
	bool doubtful;  /* a proxy may read it in another way, as two headers of one name */
};

struct kolk__response {
	unsigned status;
	const char *type;   /* Content-Type */
	const char *policy; /* Content-Security-Policy */
	const char *allow;  /* 405: what is allowed; otherwise NULL */
	const char *body;
	size_t size;
	char *owned;        /* NULL, or body's memory: free() */
	struct kolk__metrics_stream *stream; /* NULL, or instead of a body, to be closed */
};

/* Between the two no pool is closed by kolk_admin_pool_close. */
void kolk__pools_read_lock(void);
void kolk__pools_read_unlock(void);

void kolk__answer(struct kolk__admin_server *server, const struct kolk__request *request,
		  struct kolk__response *response);

/* False when the library of hashes fails. */
bool kolk__digest(const void *data, size_t size, unsigned char digest[KOLK__DIGEST]);
/* Reads the page's own script and style: nothing else may run in it. */
void kolk__page_policy(char *policy, size_t capacity);

extern const char kolk__page[];
extern const size_t kolk__page_size;

#endif
