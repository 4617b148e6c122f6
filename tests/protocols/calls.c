/* SPDX-License-Identifier: Apache-2.0 */
/* calls.c - requests of all kinds, given up at random; each must end once, with its own answer. */
#include "tests/protocols/protocols.h"

#include <kolk/http.h>
#include <kolk/postgres.h>
#include <kolk/redis.h>
#include <stdio.h>
#include <string.h>

static uint64_t soon(struct world *world)
{
	return kolk__sim_now(world->sim) + (1 + below(world, 3000)) * KOLK_MS_NS;
}

void calls_over(struct call *call, enum kolk_err err)
{
	struct world *world = call->world;
	uint8_t executions = world->executed[call->nonce % NONCES];

	world_trace(world, "%s ends: %s", call->text, kolk_err_name(err));
	kolk__sim_record(world->sim, call->nonce ^ (uint64_t)(int64_t)err);
	if (!call->pending)
		world_break(world, "a call ended twice");
	if (executions > (call->replayable ? 2 : 1))
		world_break(world, "a request was executed more often than it may be");
	if (err == KOLK_OK && executions == 0)
		world_break(world, "a request was answered that nobody executed");
	if (err == KOLK_E_CANCELLED && !call->cancelled && !call->closed)
		world_break(world, "nobody cancelled");
	world->answered += err == KOLK_OK;
	world->cancelled += err == KOLK_E_CANCELLED;
	world->failed += err != KOLK_OK && err != KOLK_E_CANCELLED;
	call->pending = false;
	call->http = NULL;
	call->redis = NULL;
	call->pg = NULL;
}

/* What may happen to a request in this world; nothing else may be told. */
void calls_must_be_possible(struct call *call, enum kolk_err err)
{
	struct world *world = call->world;

	switch (err) {
	case KOLK_OK:
	case KOLK_E_CANCELLED:
	case KOLK_E_TIMEOUT:
	case KOLK_E_CLOSED:
	case KOLK_E_RESET:
	case KOLK_E_MEMORY:
	case KOLK_E_FILES:
	case KOLK_E_QUEUE_FULL:
	case KOLK_E_CONN_REFUSED:
	case KOLK_E_UNREACHABLE:
	case KOLK_E_DIAL_TIMEOUT:
	case KOLK_E_CIRCUIT:
	case KOLK_E_DEADLINE:
		return;
	case KOLK_E_PROTOCOL: /* an answer that breaks off */
		if (!call->calm)
			return;
		break;
	default:
		break;
	}
	world_trace(world, "%s?", kolk_err_name(err));
	world_break(world, "a call failed for a reason that was not there");
}

/* ---- HTTP */

static void cancel(struct world *world, struct call *call);
static void begin(struct world *world, struct call *call);

/* What callers do while something is shown to them. */
static void interfere(struct call *call)
{
	struct world *world = call->world;
	struct call *other = &world->calls[below(world, CALLS)];

	if (world->calm)
		return;
	switch (below(world, 24)) {
	case 0:
		if (call->http != NULL)
			cancel(world, call);
		break;
	case 1:
	case 2:
		call->paused = call->http != NULL;
		if (call->paused)
			kolk_http_pause(call->http);
		break;
	case 3:
		if (!other->pending)
			begin(world, other);
		break;
	case 4:
		if (other->pending && !other->cancelled && other->http != NULL)
			cancel(world, other);
		break;
	case 5:
		if (call->http != NULL)
			kolk_http_more(call->http);
		break;
	default:
		break;
	}
}

static void must_be_shown(struct call *call)
{
	if (call->cancelled || !call->pending)
		world_break(call->world, "something is shown to a caller who gave up");
}

static void on_informational(void *user, struct kolk_http_exchange *exchange,
			     const struct kolk_http_head *head)
{
	struct call *call = user;

	(void)exchange;
	must_be_shown(call);
	if (head->status < 100 || head->status > 199 || call->headed)
		world_break(call->world, "a head that is none is shown as informational");
	interfere(call);
}

static void on_head(void *user, struct kolk_http_exchange *exchange,
		    const struct kolk_http_head *head)
{
	struct call *call = user;
	const char *nonce = kolk_http_field(head->fields, head->field_count, "x-nonce");

	(void)exchange;
	must_be_shown(call);
	if (call->headed)
		world_break(call->world, "a second head");
	call->headed = true;
	call->status = head->status;
	call->trailed = kolk_http_field(head->fields, head->field_count, "trailer") != NULL;
	if (nonce == NULL || strcmp(nonce, call->text) != 0)
		world_break(call->world, "a caller got another one's answer");
	interfere(call);
}

static void on_body(void *user, struct kolk_http_exchange *exchange, const void *data, size_t size)
{
	struct call *call = user;

	(void)exchange;
	if (call->world->trace)
		world_trace(call->world, "%s hears %.*s", call->text, (int)size, (const char *)data);
	must_be_shown(call);
	if (call->paused)
		world_break(call->world, "more is shown to a caller who paused in a handler");
	if (size > sizeof call->body - call->body_size) {
		world_break(call->world, "an answer is longer than any that is given here");
		return;
	}
	memcpy(call->body + call->body_size, data, size);
	call->body_size += size;
	interfere(call);
}

static void on_end(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		   const struct kolk_http_field *trailers, size_t trailer_count)
{
	struct call *call = user;
	const char *trailer = kolk_http_field(trailers, trailer_count, "x-trailer");
	bool is_head = call->last == 1;

	(void)exchange;
	calls_must_be_possible(call, err);
	call->closed = call->world->closing[call->client];
	if (err == KOLK_OK && !call->cancelled &&
	    (call->status != 200 || call->body_size != (is_head ? 0 : strlen(call->text)) ||
	     memcmp(call->body, call->text, call->body_size) != 0))
		world_break(call->world, "an answer is not whole, and nobody was told");
	if (trailer != NULL && strcmp(trailer, call->text) != 0)
		world_break(call->world, "a caller got another one's trailers");
	if (err == KOLK_OK && !call->cancelled && call->trailed != (trailer != NULL))
		world_break(call->world, "trailers are lost, or come from nowhere");
	calls_over(call, err);
	if (below(call->world, 16) == 0 && !call->world->calm)
		begin(call->world, call);
}

static const struct kolk_http_handler handler = {
	.size = sizeof handler, .informational = on_informational, .head = on_head,
	.body = on_body, .end = on_end,
};

static enum kolk_err pull(void *user, void *buffer, size_t capacity, size_t *size)
{
	struct call *call = user;
	struct world *world = call->world;
	size_t left = sizeof call->text - call->pulled;

	if (call->cancelled)
		world_break(world, "who gave up is asked for more");
	if (below(world, 16) == 0 && !world->calm && call->http != NULL)
		cancel(world, call);
	if (below(world, 4) == 0) {
		call->starved = true;
		return KOLK_PENDING;
	}
	*size = left < capacity ? left : capacity;
	*size = *size > 0 ? 1 + below(world, *size) : 0;
	memset(buffer, 'b', *size);
	call->pulled += *size;
	return KOLK_OK;
}

/* Who paused goes on, and who had nothing to send has something. */
static void go_on(struct world *world, struct call *call)
{
	if (call->http == NULL || call->cancelled)
		return;
	if (call->starved) {
		call->starved = false;
		kolk_http_more(call->http);
	} else if (call->paused) {
		call->paused = false;
		kolk_http_resume(call->http);
		if (below(world, 4) == 0) { /* he changes his mind */
			kolk_http_pause(call->http);
			kolk_http_resume(call->http);
		}
	} else if (below(world, 8) == 0) {
		kolk_http_pause(call->http);
		if (below(world, 2))
			kolk_http_resume(call->http);
	} else {
		kolk_http_resume(call->http);
	}
}

static void body(struct world *world, struct call *call, struct kolk_http_request *r)
{
	r->method = "POST";
	r->expect_continue = below(world, 3) == 0;
	if (below(world, 3) == 0) {
		r->body = call->text;
		r->body_size = strlen(call->text);
		return;
	}
	r->pull = pull;
	r->pull_size = below(world, 2) ? KOLK_HTTP_CHUNKED : sizeof call->text;
	if (r->pull_size != KOLK_HTTP_CHUNKED || below(world, 2))
		return;
	call->http_trailer = (struct kolk_http_field){ "x-trailer", call->text };
	r->trailers = &call->http_trailer;
	r->trailer_count = 1;
}

static void request(struct world *world, struct call *call, struct kolk_key *key)
{
	struct kolk_http_request r = KOLK_INIT(kolk_http_request);
	char target[32];
	enum kolk_err err;

	snprintf(target, sizeof target, "/%s", call->text);
	r.target = target;
	r.authority = "simulated";
	r.deadline_ns = soon(world);
	r.replayable = call->replayable;
	call->last = 0;
	call->calm = world->calm;
	call->client = (uint32_t)below(world, world->loops);
	if (world->http[call->client] == NULL)
		return; /* it has just been closed, and another takes its place */
	switch (below(world, 5)) {
	case 0:
		r.method = "HEAD";
		call->last = 1;
		break;
	case 1:
	case 2:
		body(world, call, &r);
		break;
	default:
		break;
	}
	err = kolk_http_start(world->http[call->client], key, &r, &handler, call, &call->http);
	call->pending = err == KOLK_PENDING;
	if (err == KOLK_E_DRAINING && world->closing[call->client])
		return;
	if (!call->pending)
		calls_must_be_possible(call, err);
}

void calls_http(struct world *world, struct call *call)
{
	request(world, call, world->http_key);
}

void calls_http2(struct world *world, struct call *call)
{
	request(world, call, world->http2_key);
}

/* ---- Redis */

static void on_reply(void *user, enum kolk_err err, const struct kolk_redis_reply *reply)
{
	struct call *call = user;
	const struct kolk_redis_reply *mine = reply;

	calls_must_be_possible(call, err);
	if (err == KOLK_OK && call->last > 0)
		mine = &reply->elements[0];
	if (err == KOLK_OK && (mine->type != KOLK_REDIS_STRING ||
			       strcmp(mine->text, call->text) != 0)) {
		world_trace(call->world, "'%s' instead of '%s'", mine->text, call->text);
		world_break(call->world, "a caller got another one's reply, or another's state");
	}
	kolk_redis_reply_free(reply);
	calls_over(call, err);
}

/* ECHO, and behind it what makes a connection unfit for others. */
void calls_redis(struct world *world, struct call *call)
{
	static const char *const select[] = { "SELECT", "5" }, *const multi[] = { "MULTI" },
			  *const watch[] = { "WATCH", "key" };
	const char *const echo[] = { "ECHO", call->text };
	struct kolk_redis_command commands[3] = { { .count = 2, .arguments = echo } };
	struct kolk_redis_request r = KOLK_INIT(kolk_redis_request);
	enum kolk_err err;

	r.commands = commands;
	r.count = 1;
	r.deadline_ns = soon(world);
	r.replayable = call->replayable;
	if (below(world, 4) == 0)
		commands[r.count++] = (struct kolk_redis_command){ .count = 2, .arguments = select };
	if (below(world, 4) == 0)
		commands[r.count++] = below(world, 2) ?
			(struct kolk_redis_command){ .count = 1, .arguments = multi } :
			(struct kolk_redis_command){ .count = 2, .arguments = watch };
	call->last = r.count - 1;
	call->calm = world->calm;
	err = kolk_redis_call_start(kolk_engine_loop(world->engine,
						     (uint32_t)below(world, world->loops)),
				    world->redis_key, &r, on_reply, call, &call->redis);
	call->pending = err == KOLK_PENDING;
	if (!call->pending)
		calls_must_be_possible(call, err);
}

/* ---- PostgreSQL */

enum { INT8 = 20, TEXT = 25 }; /* OIDs */

static void on_result(void *user, enum kolk_err err, struct kolk_postgres_result *result)
{
	struct call *call = user;
	const struct kolk_postgres_error *error =
		result != NULL ? kolk_postgres_result_error(result) : NULL;

	if (err != KOLK_OK && error != NULL && strcmp(error->sqlstate, "22012") == 0)
		err = KOLK_E_CLOSED; /* the statement failed: as good as an answer that broke off */
	calls_must_be_possible(call, err);
	if (err == KOLK_OK && (kolk_postgres_result_rows(result) != 1 ||
			       strcmp(kolk_postgres_result_text(result, 0, 0), call->text) != 0)) {
		world_trace(call->world, "'%s' instead of '%s'",
			    kolk_postgres_result_text(result, 0, 0), call->text);
		world_break(call->world, "a caller got another one's row, or another's session");
	}
	if (err == KOLK_OK && kolk_postgres_result_value(result, 0, 0).type !=
				      (call->pg_value.type != 0 ? call->pg_value.type : TEXT))
		world_break(call->world, "a value was taken for one of another type");
	kolk_postgres_result_free(result);
	calls_over(call, err);
}

/* A row, and behind it what makes a session unfit for others. */
void calls_pg(struct world *world, struct call *call)
{
	static const char *const texts[] = { "select $1", "select $1 a", "select $1 b", "select $1 c" };
	static const uint32_t types[] = { 0, TEXT, INT8 };
	struct kolk_postgres_value value = { .data = call->text, .size = (uint32_t)strlen(call->text) };
	struct kolk_postgres_request r = KOLK_INIT(kolk_postgres_request);
	enum kolk_err err;

	value.type = types[below(world, 3)];
	call->pg_value = value;
	call->pg_statements[0] = (struct kolk_postgres_statement){
		.sql = "select $1", .values = &call->pg_value, .value_count = 1 };
	call->pg_statements[1].sql = below(world, 2) ? "begin" : "set leak to 1";
	r.statements = call->pg_statements;
	r.count = below(world, 3) == 0 ? 2 : 1;
	if (r.count == 1 && below(world, 2))
		call->pg_statements[0].flags = KOLK_POSTGRES_HARMLESS;
	if (below(world, 2)) {
		call->pg_statements[0].flags |= KOLK_POSTGRES_PREPARE;
		call->pg_statements[0].sql = texts[below(world, 4)];
	}
	r.replayable = call->replayable;
	call->calm = world->calm;
	call->pg_request = r;
	err = kolk_postgres_query_async(kolk_engine_loop(world->engine,
							 (uint32_t)below(world, world->loops)),
					world->pg_key, &call->pg_request, soon(world), on_result,
					call, &call->pg);
	call->pending = err == KOLK_PENDING;
	if (!call->pending)
		calls_must_be_possible(call, err);
}

/* ---- any of them */

static void begin(struct world *world, struct call *call)
{
	*call = (struct call){ .world = world, .nonce = ++world->nonce };
	snprintf(call->text, sizeof call->text, "%llu", (unsigned long long)call->nonce + 1000000000);
	call->nonce += 1000000000;
	world->executed[call->nonce % NONCES] = 0;
	call->replayable = below(world, 2);
	world->asked++;
	switch (below(world, 5)) {
	case 0:
		calls_http(world, call);
		break;
	case 1:
		calls_http2(world, call);
		break;
	case 2:
		calls_pg(world, call);
		break;
	case 3:
		calls_mcp(world, call);
		break;
	default:
		(below(world, 2) ? calls_redis : calls_redis_lease)(world, call);
	}
	world_trace(world, "%s %s", call->text, call->pending ? "begins" : "refused");
}

static void cancel(struct world *world, struct call *call)
{
	world_trace(world, "%s is given up", call->text);
	call->cancelled = true;
	if (calls_redis_lease_cancel(call))
		return;
	if (call->http != NULL)
		kolk_http_cancel(call->http);
	else if (call->mcp != NULL)
		kolk_mcp_cancel(call->mcp);
	else if (call->pg != NULL)
		kolk_postgres_call_cancel(call->pg);
	else
		kolk_redis_cancel(call->redis);
}

void calls_random(struct world *world)
{
	struct call *call = &world->calls[below(world, CALLS)];

	if (!call->pending)
		begin(world, call);
	else if (below(world, 2))
		go_on(world, call);
	else if (!call->cancelled && below(world, 10) == 0)
		cancel(world, call);
}

bool calls_pending(const struct world *world)
{
	for (int i = 0; i < CALLS; i++)
		if (world->calls[i].pending)
			return true;
	return false;
}
