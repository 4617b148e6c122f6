/* SPDX-License-Identifier: Apache-2.0 */
/* actions.c - what operators do to an engine: clean up, warm up, evict, drain, resume, reload. */
#include "tools/ops/reply.h"

#include <string.h>
#include <time.h>

enum { GRACE_MS = 10000 };

static void nap(void)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = 5 * 1000 * 1000 }, NULL);
}

/* Until what was evicted is closed: those, or everything that is closing. */
uint32_t kolk__wait_closed(struct kolk__admin_server *server, uint64_t cleared)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	uint64_t until_ns = kolk_engine_now(server->engine) + server->wait_ns;

	while (kolk_engine_stats(server->engine, &stats) == KOLK_OK && stats.closing != 0 &&
	       stats.destroyed[KOLK_REASON_CLEARED] < cleared &&
	       kolk_engine_now(server->engine) < until_ns)
		nap();
	return stats.open;
}

void kolk__post_cleanup(struct kolk__admin_server *server, const struct kolk__request *request,
			struct kolk__response *response)
{
	struct kolk_filter filter = KOLK_INIT(kolk_filter);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	int64_t idle_ms = 0;
	const struct kolk__field fields[] = { { "pool", .text = &filter.pool },
					      { "user", .text = &filter.tenant },
					      { "idleMs", .number = &idle_ms },
					      { .name = NULL } };
	json_t *root = kolk__reply_read(request, fields, response);
	size_t cleaned;

	if (root == NULL)
		return;
	if (filter.pool != NULL && kolk_pool_find(server->engine, filter.pool) == NULL) {
		kolk__reply_error(response, 404, "no_such_pool",
				  kolk__about("there is no such pool", filter.pool).text);
	} else if (filter.tenant == NULL ||
		   kolk__reply_knows(server, filter.tenant, response)) {
		filter.idle_ns = (uint64_t)idle_ms * KOLK_MS_NS;
		(void)kolk_engine_stats(server->engine, &stats);
		cleaned = kolk_engine_clear(server->engine, &filter);
		kolk__reply_json(
			response, 200,
			json_pack("{s:I,s:I,s:I}", "before", (json_int_t)stats.open, "after",
				  (json_int_t)kolk__wait_closed(
					  server, stats.destroyed[KOLK_REASON_CLEARED] + cleaned),
				  "cleaned", (json_int_t)cleaned));
	}
	json_decref(root);
}

/* Exactly one of pool, user and everything must be meant. */
struct target {
	const char *pool, *user;
	bool all;
	struct kolk_pool *found;
};

enum targets { NO_ALL, ANY, POOLS };

static bool find_target(struct kolk__admin_server *server, struct target *target,
			enum targets allowed, struct kolk__response *response)
{
	static const char *const say[] = {
		[NO_ALL] = "say one of \"pool\" and \"user\"",
		[ANY] = "say one of \"pool\", \"user\" and \"all\": true",
		[POOLS] = "say one of \"pool\" and \"all\": true",
	};

	if ((target->pool != NULL) + (target->user != NULL) + target->all != 1) {
		kolk__reply_error(response, 400, "bad_target", say[allowed]);
		return false;
	}
	if (target->user != NULL)
		return kolk__reply_knows(server, target->user, response);
	if (target->pool == NULL)
		return true;
	target->found = kolk_pool_find(server->engine, target->pool);
	if (target->found == NULL)
		kolk__reply_error(response, 404, "no_such_pool",
				  kolk__about("there is no such pool", target->pool).text);
	return target->found != NULL;
}

static void warm_up(struct kolk__admin_server *server, const struct target *target,
		    struct kolk__response *response)
{
	uint64_t until_ns =
		server->wait_ns != 0 ? kolk_engine_now(server->engine) + server->wait_ns : 0;
	enum kolk_err err = target->found != NULL ?
				    kolk_pool_warm(target->found, until_ns) :
				    kolk_tenant_warm(server->engine, target->user, until_ns);

	if (err == KOLK_OK)
		kolk__reply_json(response, 200, json_pack("{s:s}", "status", "warm"));
	else if (err == KOLK_E_TIMEOUT) /* it goes on */
		kolk__reply_json(response, 202, json_pack("{s:s}", "status", "warming"));
	else
		kolk__reply_err(response, err);
}

void kolk__post_warmup(struct kolk__admin_server *server, const struct kolk__request *request,
		       struct kolk__response *response)
{
	struct target target = { 0 };
	const struct kolk__field fields[] = { { "pool", .text = &target.pool },
					      { "user", .text = &target.user },
					      { .name = NULL } };
	json_t *root = kolk__reply_read(request, fields, response);

	if (root != NULL && find_target(server, &target, NO_ALL, response))
		warm_up(server, &target, response);
	json_decref(root);
}

void kolk__post_evict(struct kolk__admin_server *server, const struct kolk__request *request,
		      struct kolk__response *response)
{
	struct target target = { 0 };
	const struct kolk__field fields[] = { { "pool", .text = &target.pool },
					      { "user", .text = &target.user },
					      { "all", .flag = &target.all },
					      { .name = NULL } };
	json_t *root = kolk__reply_read(request, fields, response);
	size_t outdated;

	if (root != NULL && find_target(server, &target, ANY, response)) {
		outdated = target.found != NULL ? kolk_pool_rotate(target.found) :
			   target.user != NULL ? kolk_tenant_rotate(server->engine, target.user) :
						 kolk_engine_rotate(server->engine);
		kolk__reply_json(response, 200,
				 json_pack("{s:I}", "outdated", (json_int_t)outdated));
	}
	json_decref(root);
}

/* The pool, or every one; the last error. Pools are not closed meanwhile. */
static enum kolk_err each_pool(struct kolk__admin_server *server, const struct target *target,
			       enum kolk_err (*run)(struct kolk_pool *pool, uint64_t until_ns),
			       uint64_t until_ns)
{
	enum kolk_err err = KOLK_OK, one;
	struct kolk_pool *pool;

	if (target->found != NULL)
		return run(target->found, until_ns);
	for (uint32_t i = 0; (pool = kolk_engine_pool(server->engine, i)) != NULL; i++) {
		one = run(pool, until_ns);
		err = one != KOLK_OK ? one : err;
	}
	return err;
}

void kolk__post_drain(struct kolk__admin_server *server, const struct kolk__request *request,
		      struct kolk__response *response)
{
	int64_t grace_ms = GRACE_MS;
	struct target target = { 0 };
	const struct kolk__field fields[] = { { "pool", .text = &target.pool },
					      { "all", .flag = &target.all },
					      { "graceMs", .number = &grace_ms },
					      { .name = NULL } };
	json_t *root = kolk__reply_read(request, fields, response);
	uint64_t until_ns = kolk_engine_now(server->engine) + (uint64_t)grace_ms * KOLK_MS_NS;
	enum kolk_err err;

	if (root != NULL && find_target(server, &target, POOLS, response)) {
		err = each_pool(server, &target, kolk_pool_suspend, until_ns);
		if (err == KOLK_OK)
			kolk__reply_json(response, 202,
					 json_pack("{s:s,s:I}", "status", "draining", "graceMs",
						   (json_int_t)grace_ms));
		else
			kolk__reply_err(response, err);
	}
	json_decref(root);
}

/* Only what was suspended: a pool that a reload took out goes. */
static enum kolk_err resume(struct kolk_pool *pool, uint64_t unused_ns)
{
	struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);
	enum kolk_err err = kolk_pool_inspect(pool, &info);

	(void)unused_ns;
	return err == KOLK_OK && info.suspended ? kolk_pool_resume(pool) : err;
}

/* A drain of a pool took those along that draw from it, as sessions from connections; they come
 * back with it. */
static enum kolk_err resume_dependants(struct kolk__admin_server *server, struct kolk_pool *from)
{
	struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);
	enum kolk_err err = KOLK_OK, one;
	struct kolk_pool *pool;

	for (uint32_t i = 0; (pool = kolk_engine_pool(server->engine, i)) != NULL; i++) {
		one = kolk_pool_inspect(pool, &info);
		if (one == KOLK_OK && info.suspended &&
		    strcmp(info.draws_from, kolk_pool_name(from)) == 0)
			one = kolk_pool_resume(pool);
		err = one != KOLK_OK ? one : err;
	}
	return err;
}

void kolk__post_resume(struct kolk__admin_server *server, const struct kolk__request *request,
		       struct kolk__response *response)
{
	struct target target = { 0 };
	const struct kolk__field fields[] = { { "pool", .text = &target.pool },
					      { "all", .flag = &target.all },
					      { .name = NULL } };
	json_t *root = kolk__reply_read(request, fields, response);
	struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);
	enum kolk_err err;

	if (root != NULL && find_target(server, &target, POOLS, response)) {
		err = each_pool(server, &target, resume, 0);
		if (err == KOLK_OK && target.found != NULL)
			err = kolk_pool_inspect(target.found, &info);
		if (err == KOLK_OK && target.found != NULL && !info.draining)
			err = resume_dependants(server, target.found);
		if (err != KOLK_OK)
			kolk__reply_err(response, err);
		else if (info.draining)
			kolk__reply_error(response, 409, "not_suspended",
					  "this pool was drained for good");
		else
			kolk__reply_json(response, 200, json_pack("{s:s}", "status", "open"));
	}
	json_decref(root);
}

void kolk__put_config(struct kolk__admin_server *server, const struct kolk__request *request,
		      struct kolk__response *response)
{
	const struct kolk__field fields[] = { { .name = NULL } };
	json_t *root = kolk__reply_read(request, fields, response);
	char text[512] = "", shown[KOLK__SHOWN_MAX];
	enum kolk_err err;

	if (root == NULL)
		return;
	json_decref(root);
	if (server->reload == NULL) {
		kolk__reply_error(response, 501, "no_reload",
				  "this program has no configuration to load");
		return;
	}
	err = server->reload(server->reload_user, text, sizeof text);
	text[sizeof text - 1] = 0;
	if (err == KOLK_OK)
		kolk__reply_json(response, 200,
				 json_pack("{s:s,s:s}", "status", "ok", "message",
					   kolk__shown(text, shown)));
	else
		kolk__reply_error(response, 422, kolk_err_name(err),
				  text[0] != 0 ? text : kolk_err_text(err));
}
